//! What guests that are gone have left.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::model::link::GROUP;
use crate::model::{Ledger, Link};
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
fn network(Instance { bridge, link, ledger, tables, .. }: &Instance) -> Finding {
    let name = ledger.as_ref().map_or("a network".to_owned(), |ledger| format!("network {}", ledger.network));
    let table = tables.first().filter(|_| link.is_none() || ledger.is_none());
    let place = table.map_or_else(|| Place::from(bridge), |table| Place::table(table.family, &table.name));
    if let Some(left) = ledger.as_ref().and_then(Ledger::beyond) {
        let text = format!("{name} has left {}", left.unknown.join(" "));
        return Finding::problem("leftover", text)
            .at(place)
            .say("a later version of kvmnet has recorded that; installed again, it can undo it: kvmnet gc");
    }
    let text = match (link, ledger) {
        (None, _) => format!("the table of {name} is left over: its bridge {bridge} is gone"),
        (Some(_), None) => format!("the table of {name} is left over: {bridge} is not a bridge of kvmnet's"),
        (Some(_), Some(_)) => format!("{name} is left over: it has no guest, and nothing keeps it"),
    };
    Finding::problem("leftover", text).at(place).run(["kvmnet gc"])
}

/// A tap that was attached and is on no bridge now.
fn tap(link: &Link) -> Option<Finding> {
    if !link.is_tap() || link.master.is_some() || !link.is_attached() {
        return None;
    }
    let name = shell_word(link.name);
    let finding = |text: &str| Finding::problem("leftover", text).at(&link.name);
    Some(match link.carrier {
        true => finding("a guest has this tap, and it is on no bridge any more")
            .run([format!("kvmnet attach {name}")]),
        false => finding(
            "is on no bridge any more: it waits for a guest, or was attached for a guest that is gone",
        )
        .say(format!("kvmnet attach {name} puts it back; kvmnet detach {name} gives it up")),
    })
}

/// An interface in kvmnet's group that belongs to no network of kvmnet's: half of a veth pair, a bridge without a record.
fn is_orphan(input: &CheckInput, link: &Link) -> bool {
    let owns = |instance: &Instance| {
        let ledger = instance.ledger.as_ref();
        instance.bridge == link.name
            || ledger.is_some_and(|ledger| ledger.host_if(instance.bridge) == link.name)
    };
    link.group == GROUP && !input.observed.networks.iter().any(owns)
}

fn orphan(link: &Link) -> Finding {
    Finding::problem("leftover", "is in kvmnet's group of interfaces, and belongs to no network of kvmnet's")
        .at(&link.name)
        .run([format!("ip link delete {}", shell_word(link.name))])
}
