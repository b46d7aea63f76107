//! Networks that stand, with guests or kept, and are not what they should be.

use super::finding::{Finding, Place};
use super::networks::place;
use super::seen::{Configured, Seen, Tables};
use crate::desired::Desired;
use crate::model::ruleset::table_name;
use crate::model::{Key, Mark, Mode, Setting};
use crate::observed::Standing;
use crate::plan::{self, Step};
use crate::terminal::shell_word;

/// Of every network that is not dead.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    seen.observed
        .networks
        .iter()
        .filter(|standing| !standing.is_dead())
        .filter_map(|one| network(seen, one))
        .collect()
}

fn network(seen: &Seen, standing: &Standing) -> Option<Finding> {
    let mark = standing.mark.as_ref()?;
    let on_bridge = |one: &&Configured| one.desired.network.bridge == standing.bridge;
    let configured = seen.configured.iter().find(on_bridge);
    if let Some(finding) = missing_tables(seen, standing, mark).or_else(|| missing_pair(seen, standing, mark))
    {
        return Some(finding);
    }
    match configured {
        // That is told as what the next guest meets with.
        Some(configured) if configured.desired.network.digest() != mark.digest && mark.overridden => None,
        Some(configured) if configured.desired.network.digest() != mark.digest => {
            Some(outdated(seen, standing, configured))
        }
        Some(configured) => changed(standing, configured),
        None if seen.config.errors.is_empty() => Some(unknown(standing, mark)),
        None => None,
    }
}

/// Without its tables a network's guests are kept from nothing, and NAT is gone.
fn missing_tables(seen: &Seen, standing: &Standing, mark: &Mark) -> Option<Finding> {
    if seen.tables != Tables::Seen {
        return None;
    }
    let family = standing.missing_tables().into_iter().next()?;
    let table = table_name(&standing.bridge);
    let place = Place::Chain { family: family.to_string(), table, chain: None };
    let loss = match mark.mode {
        Mode::Isolated | Mode::HostOnly => "its guests are kept in by nothing",
        Mode::Nat => "its guests have no NAT, and are kept in by nothing",
        Mode::Routed => "its guests are kept in by nothing",
        Mode::Bridged => "the copy of its record is gone",
    };
    let text = format!("the table of network {} on {} is missing: {loss}", mark.network, standing.bridge);
    Some(Finding::problem("network", text).at(place).run(["kvmnet apply"]))
}

/// The pair by which the host is on the network.
fn missing_pair(seen: &Seen, standing: &Standing, mark: &Mark) -> Option<Finding> {
    let veth = mark.veth.as_ref()?;
    let facts = &seen.observed.facts;
    let bridge = standing.link.as_ref().map(|link| link.index);
    let joined = facts.link(&veth.outer).is_some_and(|outer| outer.master == bridge);
    if joined && facts.link(&veth.inner).is_some() {
        return None;
    }
    let text = format!(
        "the host is not on network {}: {} and {} do not join it to {}",
        mark.network, veth.outer, veth.inner, standing.bridge
    );
    Some(Finding::problem("network", text).at(&standing.bridge).run(["kvmnet apply"]))
}

/// The next guest converges it, so it is not wrong.
fn outdated(seen: &Seen, standing: &Standing, configured: &Configured) -> Finding {
    let network = &configured.desired.network;
    let text = format!(
        "network {} stands on {} as another configuration wants it: what is changed holds from the next guest on",
        network.name, standing.bridge
    );
    let finding = Finding { place: place(seen, network, Key::Mode), ..Finding::note("network", text) };
    finding.run(["kvmnet apply"])
}

/// What a hook would do now for a guest that is on already; nothing, where nobody has changed anything.
fn changed(standing: &Standing, Configured { desired, observed }: &Configured) -> Option<Finding> {
    if standing.is_dead() {
        return None;
    }
    let mut observed = observed.clone();
    // Those are leftovers, and told as such.
    observed.networks.retain(|other| !other.is_dead() || other.bridge == standing.bridge);
    // What speaks against it is told elsewhere.
    let plan = plan::up(desired, &observed).ok()?;
    let mut steps = plan.steps().filter(|step| is_change(step, desired));
    let first = steps.next()?;
    let more = match steps.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let text = format!(
        "network {} was changed by another hand; to {}{more} is left to do",
        desired.network.name,
        first.deed()
    );
    Some(Finding::problem("network", text).at(&standing.bridge).run(["kvmnet apply"]))
}

/// Whether a step changes anything of the network. The MTU of a tap may be its owner's will; where it is too large, that
/// is told elsewhere.
fn is_change(step: &Step, desired: &Desired) -> bool {
    match step {
        Step::Barrier | Step::Ask(_) | Step::Confirm(_) | Step::AwaitOperational { .. } => false,
        Step::Set { link, setting: Setting::Mtu, .. } => Some(*link) != desired.tap,
        _ => true,
    }
}

/// It was taken out of the file while guests are on it.
fn unknown(standing: &Standing, mark: &Mark) -> Finding {
    let text = format!(
        "network {} stands on {}, and the configuration has no network on that bridge",
        mark.network, standing.bridge
    );
    Finding::note("network", text).at(&standing.bridge).say(format!(
        "it goes with its last guest; to end it now: kvmnet down --force {}",
        shell_word(&mark.network)
    ))
}
