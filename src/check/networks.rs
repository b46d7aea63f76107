//! What speaks against the networks of the configuration: the refusals that a hook would meet with, and the uplinks
//! that lead nowhere now.

use super::finding::{Finding, Place};
use super::seen::{Configured, Seen};
use crate::config::key::{Key, address, bridge, nat_source, uplink, veth};
use crate::desired::Desired;
use crate::model::{IfName, Link, Mode, Network, Origin, Uplink};
use crate::plan::{self, Refusal};

/// Of every network.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    seen.configured.iter().flat_map(|configured| network(seen, configured)).collect()
}

fn network(seen: &Seen, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let refusals = plan::refusals(desired, observed);
    let mut findings: Vec<Finding> = refusals.iter().map(|refusal| refused(seen, network, refusal)).collect();
    if findings.iter().any(|finding| finding.kind == "uplink") {
        return findings;
    }
    findings.extend(nowhere(seen, network));
    findings.extend(nat_source(seen, network));
    findings.extend(ipv6(seen, desired));
    let nic = (network.mode == Mode::Bridged).then(|| observed.nic(network)).flatten();
    findings.extend(idle(seen, network, nic));
    for v6 in [false, true] {
        findings.extend(no_way_out(seen, desired, plan::uplinks(desired, observed, v6), v6));
    }
    findings
}

/// A refusal, at the line that the hook would be refused for.
fn refused(seen: &Seen, network: &Network, refusal: &Refusal) -> Finding {
    if let Refusal::Overridden { bridge, .. } = refusal {
        let text = format!("{refusal}: a guest without them is refused");
        return Finding::note("network", text).at(bridge).run(["kvmnet apply"]);
    }
    let (kind, key) = match refusal {
        Refusal::AddressTaken { .. } | Refusal::SubnetTaken { .. } => ("collision", &address::KEY),
        Refusal::NameTaken(_) => ("interface", &veth::KEY),
        Refusal::NoUplink { .. }
        | Refusal::NoDefaultRoute
        | Refusal::Unbridgeable { .. }
        | Refusal::PortOfAnother { .. }
        | Refusal::Uncarriable { .. }
        | Refusal::Managed { .. } => ("uplink", &uplink::KEY),
        _ => ("interface", &bridge::KEY),
    };
    let place = match refusal {
        Refusal::OverrideInUse { variable, .. } => Some(Place::Variable { variable: variable.clone() }),
        Refusal::AddressTaken { address, .. } => network
            .addresses
            .iter()
            .find(|net| net.addr() == *address)
            .and_then(|net| address_place(seen, network, net)),
        Refusal::SubnetTaken { subnet, .. } => network
            .addresses
            .iter()
            .find(|net| net.trunc() == *subnet)
            .and_then(|net| address_place(seen, network, net)),
        _ => place(seen, network, key),
    };
    let text = match refusal {
        // The place says where.
        Refusal::NoUplink { name, network, .. } => {
            format!("there is no interface {name}, the uplink of network {network}")
        }
        other => format!("network {}: {other}", network.name),
    };
    let finding = Finding { place, ..Finding::problem(kind, text) };
    match refusal.hint() {
        Some(hint) => finding.say(hint),
        None => finding,
    }
}

/// Where a key's value stands: in the environment, or in the file; else the file as a whole.
pub fn place(seen: &Seen, network: &Network, key: &Key) -> Option<Place> {
    if let Origin::Environment(variable) = network.origin(key.word) {
        return Some(Place::Variable { variable: variable.clone() });
    }
    let place = seen.config.place(&network.name, key);
    place.map(Place::from).or_else(|| seen.config.has_file().then(|| Place::file(&seen.config.path)))
}

fn address_place(seen: &Seen, network: &Network, net: &ipnet::IpNet) -> Option<Place> {
    let place = seen.config.address_place(&network.name, net).map(Place::from);
    place.or_else(|| self::place(seen, network, &address::KEY))
}

