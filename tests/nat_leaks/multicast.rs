//! A multicast router on the host, as mrouted or smcroute make it: what it sends on passes the last hook without the
//! interface that it came in by, so that NAT and what looks at its failures do not know it.

use std::mem::size_of_val;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;

use super::{ATTACKER, BY_ROUTES, datagram, fence, ip, to_gate, untranslated};
use crate::lab::{Capture, Frame, Machine, Network, World, within};

use std::time::Duration;

/// MRT_INIT and MRT6_INIT, ADD_VIF and ADD_MIF, ADD_MFC (`linux/mroute.h`, `linux/mroute6.h`).
const INIT: i32 = 200;
const ADD_VIF: i32 = 202;
const ADD_MFC: i32 = 204;
/// VIFF_USE_IFINDEX.
const BY_INDEX: u8 = 8;

/// A group for each version, and the frames that carry it.
const GROUPS: [(&str, [u8; 6]); 2] =
    [("239.1.2.3", [1, 0, 0x5e, 1, 2, 3]), ("ff0e::1:2:3", [0x33, 0x33, 0, 2, 0, 3])];
const SOURCES: [&str; 2] = ["10.0.100.1", "fd00:100::1"];

/// The routers of both versions, for as long as these sockets are open.
struct Router([OwnedFd; 2]);

impl Router {
    /// From the network's own interface to the uplink.
    fn on(host: &Machine, gate: &str) -> Self {
        host.enter(|| {
            let sockets = [(libc::AF_INET, libc::IPPROTO_IGMP), (libc::AF_INET6, libc::IPPROTO_ICMPV6)]
                .map(|(family, protocol)| raw_socket(family, protocol));
            let router = Self(sockets);
            router.set(INIT, [&1i32.to_ne_bytes(), &1i32.to_ne_bytes()]);
            for (number, name) in (0u8..).zip([gate, "eth3"]) {
                let index = if_nametoindex(name).expect("the interface is there");
                // struct vifctl, struct mif6ctl.
                let vif = [&[number, 0, BY_INDEX, 1], &[0; 4][..], &index.to_ne_bytes(), &[0; 4]].concat();
                let short = u16::try_from(index).expect("a number").to_ne_bytes();
                let mif = [&[number, 0, 0, 1], &short[..], &[0; 2], &[0; 4]].concat();
                router.set(ADD_VIF, [&vif, &mif]);
            }
            let [(group4, _), (group6, _)] = GROUPS;
            // struct mfcctl: out by the second with a TTL over 1. struct mf6cctl: out by the second.
            let mut ttls = [0; 32];
            ttls[1] = 1;
            let mfc = [&octets(SOURCES[0])[..], &octets(group4), &[0; 2], &ttls, &[0; 18]].concat();
            let name =
                |address: &str| [&10u16.to_ne_bytes()[..], &[0; 6], &octets(address), &[0; 4]].concat();
            let mut set = [0; 32];
            set[0] = 2;
            let mfc6 = [&name(SOURCES[1])[..], &name(group6), &[0; 4], &set].concat();
            router.set(ADD_MFC, [&mfc, &mfc6]);
            router
        })
    }

    fn set(&self, option: i32, values: [&[u8]; 2]) {
        for ((socket, level), value) in self.0.iter().zip([libc::IPPROTO_IP, libc::IPPROTO_IPV6]).zip(values)
        {
            let length = u32::try_from(size_of_val(value)).expect("a length");
            // SAFETY: the pointer is to this many bytes, which outlive the call.
            let result =
                unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length) };
            Errno::result(result)
                .expect("the kernel routes multicast (CONFIG_IP_MROUTE, CONFIG_IPV6_MROUTE)");
        }
    }
}

fn raw_socket(family: i32, protocol: i32) -> OwnedFd {
    // SAFETY: socket() takes no pointer.
    let fd = unsafe { libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    let fd = Errno::result(fd).expect("a raw socket needs root");
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn octets(address: &str) -> Vec<u8> {
    match ip(address) {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// What leaves with the guest's own address of what it sends to groups that the host routes.
fn multicast_seen_outside(network: Network) -> Vec<String> {
    let world = World::new(network, false);
    let _router = Router::on(&world.lab.host, network.gate);
    let mut capture = Capture::of_wire(&world.lab.outside);
    for ((group, mac), source) in GROUPS.into_iter().zip(SOURCES) {
        let frame = Frame { to: mac, from: ATTACKER };
        world.one.inject(&datagram(frame, source, group, "to a group"));
        world.one.inject(&datagram(Frame { to: mac, ..to_gate(&world.lab) }, source, group, "again"));
    }
    within(Duration::from_millis(500), || untranslated(&mut capture).len() >= 4);
    fence(&world.one);
    untranslated(&mut capture)
}

#[test]
fn a_multicast_router_on_the_host_sends_nothing_untranslated() {
    for network in [Network::NAT, Network::NAT_SOURCE, Network::NAT_VETH, BY_ROUTES] {
        assert_eq!(multicast_seen_outside(network), [] as [&str; 0], "{network:?}");
    }
    let routed = multicast_seen_outside(Network::ROUTED);
    assert!(routed.len() >= 4, "both versions are routed where nothing is translated: {routed:?}");
}
