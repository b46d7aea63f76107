//! Ports of the host that lead to guests: to guests that are there, and taken from nobody else.

use super::finding::Finding;
use super::input::CheckInput;
use crate::sorted::sorted_by_key;

/// Those that lead to a guest that is gone, and programs that hear nothing by them. (Those that should lead to a guest and do
/// not are drift.)
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let observed = &input.observed;
    let all = &observed.port_mappings;
    let gone = all.iter().filter(|(bridge, one)| observed.owner(bridge, &one.owner).is_none());
    let mut gone = sorted_by_key(gone.map(|(_, one)| one.owner.to_string()), Clone::clone);
    gone.dedup();
    let deaf = observed.listeners.iter().filter_map(|listener| {
        let (_, mapping) = all.iter().find(|(_, mapping)| listener.loses_to(mapping))?;
        let text =
            format!("{listener}, and hears nothing: {mapping} leads to the guest on {}", mapping.owner.tap);
        Some(Finding::problem("forward", text).say("stop the one or the other, or give it another port"))
    });
    gone.iter().map(|owner| of_gone(owner)).chain(deaf).collect()
}

fn of_gone(owner: &str) -> Finding {
    let tap = owner.split('@').next().unwrap_or(owner);
    let text = format!("ports still lead to the guest that was on {tap}, and is gone");
    Finding::problem("forward", text).run(["kvmnet gc"])
}
