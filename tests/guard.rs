//! The reserved group addresses 01:80:c2:00:00:00 to 0f: a bridge forwards none of them, and gives them to the host's
//! stack on the port itself, where nothing that is done to the bridge is met. In every mode a guest's are dropped on
//! its tap. Judged by what the host hears and takes on, never by an answer that is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lab::{Capture, Frame, Lab, Listener, Machine, Network, World, each_mode, eventually, frame, within};

const ATTACKER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const TYPES: [u16; 5] = [frame::ARP, frame::IPV4, frame::IPV6, frame::VLAN, frame::FOREIGN];

fn reserved(last: u8) -> [u8; 6] {
    [0x01, 0x80, 0xc2, 0, 0, last]
}

/// Every kind of frame that a host's stack acts upon, to one hardware address.
fn attacks(to: [u8; 6]) -> Vec<(&'static str, Vec<u8>)> {
    let frame = Frame { from: ATTACKER, to };
    let (guest, host) = (Ipv4Addr::new(10, 0, 100, 1), Ipv4Addr::new(192, 168, 1, 230));
    let zero = Ipv4Addr::UNSPECIFIED;
    let link_local: Ipv6Addr = "fe80::5054:ff:fe12:3456".parse().unwrap();
    let (guest6, host6): (Ipv6Addr, Ipv6Addr) =
        ("fd00:100::1".parse().unwrap(), "fd00:1::230".parse().unwrap());
    let udp4 = frame.udp4(guest, host, "heard");
    vec![
        ("ARP", frame.arp_request(guest, host)),
        ("ARP from nobody", frame.arp_request(zero, host)),
        ("neighbour solicitation", frame.neighbour_solicitation(link_local, host6)),
        ("router advertisement", frame.router_advertisement(link_local, "2001:db8:bad::".parse().unwrap())),
        ("UDP", udp4.clone()),
        ("UDP from nobody", frame.udp4(zero, Ipv4Addr::BROADCAST, "heard")),
        ("UDP with a foreign source", frame.udp4(Ipv4Addr::new(192, 168, 1, 25), host, "heard")),
        ("UDP to all systems", frame.udp4(guest, Ipv4Addr::new(224, 0, 0, 1), "heard")),
        ("UDP over IPv6", frame.udp6(guest6, host6, "heard")),
        ("UDP to all nodes", frame.udp6(link_local, "ff02::1".parse().unwrap(), "heard")),
        ("ping", frame.echo4(guest, host)),
        ("ping over IPv6", frame.echo6(guest6, host6)),
        ("TCP", frame.tcp(guest.into(), host.into(), 7000, frame::SYN)),
        ("VLAN", frame::tagged(&udp4, 5)),
        ("priority", frame::tagged(&udp4, 0)),
        ("foreign type", frame.raw(frame::FOREIGN, b"hello")),
    ]
}

/// What the host's stack is handed on one interface.
struct Watch {
    stacks: Vec<Capture>,
    service: Listener,
    interface: usize,
    before: [String; 2],
}

impl Watch {
    fn on(host: &Machine, interface: &str) -> Self {
        let number = host.ip(&format!("-o link show dev {interface}"));
        Self {
            stacks: TYPES.map(|ethertype| Capture::of_stack(host, ethertype)).into(),
            service: Listener::on(host),
            interface: number.split(':').next().unwrap().parse().unwrap(),
            before: Self::state(host),
        }
    }

    /// The addresses and the IPv6 routes of the host.
    fn state(host: &Machine) -> [String; 2] {
        [host.ip("-o addr show"), host.ip("-6 route show table all")].map(|text| {
            text.lines().map(|line| line.split(" valid_lft").next().unwrap().to_owned() + "\n").collect()
        })
    }

    /// The kinds of those frames that came up on the interface, and to which address.
    fn climbed(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let came: Vec<Vec<u8>> =
            self.stacks.iter_mut().flat_map(|stack| stack.frames_by(self.interface)).collect();
        for last in 0..16 {
            for (kind, sent) in attacks(reserved(last)) {
                let untagged = sent[12..14] == frame::VLAN.to_be_bytes();
                let payload = if untagged { &sent[16..] } else { &sent[12..] };
                let is_it = |frame: &Vec<u8>| frame[..6] == sent[..6] && frame[12..].starts_with(payload);
                if came.iter().any(is_it) {
                    found.push(format!("{kind} to …:{last:02x}"));
                }
            }
        }
        found
    }
}

fn send_all(world: &World) {
    for last in 0..16 {
        for (_, bytes) in attacks(reserved(last)) {
            world.one.inject(&bytes);
        }
    }
    eventually("guest 2 answers guest 1", || world.one.pings(&world.lab.network.guest(2).v4));
}

