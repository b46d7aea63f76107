//! What is wrong with the networks of the configuration: the refusals that a hook would meet with, and uplinks that lead
//! nowhere now.

use ipnet::IpNet;

use super::finding::{Finding, Place};
use super::input::{CheckInput, Configured};
use crate::config::key::{Key, address, bridge, nat_source, uplink, veth};
use crate::desired::Desired;
use crate::feature;
use crate::model::{IfName, Link, Mode, Network, Origin, Uplink};
use crate::plan::{self, Refusal};
use crate::terminal::shell_word;

/// Of every network.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    input.configured.iter().flat_map(|configured| network(input, configured)).collect()
}

fn network(input: &CheckInput, configured: &Configured) -> Vec<Finding> {
    let Configured { desired, observed } = configured;
    let network = &desired.network;
    let refusals = plan::refusals(desired, observed);
    let mut findings: Vec<Finding> =
        refusals.iter().map(|refusal| refused(input, network, refusal)).collect();
    if findings.iter().any(|finding| finding.kind == "uplink") {
        return findings;
    }
    findings.extend(spanning_tree(input, network));
    findings.extend(vlans(input, network));
    findings.extend(loopback(input, network));
    findings.extend(nat_source(input, network));
    findings.extend(ipv6(input, desired));
    findings.extend(idle(input, configured));
    findings.extend([false, true].into_iter().filter_map(|v6| no_default_route(input, configured, v6)));
    findings
}

/// A refusal, at the line that the hook would be refused for.
fn refused(input: &CheckInput, network: &Network, refusal: &Refusal) -> Finding {
    if let Refusal::Overridden { bridge, .. } = refusal {
        let text = format!("{refusal}: a guest without them is refused");
        return Finding::note("network", text).at(bridge).run(["kvmnet apply"]);
    }
    let (kind, key) = match refusal {
        Refusal::AddressTaken { .. } | Refusal::SubnetTaken { .. } | Refusal::NoFreeSubnet { .. } => {
            ("collision", &address::KEY)
        }
        Refusal::NameTaken(_) => ("interface", &veth::KEY),
        Refusal::NoUplink { .. }
        | Refusal::NoDefaultRoute
        | Refusal::Unbridgeable { .. }
        | Refusal::PortOfAnother { .. }
        | Refusal::Unmovable { .. }
        | Refusal::Managed { .. } => ("uplink", &uplink::KEY),
        _ => ("interface", &bridge::KEY),
    };
    let place = match refusal {
        Refusal::OverrideInUse { variable, .. } => Some(Place::Variable(variable.clone())),
        Refusal::AddressTaken { address, .. } => address_place(input, network, |net| net.addr() == *address),
        Refusal::SubnetTaken { subnet, .. } => address_place(input, network, |net| net.trunc() == *subnet),
        _ => place(input, network, key),
    };
    let text = match refusal {
        // The place says where.
        Refusal::NoUplink { name, network, .. } => {
            format!("there is no interface {name}, the uplink of network {network}")
        }
        other => format!("network {}: {other}", network.name),
    };
    let finding = Finding { place, ..Finding::problem(kind, text) };
    match refusal {
        Refusal::AddressTaken { .. } | Refusal::SubnetTaken { .. } if network.auto_address => {
            finding.say(CHOOSES_AGAIN)
        }
        _ => finding.hint(refusal.hint()),
    }
}

const CHOOSES_AGAIN: &str = "it takes a free subnet when it comes up anew, after its last guest or `kvmnet down`; or end what the route is for";

/// Where a key's value stands: in the environment, or in the file; else the file as a whole.
fn place(input: &CheckInput, network: &Network, key: &Key) -> Option<Place> {
    match network.origin(key.word) {
        Origin::Default => input.config.file.path().map(Place::file),
        origin => Some(Place::from(origin)),
    }
}

fn address_place(input: &CheckInput, network: &Network, is_it: impl Fn(&IpNet) -> bool) -> Option<Place> {
    let net = network.addresses.iter().find(|net| is_it(net))?;
    let place = input.config.file.address_place(&network.name, net).map(Place::from);
    place.or_else(|| self::place(input, network, &address::KEY))
}

impl Finding {
    /// Where a key's value stands.
    pub fn in_config(self, input: &CheckInput, network: &Network, key: &Key) -> Self {
        Self { place: place(input, network, key), ..self }
    }
}

/// On a bridge that was found as it is; kvmnet's own have none.
fn spanning_tree(input: &CheckInput, network: &Network) -> Option<Finding> {
    let bridge = input.observed.facts.link(&network.bridge).filter(|bridge| bridge.stp_delay != 0)?;
    let (name, seconds, word) = (&network.name, bridge.stp_delay / 100, shell_word(bridge.name));
    let text =
        format!("its spanning tree is on: a guest of network {name} hears nothing for its first {seconds} s");
    Some(Finding::note("interface", text).at(&bridge.name).say(format!(
        "have the guest wait for its network; or, where no two ways lead from the bridge to one LAN: ip link set {word} type bridge stp_state 0"
    )))
}

