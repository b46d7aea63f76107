//! Ports of the host that lead to guests: to guests that are there, and from nobody else.

use super::finding::Finding;
use super::input::CheckInput;
use crate::model::{Link, PortMapping, TapRecord};
use crate::sorted::sorted_by_key;

/// Those that lead to a guest that is gone, those that should lead to one, and programs that hear nothing by them.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let observed = &input.observed;
    let all = &observed.port_mappings;
    let gone = all.iter().filter(|(bridge, one)| observed.owner(bridge, &one.owner).is_none());
    let mut gone = sorted_by_key(gone.map(|(_, one)| one.owner.to_string()), Clone::clone);
    gone.dedup();
    let missing = input.guests().filter(|tap| is_missing(tap, input));
    let deaf = observed.listeners.iter().filter_map(|listener| {
        let (_, mapping) = all.iter().find(|(_, mapping)| listener.loses_to(mapping))?;
        let text =
            format!("{listener}, and hears nothing: {mapping} leads to the guest on {}", mapping.owner.tap);
        Some(Finding::problem("forward", text).say("stop the one or the other, or give it another port"))
    });
    gone.iter().map(|owner| of_gone(owner)).chain(missing.map(missing_forward)).chain(deaf).collect()
}

fn of_gone(owner: &str) -> Finding {
    let tap = owner.split('@').next().unwrap_or(owner);
    let text = format!("ports still lead to the guest that was on {tap}, and is gone");
    Finding::problem("forward", text).run(["kvmnet gc"])
}

/// Whether the tap's record has ports that the rules have not.
fn is_missing(tap: &Link, input: &CheckInput) -> bool {
    let record = TapRecord::parse(&tap.alias);
    let ports = record.into_iter().flat_map(|record| record.forwards);
    let is_led = |mapping: &PortMapping| mapping.owner.is(tap);
    let mut led = input.observed.port_mappings.iter().map(|(_, mapping)| mapping).filter(|one| is_led(one));
    input.is_complete() && ports.into_iter().any(|forward| !led.any(|mapping| mapping.is_of(&forward)))
}

fn missing_forward(tap: &Link) -> Finding {
    Finding::problem("forward", "ports that shall lead to this guest do not")
        .at(&tap.name)
        .run(["kvmnet apply"])
}
