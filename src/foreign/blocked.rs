//! What guests of a network are promised by its mode and do not get, because a chain drops it.

use super::{Asks, Firewall, Obstacle, Opening, Packet};
use crate::desired::Desired;
use crate::feature;
use crate::firewalld;
use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, HookPoint};
use crate::model::port::{DHCP4, DHCP4_CLIENT, DHCP6, DHCP6_CLIENT};
use crate::model::ruleset::Family;
use crate::model::{FirewallUse, Network};
use crate::observed::Observed;

/// What drops guests' packets to the outside, and what comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub out: Option<Obstacle>,
    pub back: Option<Obstacle>,
}

impl Dropped {
    /// In words; None where nothing is known to be dropped.
    pub fn told(self, network: &str) -> Option<String> {
        Some(match (self.out, self.back) {
            (None, None) => return None,
            (Some(out), Some(back)) => {
                let what = out.max(back);
                format!("{what} drops what the guests of network {network} send out, and what comes back")
            }
            (Some(what), None) => format!("{what} drops what the guests of network {network} send out"),
            (None, Some(what)) => format!("{what} drops what comes back to the guests of network {network}"),
        })
    }

    /// Whether it is what goes out, and what comes back.
    pub fn ways(self) -> [bool; 2] {
        [self.out.is_some(), self.back.is_some()]
    }
}

/// What a chain that packets pass through drops of a network's; None where it meets none of them.
pub fn forwarded(
    firewall: &Firewall,
    chain: &ForeignChain,
    desired: &Desired,
    observed: &Observed,
) -> Option<Dropped> {
    let families =
        || [false, true].into_iter().filter(|v6| chain.protocol.sees(*v6) && desired.forwards(*v6));
    families().next()?;
    let host = || vec![desired.host_if().to_string()];
    let uplinks = |v6| feature::uplinks(desired, observed, v6).iter().map(ToString::to_string).collect();
    let out = |v6| Packet { iif: host(), oif: uplinks(v6), v6, ..Packet::default() };
    let back = |v6| Packet { iif: uplinks(v6), oif: host(), answers: true, v6, ..Packet::default() };
    Some(Dropped {
        out: families().filter_map(|v6| firewall.obstacle(chain, &out(v6))).max(),
        back: families().filter_map(|v6| firewall.obstacle(chain, &back(v6))).max(),
    })
}

/// What drops what guests send to the host itself. Rules that let everybody in mean some service.
pub fn received(firewall: &Firewall, chain: &ForeignChain, network: &Network) -> Option<Obstacle> {
    to_host(firewall, chain, network, |_| Asks::Host)
}

/// What drops what guests ask for their addresses.
pub fn asked(firewall: &Firewall, chain: &ForeignChain, network: &Network) -> Option<Obstacle> {
    let port = |v6| Asks::Port(if v6 { DHCP6 } else { DHCP4 });
    if network.serves_dhcp() { to_host(firewall, chain, network, port) } else { None }
}

fn to_host(
    firewall: &Firewall,
    chain: &ForeignChain,
    network: &Network,
    asks: impl Fn(bool) -> Asks,
) -> Option<Obstacle> {
    // It goes out by no interface.
    let (iif, oif) = (vec![network.host_if().to_string()], vec![String::new()]);
    let packet = |v6| Packet { iif: iif.clone(), oif: oif.clone(), v6, asks: asks(v6), ..Packet::default() };
    families(chain, network).filter_map(|v6| firewall.obstacle(chain, &packet(v6))).max()
}

/// What drops what tells guests their addresses.
pub fn told(firewall: &Firewall, chain: &ForeignChain, network: &Network) -> Option<Obstacle> {
    let (iif, oif) = (vec![String::new()], vec![network.host_if().to_string()]);
    let asks = |v6| Asks::Port(if v6 { DHCP6_CLIENT } else { DHCP4_CLIENT });
    let packet = |v6| Packet { iif: iif.clone(), oif: oif.clone(), v6, asks: asks(v6), ..Packet::default() };
    let families = families(chain, network).filter(|_| network.serves_dhcp());
    families.filter_map(|v6| firewall.obstacle(chain, &packet(v6))).max()
}

