//! Networks that stand, with guests or kept, and are not what they should be.

use super::finding::{Finding, Place};
use super::networks::place;
use super::seen::{Configured, Seen, Tables};
use crate::config::key::mode;
use crate::desired::Desired;
use crate::model::ruleset::table_name;
use crate::model::{Mark, Mode, Setting};
use crate::observed::{Standing, is_proc_fixed};
use crate::plan::{self, Step};
use crate::terminal::shell_word;

/// Of every network that is not dead.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    seen.observed
        .networks
        .iter()
        .filter(|standing| !standing.is_dead())
        .flat_map(|one| network(seen, one).into_iter().chain(joined(seen, one)))
        .collect()
}

fn network(seen: &Seen, standing: &Standing) -> Option<Finding> {
    let mark = standing.mark.as_ref()?;
    let on_bridge = |one: &&Configured| one.desired.network.bridge == standing.bridge;
    let configured = seen.configured.iter().find(on_bridge);
    let missing = missing_tables(seen, standing, mark, configured);
    if let Some(finding) = missing.or_else(|| missing_pair(seen, standing, mark)) {
        return Some(finding);
    }
    match configured {
        // That is told as what the next guest meets with.
        Some(configured) if configured.desired.network.digest != mark.digest && mark.overridden => None,
        Some(configured) if configured.desired.network.digest != mark.digest => {
            Some(outdated(seen, standing, configured))
        }
        Some(configured) => changed(standing, configured),
        None if seen.config.errors.is_empty() => Some(unknown(standing, mark)),
        None => None,
    }
}

/// Without its tables a network's guests are kept from nothing, and NAT is gone.
fn missing_tables(
    seen: &Seen,
    standing: &Standing,
    mark: &Mark,
    configured: Option<&Configured>,
) -> Option<Finding> {
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
    let is_other = |step: &Step| !matches!(step, Step::AddTable(_) | Step::SetAlias { .. });
    let more = configured.and_then(|configured| left(standing, configured, is_other));
    let more = more.map(|more| format!("; to {more} is left to do, too")).unwrap_or_default();
    let text =
        format!("the table of network {} on {} is missing: {loss}{more}", mark.network, standing.bridge);
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
    let finding = Finding { place: place(seen, network, &mode::KEY), ..Finding::note("network", text) };
    finding.run(["kvmnet apply"])
}

/// What a hook would do now for a guest that is on already; nothing, where nobody has changed anything.
fn changed(standing: &Standing, configured: &Configured) -> Option<Finding> {
    let left = left(standing, configured, |_| true)?;
    let network = &configured.desired.network.name;
    let text = format!("network {network} was changed by another hand; to {left} is left to do");
    Some(Finding::problem("network", text).at(&standing.bridge).run(["kvmnet apply"]))
}

/// The first thing that a hook would do, of those that `is_meant` says, and how many more there are.
fn left(
    standing: &Standing,
    Configured { desired, observed }: &Configured,
    is_meant: impl Fn(&Step) -> bool,
) -> Option<String> {
    if standing.is_dead() {
        return None;
    }
    let mut observed = observed.clone();
    // Those are leftovers, and told as such.
    observed.networks.retain(|other| !other.is_dead() || other.bridge == standing.bridge);
    // What speaks against it is told elsewhere.
    let plan = plan::up(desired, &observed).ok()?;
    let mut steps = plan.steps().filter(|step| is_change(step, desired) && is_meant(step));
    let first = steps.next()?.deed();
    Some(match steps.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    })
}

/// A NIC, a container or another cable that somebody put into a bridge of kvmnet's: guests are on that LAN.
fn joined(seen: &Seen, standing: &Standing) -> Option<Finding> {
    let mark = standing.mark.as_ref().filter(|mark| mark.mode != Mode::Bridged)?;
    let index = standing.link.as_ref()?.index;
    let is_own = |name| mark.veth.as_ref().is_some_and(|veth| veth.outer == name);
    let mut ports = seen.observed.facts.links.iter().filter(|link| link.master == Some(index));
    let port = ports.find(|port| !port.is_tap() && !port.ends_here() && !is_own(port.name))?;
    let text = format!(
        "{} is a port of {}: the guests of network {} are on the LAN behind it",
        port.name, standing.bridge, mark.network
    );
    let command = format!("ip link set {} nomaster", shell_word(port.name));
    Some(Finding::problem("network", text).at(&standing.bridge).run([command]))
}

/// Whether a step changes anything of the network. The MTU of a tap may be its owner's will; where it is too large, that
/// is told elsewhere.
fn is_change(step: &Step, desired: &Desired) -> bool {
    if step.is_spare() && is_proc_fixed() {
        return false;
    }
    match step {
        // Told with the chain that they are missing in.
        Step::AddPassages(_) | Step::DeletePassages { .. } => false,
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
