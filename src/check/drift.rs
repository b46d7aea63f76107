//! Networks that are up, with guests or kept, and are not what they should be.

use super::finding::{Finding, Place};
use super::input::{CheckInput, Configured};
use crate::config::key::mode;
use crate::desired::Desired;
use crate::guests::other_ports;
use crate::item::{LinkChange, SettingChange, Step, TableChange};
use crate::model::ruleset::table_name;
use crate::model::{IfName, Ledger, Mode, Setting, Veth};
use crate::observed::{Instance, Tables};
use crate::plan;
use crate::reader::is_proc_fixed;
use crate::terminal::shell_word;

/// Of every network that is in use.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let in_use = input.networks_up().filter(|(instance, _)| !instance.is_unused());
    let findings = in_use.flat_map(|(instance, ledger)| {
        [network(input, instance, ledger), foreign_port(input, instance, ledger)]
    });
    let ports =
        input.configured.iter().filter(|one| one.desired.network.is_port_only() && one.desired.tap.is_some());
    let ports = ports.filter_map(|one| changed(&one.desired.network.bridge, one));
    findings.flatten().chain(ports).collect()
}

fn network(input: &CheckInput, instance: &Instance, ledger: &Ledger) -> Option<Finding> {
    let configured = input.configured.iter().find(|one| one.desired.network.bridge == instance.bridge);
    let broken =
        missing_tables(input, instance, ledger, configured).or_else(|| missing_pair(input, instance, ledger));
    if broken.is_some() {
        return broken;
    }
    match configured {
        Some(configured) if configured.desired.network.digest == ledger.digest => {
            changed(&instance.bridge, configured)
        }
        // Reported as the refusal of the next guest.
        Some(_) if ledger.overridden => None,
        Some(configured) => Some(outdated(input, instance, configured)),
        None => input.config.errors.is_empty().then(|| unknown(instance, ledger)),
    }
}

/// Without its tables a network's guests are not kept in, and NAT is gone.
fn missing_tables(
    input: &CheckInput,
    instance: &Instance,
    ledger: &Ledger,
    configured: Option<&Configured>,
) -> Option<Finding> {
    let is_readable = input.observed.nft == Tables::Readable;
    let family = instance.missing_tables().into_iter().find(|_| is_readable)?;
    let Ledger { network, .. } = ledger;
    let loss = match ledger.mode {
        Mode::Isolated | Mode::HostOnly | Mode::Routed => "nothing keeps its guests in",
        Mode::Nat => "its guests have no NAT, and nothing keeps them in",
        Mode::Bridged => "the copy of its record is gone",
    };
    let is_other = |step: &Step| {
        !matches!(step, Step::Table(TableChange::Add(_)) | Step::Link(LinkChange::Alias { .. }))
    };
    let more = configured.and_then(|configured| left(configured, is_other));
    let more = more.map_or(String::new(), |more| format!("; also left to do: {more}"));
    let bridge = &instance.bridge;
    let text = format!("the table of network {network} on {bridge} is missing: {loss}{more}");
    let place = Place::table(family, &table_name(bridge));
    Some(Finding::problem("network", text).at(place).run(["kvmnet apply"]))
}

/// The pair by which the host is on the network.
fn missing_pair(
    input: &CheckInput,
    Instance { bridge, link, .. }: &Instance,
    Ledger { network, veth, .. }: &Ledger,
) -> Option<Finding> {
    let Veth { outer, inner } = veth.as_ref()?;
    let facts = &input.observed.facts;
    let index = link.as_ref().map(|link| link.index);
    let joined = facts.link(outer).is_some_and(|outer| outer.master == index);
    let text =
        format!("the host is not on network {network}: {outer} and {inner} do not join it to {bridge}");
    let finding = || Finding::problem("network", text).at(bridge).run(["kvmnet apply"]);
    (!joined || facts.link(inner).is_none()).then(finding)
}

/// Only a note: the next guest converges it.
fn outdated(input: &CheckInput, instance: &Instance, configured: &Configured) -> Finding {
    let network = &configured.desired.network;
    let (name, bridge) = (&network.name, &instance.bridge);
    let text = format!(
        "network {name} on {bridge} was made from another configuration: changes take effect with the next guest"
    );
    Finding::note("network", text).in_config(input, network, &mode::KEY).run(["kvmnet apply"])
}

/// What a hook would do now for a guest that is on already; nothing, where nobody has changed anything.
fn changed(bridge: &IfName, configured: &Configured) -> Option<Finding> {
    let (name, left) = (&configured.desired.network.name, left(configured, |_| true)?);
    let text = format!("network {name} was changed by something else; left to do: {left}");
    Some(Finding::problem("network", text).at(bridge).run(["kvmnet apply"]))
}

/// The first step that a hook would take, of those that `is_meant` says, and how many more there are.
fn left(Configured { desired, observed }: &Configured, is_meant: impl Fn(&Step) -> bool) -> Option<String> {
    // Without a sweep: unused networks are reported as leftovers, and refusals by themselves.
    let transactions = plan::bring_up(desired, observed).ok()?;
    let steps = transactions.iter().flat_map(|one| &one.steps);
    let mut steps = steps.filter(|step| is_change(step, desired) && is_meant(step));
    let first = steps.next()?.deed();
    Some(match steps.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    })
}

/// A NIC, a container or another cable that somebody put into a bridge of kvmnet's: guests are on that LAN.
fn foreign_port(input: &CheckInput, instance: &Instance, ledger: &Ledger) -> Option<Finding> {
    if ledger.mode == Mode::Bridged {
        return None;
    }
    let port = other_ports(instance, &input.observed.facts).find(|port| !port.ends_here())?;
    let (name, bridge, network) = (port.name, &instance.bridge, &ledger.network);
    let text =
        format!("{name} is a port of {bridge}: the guests of network {network} are on the LAN behind it");
    let command = format!("ip link set {} nomaster", shell_word(name));
    Some(Finding::problem("network", text).at(bridge).run([command]))
}

/// Whether a step changes anything of the network. The owner of a tap may set its MTU; one that is too large is reported
/// by itself.
fn is_change(step: &Step, desired: &Desired) -> bool {
    match step {
        step if step.is_spare() && is_proc_fixed() => false,
        // Missing rules are reported with their chain.
        Step::AcceptRules(_) | Step::Wait(_) | Step::Probe(_) => false,
        Step::Setting(SettingChange { link, setting: Setting::Mtu, .. }) => Some(*link) != desired.tap,
        _ => true,
    }
}

/// It was taken out of the file while guests are on it.
fn unknown(Instance { bridge, .. }: &Instance, Ledger { network, .. }: &Ledger) -> Finding {
    let text =
        format!("network {network} is up on {bridge}, and the configuration has no network on that bridge");
    let name = shell_word(network);
    let way_out = format!("it goes with its last guest; to end it now: kvmnet down --force {name}");
    Finding::note("network", text).at(bridge).say(way_out)
}