/// On a bridge that was found as it is.
fn vlans(input: &CheckInput, network: &Network) -> Option<Finding> {
    let bridge = input.observed.facts.link(&network.bridge)?;
    let name = &network.name;
    let (finding, text): (fn(_, _) -> _, _) = match bridge.default_vlan? {
        0 => (
            Finding::problem,
            format!("it filters VLANs, and a guest of network {name} is in none: nothing passes"),
        ),
        vlan => (
            Finding::note,
            format!("it filters VLANs: a guest of network {name} is in VLAN {vlan}, untagged"),
        ),
    };
    Some(
        finding("interface", text)
            .at(&bridge.name)
            .say("another one: bridge vlan add dev TAP vid VLAN pvid untagged"),
    )
}

fn loopback(input: &CheckInput, network: &Network) -> Option<Finding> {
    let Uplink::Named(names) = &network.uplink else { return None };
    let is_loopback = |name: &&IfName| input.observed.facts.link(name).is_some_and(|link| link.loopback);
    let name = names.iter().filter(|_| network.mode.forwards()).find(is_loopback)?;
    let text =
        format!("the uplink {name} of network {} leads nowhere: it is the loopback interface", network.name);
    let finding = Finding::problem("uplink", text).in_config(input, network, &uplink::KEY);
    Some(finding.say("write the NIC that leads outside, or leave `uplink` out; `ip -br link` lists them"))
}

/// Answers to an address that the host does not have are lost, as a rule.
fn nat_source(input: &CheckInput, network: &Network) -> Option<Finding> {
    let source = network.nat_source.filter(|source| !input.addresses.contains(source))?;
    let name = &network.name;
    let text = format!(
        "network {name} sends as {source}, which no interface here has: answers come to this host only if that address is routed to it"
    );
    let way_out = "write one of the uplink's addresses (`ip -br addr` lists them), or leave nat_source out";
    Some(Finding::problem("nat-source", text).in_config(input, network, &nat_source::KEY).say(way_out))
}

/// An IPv6 address for an interface that takes none.
fn ipv6(input: &CheckInput, desired: &Desired) -> Option<Finding> {
    let network = &desired.network;
    let is_ipv6 = |net: &IpNet| net.addr().is_ipv6();
    let net = network.addresses.iter().find(|net| is_ipv6(net))?;
    let finding = |text: String| Finding {
        place: address_place(input, network, is_ipv6),
        ..Finding::problem("ipv6", text)
    };
    let Some(off) = &input.without_ipv6 else {
        let text = format!("network {} has the address {net}, and this kernel has no IPv6", network.name);
        return Some(finding(text).say("leave that address out, or start the kernel with IPv6"));
    };
    let host_if = desired.host_if();
    let is_there = input.observed.facts.link(host_if).is_some();
    let name = if is_there { host_if.as_str() } else { "default" };
    let key = format!("net/ipv6/conf/{name}/disable_ipv6");
    let text =
        format!("network {} has the address {net}, and IPv6 is off for {host_if} ({key})", network.name);
    let command = format!("sysctl -w {}", shell_word(format!("{key}=0")));
    off.iter().any(|off| off == name).then(|| finding(text).run([command]))
}

/// Uplinks that are named, or taken, and carry nothing.
fn idle(input: &CheckInput, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let links: Vec<&Link> = match &network.uplink {
        _ if network.mode == Mode::Bridged => observed.nic(network).into_iter().collect(),
        Uplink::Named(names) if network.mode.forwards() => {
            names.iter().filter_map(|name| input.observed.facts.link(name)).collect()
        }
        _ => Vec::new(),
    };
    let idle = links.into_iter().filter(|link| !(link.loopback || link.up && link.carrier)).map(|link| {
        let what = if link.up { "has no carrier" } else { "is down" };
        let text = format!("the uplink {} of network {} {what}", link.name, network.name);
        let finding = Finding::note("uplink", text).in_config(input, network, &uplink::KEY);
        match link.up {
            true => finding.say("plug in its cable, or start what is at its other end"),
            false => finding.run([format!("ip link set {} up", shell_word(link.name))]),
        }
    });
    idle.collect()
}

/// Guests whose packets go by the default route, where there is none.
fn no_default_route(input: &CheckInput, configured: &Configured, v6: bool) -> Option<Finding> {
    let Configured { desired, observed } = configured;
    let network = &desired.network;
    let has_way_out = || !feature::uplinks(desired, observed, v6).is_empty();
    // Whoever lets kvmnet choose has not asked for IPv6.
    let is_asked_for = !(v6 && network.auto_address);
    if network.uplink != Uplink::DefaultRoute || !desired.forwards(v6) || !is_asked_for || has_way_out() {
        return None;
    }
    let name = &network.name;
    let (family, ip) = if v6 { ("IPv6", "ip -6") } else { ("IPv4", "ip") };
    let text = format!(
        "no {family} default route now: the guests of network {name} reach nothing outside by {family}"
    );
    let finding = Finding::note("uplink", text).in_config(input, network, &uplink::KEY);
    Some(finding.say(format!("bring up the host's own connection; `{ip} route` shows its routes")))
}