/// What drops frames of guests in a chain of bridges: where rules accept interfaces by name, they may be the taps'.
pub fn bridged(firewall: &Firewall, chain: &ForeignChain) -> Option<Obstacle> {
    let names = |one: &Condition| matches!(one, Condition::Iif(_, true) | Condition::Oif(_, true));
    let accepts = |rule: &ForeignRule| rule.fate == Fate::Accept && rule.conditions.iter().any(names);
    let obstacle = firewall.obstacle(chain, &Packet { asks: Asks::Host, ..Packet::default() })?;
    (!firewall.rules_beside(chain).any(accepts)).then_some(obstacle)
}

/// The families of a network's addresses that a chain sees.
fn families<'a>(chain: &'a ForeignChain, network: &'a Network) -> impl Iterator<Item = bool> + 'a {
    network.addresses.iter().map(|net| net.addr().is_ipv6()).filter(|v6| chain.protocol.sees(*v6))
}

/// Whether kvmnet opens the chain by itself for this network.
pub fn opens(observed: &Observed, chain: &ForeignChain, network: &Network) -> bool {
    let integrates = network.firewall == FirewallUse::Integrate;
    integrates && observed.iptables_chains.iter().any(|known| known.is(chain))
}

/// Whether kvmnet has firewalld open it.
fn has_zone(chain: &ForeignChain, network: &Network) -> bool {
    let integrates = network.firewall == FirewallUse::Integrate && chain.table == firewalld::TABLE;
    integrates && firewalld::zone_of(network.mode).is_some()
}

/// A line for each chain that keeps guests from the outside, or from their addresses, and that kvmnet cannot open: its name,
/// and the commands.
pub fn blocked(firewall: &Firewall, desired: &Desired, observed: &Observed) -> Vec<String> {
    if desired.network.firewall == FirewallUse::Ignore {
        return Vec::new();
    }
    let network = &desired.network;
    let is_opened = |chain: &ForeignChain| opens(observed, chain, network) || has_zone(chain, network);
    let is_closed = |opening: &Opening| opening.legacy || !is_opened(opening.chain);
    let openings = firewall.openings().filter(is_closed);
    let mut lines: Vec<String> = openings.filter_map(|opening| line(opening, desired, observed)).collect();
    let more = lines.len().saturating_sub(MOST_LINES);
    if more > 0 {
        lines.truncate(MOST_LINES);
        lines.push(format!(
            "{more} more chains drop what is of guests of network {}: kvmnet check",
            network.name
        ));
    }
    lines
}

/// Who has more chains that drop reads of them where nothing else is said.
const MOST_LINES: usize = 8;

fn line(opening: Opening, desired: &Desired, observed: &Observed) -> Option<String> {
    let (Opening { firewall, chain, .. }, network) = (opening, &desired.network);
    let name = &network.name;
    let (what, commands) = match (chain.point?, chain.protocol) {
        (HookPoint::Forward, Family::Bridge) => {
            let what = bridged(firewall, chain)?;
            (format!("{what} drops frames between the guests of network {name}"), vec![opening.taps()])
        }
        (_, Family::Bridge) => return None,
        (HookPoint::Forward, _) => {
            let dropped = forwarded(firewall, chain, desired, observed)?;
            (dropped.told(name)?, opening.forward(network, dropped.ways()))
        }
        (HookPoint::Input, _) => {
            let what = asked(firewall, chain, network)?;
            let text = format!(
                "{what} drops what the guests of network {name} ask the host for, as their addresses"
            );
            (text, opening.asked(network))
        }
        (HookPoint::Output, _) => {
            let what = told(firewall, chain, network)?;
            let text = format!("{what} drops what tells the guests of network {name} their addresses");
            (text, opening.told(network))
        }
        (HookPoint::Other, _) => return None,
    };
    Some(format!("{}: {what}; what opens it: {}", opening.name(), commands.join("; ")))
}
