//! What guests that are gone have left.

use super::finding::{Finding, Place};
use super::networks::word;
use super::seen::Seen;
use crate::model::link::GROUP;
use crate::model::{IfName, Link, TapMark};
use crate::observed::Standing;

/// Networks, taps and interfaces.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    // One whose guest is on no bridge is that guest's still.
    let strays = seen.observed.strays();
    let is_missed =
        |one: &&Standing| strays.iter().any(|(_, bridge)| bridge.is_none_or(|of| of == one.bridge));
    let standing = seen.observed.networks.iter().filter(|one| one.is_dead() && !is_missed(one));
    let mut findings: Vec<Finding> = standing.map(network).collect();
    let links = seen.observed.facts.links.iter();
    findings.extend(links.clone().filter_map(tap));
    findings.extend(links.filter(|link| is_stray(seen, link)).map(stray));
    findings
}

/// A network that nothing keeps.
fn network(standing: &Standing) -> Finding {
    let bridge = &standing.bridge;
    let name = standing
        .mark
        .as_ref()
        .map_or_else(|| "a network".to_owned(), |mark| format!("network {}", mark.network));
    let table = standing.tables.first().map(|table| Place::Chain {
        family: table.family.to_string(),
        table: table.name.clone(),
        chain: None,
    });
    let (text, place) = match (&standing.link, &standing.mark) {
        (None, _) => (format!("the table of {name} is left over: its bridge {bridge} is gone"), table),
        (Some(_), None) => {
            (format!("the table of {name} is left over: {bridge} is not a bridge of kvmnet's"), table)
        }
        (Some(_), Some(_)) => (format!("{name} is left over: it has no guest, and nothing keeps it"), None),
    };
    let place = place.unwrap_or_else(|| Place::from(bridge));
    Finding::problem("leftover", text).at(place).run(["kvmnet gc"])
}

/// A tap that was attached and is on no bridge now.
fn tap(link: &Link) -> Option<Finding> {
    if !link.is_tap() || link.master.is_some() || TapMark::parse(&link.alias).is_none() {
        return None;
    }
    let name = word(&link.name);
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

/// An interface in kvmnet's group that belongs to no network of kvmnet's: half of a veth pair, a bridge without a mark.
fn is_stray(seen: &Seen, link: &Link) -> bool {
    let owns = |standing: &Standing| {
        let inner = standing.mark.as_ref().and_then(|mark| mark.veth.as_ref()).map(|veth| veth.inner);
        standing.bridge == link.name || inner == Some(link.name)
    };
    link.group == GROUP && !seen.observed.networks.iter().any(owns)
}

fn stray(link: &Link) -> Finding {
    let name: &IfName = &link.name;
    Finding::problem("leftover", "is in kvmnet's group of interfaces, and no network of kvmnet's has it")
        .at(name)
        .run([format!("ip link delete {}", word(name))])
}