/// Fails the test if a frame climbs up on the tap, or changes the host, or is heard. Without the filter it is forwarded
/// as any other, to a host that is on the network, too.
#[track_caller]
fn nothing_climbs(world: &World, what: &str, filtered: bool) {
    let Network { mode, keys, .. } = world.lab.network;
    let closed = filtered || mode == "isolated";
    let mut watch = Watch::on(&world.lab.host, "vif0.0");
    send_all(world);
    assert_eq!(
        watch.climbed(),
        [] as [&str; 0],
        "{mode} {keys}: {what}: handed to the host's stack on the tap"
    );
    assert!(
        !closed || !watch.service.has_heard("heard"),
        "{mode} {keys}: {what}: the host has heard a datagram"
    );
    if mode != "bridged" {
        assert_eq!(
            Watch::state(&world.lab.host),
            watch.before,
            "{mode} {keys}: {what}: addresses and routes"
        );
    }
}

#[track_caller]
fn reserved_groups_are_dropped(network: Network) {
    let world = World::new(network, false);
    nothing_climbs(&world, "as it is", true);
    world.lab.host.run("nft flush ruleset");
    nothing_climbs(&world, "without tables", true);
    world.lab.host.run("tc qdisc del dev vif0.0 clsact");
    nothing_climbs(&world, "without tables and the filter of the tap", false);
}

/// The attack works where nobody guards the port.
#[test]
fn reserved_groups_reach_the_host_on_a_plain_bridge() {
    let lab = Lab::new(Network::ISOLATED);
    let one = lab.boot(1);
    lab.host.ip("link add br0 type bridge forward_delay 0");
    lab.host.ip("link set br0 up");
    lab.host.ip("link set vif0.0 master br0 up");
    eventually("the tap has its link-local address", || lab.host.link_local("vif0.0").is_some());
    let mut watch = Watch::on(&lab.host, "vif0.0");
    for last in 0..16 {
        attacks(reserved(last)).iter().for_each(|(_, bytes)| one.inject(bytes));
    }
    within(Duration::from_secs(5), || watch.climbed().len() >= 14 * attacks([0; 6]).len());
    let climbed = watch.climbed();
    // 00 is forwarded where the bridge speaks no spanning tree, and 01 goes nowhere.
    for last in 2..16 {
        for (kind, _) in attacks(reserved(last)) {
            let attack = format!("{kind} to …:{last:02x}");
            assert!(climbed.contains(&attack), "{attack} works on a plain bridge");
        }
    }
    assert!(watch.service.has_heard("heard"));
    eventually("the guest is the host's router", || {
        lab.host.ip("-6 route show default").contains("via fe80::5054:ff:fe12:3456 dev vif0.0")
    });
    assert_ne!(Watch::state(&lab.host), watch.before);
}

each_mode!(reserved_groups_are_dropped);

/// A guest that sends from ever new MACs fills no memory of the host's: the bridge learns so many and no more, and still
/// carries what is for those that it could not learn.
#[test]
fn learned_macs_are_bounded() {
    for (network, bound) in [(Network::NAT, 4096), (Network::BRIDGED, 16384)] {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        for number in 0..bound + 1000 {
            let [.., a, b, c] = u32::to_be_bytes(number);
            let from = [2, 7, 7, a, b, c];
            one.inject(&Frame { from, to: frame::BROADCAST }.raw(frame::FOREIGN, b"me"));
        }
        let two = lab.attach(2);
        lab.settle();
        eventually("guest 2 answers guest 1", || {
            one.pings(&network.guest(2).v4) && two.pings(&network.guest(1).v4)
        });
        let learned = lab.host.run("bridge fdb show br br0 dynamic").lines().count();
        assert!(learned > 1000 && learned <= bound as usize, "{network:?}: {learned} learned");
    }
}

/// A guest that says it is a router does not become the host's, also on a bridge that was there before.
#[test]
fn no_guest_is_the_hosts_router() {
    let own: Ipv6Addr = "fe80::5054:ff:fe12:3456".parse().unwrap();
    let frame = Frame { from: ATTACKER, to: [0x33, 0x33, 0, 0, 0, 1] };
    let attack = frame.router_advertisement(own, "2001:db8:bad::".parse().unwrap());
    for network in [Network::HOST_ONLY, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT] {
        for found in [false, true] {
            let lab = Lab::new(network);
            if found {
                lab.host.ip("link add br0 type bridge");
            }
            let (one, _two) = (lab.attach(1), lab.attach(2));
            eventually("the host is on the network, and no address is tentative", || {
                one.pings("fd00:100::3") && lab.host.ip("-6 addr show tentative").is_empty()
            });
            let before = Watch::state(&lab.host);
            one.inject(&attack);
            eventually("guest 2 answers guest 1", || one.pings(&network.guest(2).v4));
            assert_eq!(Watch::state(&lab.host), before, "{network:?}, found: {found}");
            let host_if = if network.keys.contains("veth") { "veth1.1" } else { "br0" };
            lab.host.sysctl(&format!("ipv6/conf/{host_if}/accept_ra"), "2");
            one.inject(&attack);
            eventually("it would where it is listened to", || Watch::state(&lab.host) != before);
        }
    }
}
