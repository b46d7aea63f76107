//! `address`: the host's addresses on the network, and so the guests' gateways.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{ConfigError, Entry, Form, Key, Mode, Network, PLAIN, Problem, Section, Value};

pub(crate) static KEY: Key = Key {
    word: "address",
    #[cfg(test)]
    meaning: "the host's address, or a list; IPv4 and IPv6; \"auto\" is `10.0.100.3/24`, or another subnet where that is taken, and one of IPv6",
    default: Some(AUTO),
    is_own: true,
    is_used: Mode::has_host_address,
    form: Form::List,
    set,
    get: |network| match network.auto_address {
        true => Some(Value::list([AUTO])),
        false => Some(Value::list(&network.addresses)),
    },
    digest: |network| match network.auto_address {
        true => Some(AUTO.to_owned()),
        false => Some(format!("{:?}", network.addresses)),
    },
    check,
    ..PLAIN
};

/// Any that are free.
const AUTO: &str = "auto";

fn set(network: &mut Network, entry: &Entry) -> Result<(), Vec<ConfigError>> {
    let items = entry.items();
    let is_auto = |text: &str| text == AUTO && items.len() == 1;
    // None is "auto".
    let words = entry.list(|text| if is_auto(text) { Ok(None) } else { parse(text).map(Some) })?;
    network.auto_address = words.contains(&None);
    network.addresses = words.into_iter().flatten().collect();
    Ok(())
}

/// `10.0.100.3/24`: an address that a host with guests in the same subnet can have.
fn parse(text: &str) -> Result<IpNet, Problem> {
    let net = with_prefix(text)?;
    unicast(net.addr())?;
    if net.prefix_len() == 0 {
        return Err(Problem::new(format!("the subnet of {text:?} is the whole Internet")));
    }
    let kind = match net {
        _ if net.prefix_len() + 2 > net.max_prefix_len() => return Ok(net),
        _ if net.addr() == net.network() => "the address of the subnet itself",
        IpNet::V4(v4) if v4.addr() == v4.broadcast() => "the broadcast address of its subnet",
        _ => return Ok(net),
    };
    Err(Problem::new(format!("{text:?} is {kind}")).hint("write an address of the host in it"))
}

fn with_prefix(text: &str) -> Result<IpNet, Problem> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    if text == AUTO {
        let problem = Problem::new("\"auto\" cannot stand beside addresses");
        return Err(problem.hint("write address = \"auto\" alone, or the addresses alone"));
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        let problem = Problem::new(format!("{text:?} is not an address"));
        return Err(problem.hint("an address of the host with its prefix, like \"10.0.100.3/24\""));
    };
    let Some(prefix) = prefix else {
        let problem = Problem::new(format!("{text:?} has no prefix"));
        return Err(problem.hint(format!("did you mean \"{address}/{}\"?", usual_prefix(address))));
    };
    // Not "+24", nor "024", which some programs take for octal.
    let number = prefix.parse::<u8>().ok().filter(|number| number.to_string() == prefix);
    let net = number.and_then(|number| IpNet::new(address, number).ok());
    net.ok_or_else(|| {
        let problem = Problem::new(format!("{prefix:?} is not a prefix of an address"));
        let mask = prefix.parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        match mask.and_then(|mask| ipnet::ip_mask_to_prefix(mask).ok()) {
            Some(bits) => problem.hint(format!("did you mean \"{address}/{bits}\"?")),
            None => problem.hint(format!("like \"{address}/{}\"", usual_prefix(address))),
        }
    })
}

fn usual_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 24 } else { 64 }
}

/// An address of one host, without a prefix; `hint` says which one is meant.
pub(super) fn plain(text: &str, hint: &str) -> Result<IpAddr, Problem> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let problem = Problem::new(format!("{text:?} is not an address"));
        let before_slash = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
        let without = before_slash.map(|address| format!("an address without a prefix: \"{address}\""));
        return Err(problem.hint(hint).hint_if(without));
    };
    unicast(address)?;
    Ok(address)
}

/// Refuses what is not an address of one host for others to speak to.
fn unicast(address: IpAddr) -> Result<(), Problem> {
    let kind = match address {
        IpAddr::V4(v4) if v4.octets().first() == Some(&0) => "an address of \"this network\"",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "the broadcast address",
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => "the unspecified address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 form",
        _ if address.is_loopback() => "a loopback address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            let problem = Problem::new(format!("{address} is a link-local address"));
            return Err(problem.hint("leave it out: an interface has one by itself"));
        }
        _ => return Ok(()),
    };
    Err(Problem::new(format!("{address} is {kind}, which no host can have")))
}

fn check(section: &Section, earlier: &[Section]) -> Vec<ConfigError> {
    let (addresses, mode) = (&section.network.addresses, section.network.mode);
    let Some(entry) = section.used(&KEY) else {
        let name = section.name();
        let hint = format!("write address = \"auto\", or one like \"10.0.101.3/24\", under [network.{name}]");
        let missing = section.missing("address, which its mode needs", hint);
        return Vec::from_iter(Some(missing).filter(|_| mode.has_host_address()));
    };
    let errors = addresses.iter().zip(entry.items()).enumerate().flat_map(|(at, (net, item))| {
        let own = addresses.iter().take(at).find(|other| overlap(other, net));
        let of_own = own.map(|other| overlap_problem(net, other));
        let of_others = earlier.iter().filter_map(|other| overlap_with(net, other));
        let problems = no_room(net, mode).into_iter().chain(of_own).chain(of_others);
        problems.map(|problem| item.error(problem))
    });
    errors.collect()
}

/// An address alone is a gateway for guests that have single addresses, each with a route to the bridge; only what is
/// routed has those.
fn no_room(net: &IpNet, mode: Mode) -> Option<Problem> {
    if net.prefix_len() < net.max_prefix_len() || mode == Mode::Routed {
        return None;
    }
    let problem = Problem::new(format!("\"{net}\" leaves no room for a guest"));
    Some(problem.hint(format!("did you mean \"{}/{}\"?", net.addr(), usual_prefix(net.addr()))))
}

fn overlap_problem(net: &IpNet, other: &IpNet) -> Problem {
    Problem::new(match other == net {
        true => format!("duplicate address \"{net}\""),
        false => format!("the subnet of \"{net}\" overlaps that of \"{other}\""),
    })
}

fn overlap_with(net: &IpNet, other: &Section) -> Option<Problem> {
    let items = other.used(&KEY)?.items();
    let (taken, item) = other.network.addresses.iter().zip(items).find(|(taken, _)| overlap(taken, net))?;
    let whose = other.described(&item.place);
    let problem = Problem::new(format!("the subnet of \"{net}\" overlaps that of \"{taken}\" in {whose}"));
    Some(problem.hint("each network has its own subnet"))
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
