//! One text, one value.
//!
//! In: the text of a value. Out: the value, right by itself, or what is wrong with it.
//! Never: knows where the text stands, or what the other keys say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::error::Problem;
use crate::model::{IfName, Mode, Veth};

/// What other programs call the modes.
const FOREIGN_MODES: [(&str, Mode); 7] = [
    ("private", Mode::Isolated),
    ("internal", Mode::Isolated),
    ("none", Mode::Isolated),
    ("masquerade", Mode::Nat),
    ("user", Mode::Nat),
    ("macvtap", Mode::Bridged),
    ("passthrough", Mode::Bridged),
];

/// `nat`
pub fn mode(text: &str) -> Result<Mode, Problem> {
    let words = Mode::ALL.map(Mode::as_str);
    if let Some(mode) = Mode::ALL.into_iter().find(|mode| mode.as_str() == text) {
        return Ok(mode);
    }
    let problem = Problem::new(format!("{text:?} is not a mode ({})", words.join(", ")));
    let foreign = FOREIGN_MODES.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    Err(match foreign {
        Some((_, mode)) => problem.hint(format!("did you mean \"{mode}\"?")),
        None => problem.did_you_mean(text, words),
    })
}

/// The name of an interface that kvmnet is to make.
pub fn new_interface(text: &str) -> Result<IfName, Problem> {
    let name = IfName::new(text)?;
    // The kernel replaces %d with a number, and has directories of these names under /proc/sys/net.
    if text.contains('%') || matches!(text, "all" | "default" | "lo") {
        return Err(Problem::new(format!("{text:?} is a name that the kernel keeps for itself")));
    }
    Ok(name)
}

/// `veth1`, for the pair veth1.0 and veth1.1.
pub fn veth(text: &str) -> Result<Veth, Problem> {
    new_interface(text)?;
    let too_long = |bad| Problem::from(bad).hint("a name for two ends, .0 and .1, has at most 13 bytes");
    Veth::named(text).map_err(too_long)
}

/// An interface, or `None` for `auto`.
pub fn uplink(text: &str) -> Result<Option<IfName>, Problem> {
    match text {
        "auto" => Ok(None),
        _ => Ok(Some(IfName::new(text)?)),
    }
}

/// `take`, or what holds without it: `refuse`.
pub fn uplink_managed(text: &str) -> Result<bool, Problem> {
    match text {
        "take" => Ok(true),
        "refuse" => Ok(false),
        _ => Err(Problem::new(format!("{text:?} is neither \"take\" nor \"refuse\""))
            .did_you_mean(text, ["take", "refuse"])),
    }
}

/// `192.168.1.230`
pub fn nat_source(text: &str) -> Result<IpAddr, Problem> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let problem = Problem::new(format!("{text:?} is not an address"));
        let before_slash = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
        return Err(match before_slash {
            Some(address) => problem.hint(format!("an address without a prefix: \"{address}\"")),
            None => problem.hint("one of the uplink's addresses, like \"192.168.1.230\""),
        });
    };
    unicast(address)?;
    Ok(address)
}

/// `10.0.100.3/24`: an address that a host with guests in the same subnet can have.
pub fn address(text: &str) -> Result<IpNet, Problem> {
    let net = with_prefix(text)?;
    unicast(net.addr())?;
    let guests = match net {
        IpNet::V4(_) => 30,
        IpNet::V6(_) => 126,
    };
    if net.prefix_len() == 0 {
        return Err(Problem::new(format!("the subnet of {text:?} is the whole Internet")));
    }
    if net.prefix_len() <= guests && net.addr() == net.network() {
        let problem = Problem::new(format!("{text:?} is the address of the subnet itself"));
        return Err(problem.hint("write an address of the host in it"));
    }
    if net.prefix_len() <= guests && matches!(net, IpNet::V4(_)) && net.addr() == net.broadcast() {
        let problem = Problem::new(format!("{text:?} is the broadcast address of its subnet"));
        return Err(problem.hint("write an address of the host in it"));
    }
    Ok(net)
}

/// An address alone is a gateway for guests that have single addresses, each with a route to the bridge; only what is routed
/// has those.
pub fn has_room(net: &IpNet) -> Result<(), Problem> {
    if net.prefix_len() < net.max_prefix_len() {
        return Ok(());
    }
    let problem = Problem::new(format!("\"{net}\" leaves no room for a guest"));
    Err(problem.hint(format!("did you mean \"{}/{}\"?", net.addr(), usual_prefix(net.addr()))))
}

fn with_prefix(text: &str) -> Result<IpNet, Problem> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
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
    match address {
        IpAddr::V4(_) => 24,
        IpAddr::V6(_) => 64,
    }
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
    Err(Problem::new(format!("{address} is {kind}, no host has it")))
}
