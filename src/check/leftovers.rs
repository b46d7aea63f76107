//! What guests that are gone have left.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::model::link::GROUP;
use crate::model::{Ledger, Link, TapRecord};
use crate::network;
use crate::observed::Instance;
use crate::terminal::shell_word;

/// Networks, taps and interfaces.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    // One whose guest is on no bridge still belongs to that guest.
    let strays = network::strays(&input.observed.facts);
    let is_missed =
        |one: &&Instance| strays.iter().any(|(_, bridge)| bridge.is_none_or(|of| of == one.bridge));
    let unused = input.observed.networks.iter().filter(|one| one.is_unused() && !is_missed(one));
    let links = &input.observed.facts.links;
    let orphans = links.iter().filter(|link| is_orphan(input, link)).map(orphan);
    unused.map(network).chain(links.iter().filter_map(tap)).chain(orphans).collect()
}

/// A network that nothing keeps.
fn network(instance: &Instance) -> Finding {
    let bridge = &instance.bridge;
    let ledger = instance.ledger.as_ref();
    let name = ledger.map_or_else(|| "a network".to_owned(), |ledger| format!("network {}", ledger.network));
    let beyond = ledger.and_then(Ledger::beyond).map(|left| left.unknown.join(" "));
    let text = match (&instance.link, ledger) {
        (None, _) => format!("the table of {name} is left over: its bridge {bridge} is gone"),
        (Some(_), None) => format!("the table of {name} is left over: {bridge} is not a bridge of kvmnet's"),
        (Some(_), Some(_)) => format!("{name} is left over: it has no guest, and nothing keeps it"),
    };
    let is_whole = instance.link.is_some() && ledger.is_some();
    let table = instance.tables.first().filter(|_| !is_whole);
    let place = table.map_or_else(|| Place::from(bridge), |table| Place::table(table.family, &table.name));
    match beyond {
        Some(entries) => Finding::problem("leftover", format!("{name} has left {entries}"))
            .at(place)
            .say("a later version of kvmnet has recorded that; installed again, it can undo it: kvmnet gc"),
        None => Finding::problem("leftover", text).at(place).run(["kvmnet gc"]),
    }
}

/// A tap that was attached and is on no bridge now.
fn tap(link: &Link) -> Option<Finding> {
    if !link.is_tap() || link.master.is_some() || TapRecord::parse(&link.alias).is_none() {
        return None;
    }
    let name = shell_word(link.name);
    let finding = match link.carrier {
        true => Finding::problem("leftover", "a guest has this tap, and it is on no bridge any more")
            .run([format!("kvmnet attach {name}")]),
        false => Finding::problem(
            "leftover",
            "is on no bridge any more: it waits for a guest, or was attached for a guest that is gone",
        )
        .say(format!("kvmnet attach {name} puts it back; kvmnet detach {name} gives it up")),
    };
    Some(finding.at(&link.name))
}

/// An interface in kvmnet's group that belongs to no network of kvmnet's: half of a veth pair, a bridge without a record.
fn is_orphan(input: &CheckInput, link: &Link) -> bool {
    let owns = |instance: &Instance| {
        let veth = instance.ledger.as_ref().and_then(|ledger| ledger.veth.as_ref());
        instance.bridge == link.name || veth.is_some_and(|veth| veth.inner == link.name)
    };
    link.group == GROUP && !input.observed.networks.iter().any(owns)
}

fn orphan(link: &Link) -> Finding {
    Finding::problem("leftover", "is in kvmnet's group of interfaces, and belongs to no network of kvmnet's")
        .at(&link.name)
        .run([format!("ip link delete {}", shell_word(link.name))])
}
