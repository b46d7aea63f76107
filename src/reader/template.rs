//! What an interface will be like that is still to come: a network without guests and a guest without a tap are
//! planned by it.

use std::fs;
use std::io;

use crate::model::link::{ETHERNET, Ipv4Conf, Ipv6Conf};
use crate::model::setting::{IPV4, IPV6};
use crate::model::{AddrGen, IfName, Link};

/// An interface with the values of `net.ipv4.conf.default` and `net.ipv6.conf.default`, under that name and without
/// a number. Netlink (RTM_GETNETCONF) tells only some of them, so they are read from files.
pub(super) fn interface() -> io::Result<Link> {
    let mut copied = [0; IPV4.len()];
    for (value, (key, _)) in copied.iter_mut().zip(IPV4) {
        // What this kernel does not have is of no meaning.
        *value = read(4, key)?.unwrap_or_default();
    }
    let of_ipv4 = |key: &str| read(4, key).map(Option::unwrap_or_default);
    Ok(Link {
        index: 0,
        name: IfName::DEFAULT,
        altnames: Vec::new(),
        kind: None,
        hardware: ETHERNET,
        up: false,
        loopback: false,
        carrier: false,
        operational: false,
        mtu: 1500,
        mac: None,
        peer: None,
        master: None,
        group_fwd_mask: None,
        isolated: None,
        fdb_max_learned: None,
        stp_delay: 0,
        default_vlan: None,
        group: 0,
        alias: String::new(),
        token: None,
        addr_gen: read(6, "addr_gen_mode")?.map(|mode| AddrGen(mode as u8)),
        ipv4: Ipv4Conf {
            forwarding: of_ipv4("forwarding")?,
            rp_filter: of_ipv4("rp_filter")?,
            arp_ignore: of_ipv4("arp_ignore")?,
            accept_local: of_ipv4("accept_local")?,
            route_localnet: of_ipv4("route_localnet")?,
            copied,
        },
        ipv6: ipv6()?,
        leads_abroad: false,
        tun: None,
    })
}

/// None on a machine without IPv6.
fn ipv6() -> io::Result<Option<Ipv6Conf>> {
    let Some(accept_ra) = read(6, "accept_ra")? else { return Ok(None) };
    let mut copied = [0; IPV6.len()];
    for (value, (key, _)) in copied.iter_mut().zip(IPV6) {
        *value = read(6, key)?.unwrap_or_default();
    }
    let disable_ipv6 = read(6, "disable_ipv6")?.unwrap_or_default();
    let force_forwarding = read(6, "force_forwarding")?;
    let is_of_5_19 = read(6, "accept_untracked_na")?.is_some();
    Ok(Some(Ipv6Conf { accept_ra, disable_ipv6, force_forwarding, is_of_5_19, copied }))
}

/// A value; None where this kernel has no such key.
fn read(family: u8, key: &str) -> io::Result<Option<u32>> {
    match fs::read_to_string(format!("/proc/sys/net/ipv{family}/conf/default/{key}")) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