/// Uplinks that lead to nobody but the host.
fn nowhere(seen: &Seen, network: &Network) -> Option<Finding> {
    let Uplink::Named(names) = &network.uplink else { return None };
    let is_loopback = |name: &&IfName| seen.observed.facts.link(name).is_some_and(|link| link.loopback);
    let name = names.iter().filter(|_| network.mode.forwards()).find(is_loopback)?;
    let text =
        format!("the uplink {name} of network {} leads nowhere: it is the loopback interface", network.name);
    let finding = Finding { place: place(seen, network, &uplink::KEY), ..Finding::problem("uplink", text) };
    Some(finding.say("write the NIC that leads outside, or leave `uplink` out; `ip -br link` lists them"))
}

/// Answers to an address that the host does not have come to nobody, as a rule.
fn nat_source(seen: &Seen, network: &Network) -> Option<Finding> {
    let source = network.nat_source.filter(|source| !seen.addresses.contains(source))?;
    let text = format!(
        "network {} sends as {source}, which no interface here has: answers come to this host only if that address is routed to it",
        network.name
    );
    let finding =
        Finding { place: place(seen, network, &nat_source::KEY), ..Finding::problem("nat-source", text) };
    Some(
        finding
            .say("write one of the uplink's addresses (`ip -br addr` lists them), or leave nat_source out"),
    )
}

/// An IPv6 address for an interface that takes none.
fn ipv6(seen: &Seen, desired: &Desired) -> Option<Finding> {
    let network = &desired.network;
    let net = network.addresses.iter().find(|net| net.addr().is_ipv6())?;
    let finding =
        |text: String| Finding { place: address_place(seen, network, net), ..Finding::problem("ipv6", text) };
    let Some(off) = &seen.without_ipv6 else {
        let text = format!("network {} has the address {net}, and this kernel has no IPv6", network.name);
        return Some(finding(text).say("leave that address out, or start the kernel with IPv6"));
    };
    let door = desired.door();
    let is_there = seen.observed.facts.link(door).is_some();
    let name = if is_there { door.as_str() } else { "default" };
    let key = format!("net/ipv6/conf/{name}/disable_ipv6");
    let text = format!("network {} has the address {net}, and IPv6 is off for {door} ({key})", network.name);
    let command = format!("sysctl -w {}", crate::terminal::shell_word(format!("{key}=0")));
    off.iter().any(|off| off == name).then(|| finding(text).run([command]))
}

/// Uplinks that are named, or taken, and carry nothing.
fn idle(seen: &Seen, network: &Network, nic: Option<&Link>) -> Vec<Finding> {
    let named = match &network.uplink {
        Uplink::Named(names) if network.mode.forwards() => names.as_slice(),
        _ => &[],
    };
    let links = named.iter().filter_map(|name| seen.observed.facts.link(name));
    let idle = links.chain(nic).filter_map(|link| {
        let name = &link.name;
        let finding = |what: &str| {
            let text = format!("the uplink {name} of network {} {what}", network.name);
            Finding { place: place(seen, network, &uplink::KEY), ..Finding::note("uplink", text) }
        };
        match (link.up, link.carrier) {
            _ if link.loopback => None,
            (false, _) => Some(finding("is down").run([format!("ip link set {} up", word(name))])),
            (true, false) => {
                Some(finding("has no carrier").say("plug in its cable, or start what is at its other end"))
            }
            (true, true) => None,
        }
    });
    idle.collect()
}

/// Guests whose packets go by the default route, where there is none.
fn no_way_out(seen: &Seen, desired: &Desired, uplinks: Vec<IfName>, v6: bool) -> Option<Finding> {
    let network = &desired.network;
    if !uplinks.is_empty() || network.uplink != Uplink::DefaultRoute || !desired.forwards(v6) {
        return None;
    }
    let family = if v6 { "IPv6" } else { "IPv4" };
    let text = format!(
        "no {family} default route now: the guests of network {} reach nothing outside by {family}",
        network.name
    );
    let finding = Finding { place: place(seen, network, &uplink::KEY), ..Finding::note("uplink", text) };
    let ip = if v6 { "ip -6" } else { "ip" };
    Some(finding.say(format!("bring up the host's own connection; `{ip} route` shows its routes")))
}

/// A name as a shell takes it.
pub fn word(name: &IfName) -> String {
    crate::terminal::shell_word(name)
}
