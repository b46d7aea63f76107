//! What no honest IP stack would send: frames made by hand, from a guest whose root is an attacker, and packets that
//! a neighbour of the host sends through it. Every attack is also made where it must succeed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "attacks/router.rs"]
mod router;

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use lab::{Capture, Frame, Lab, Listener, Network, World, each_mode, eventually, frame, within};
use nix::sys::socket::{setsockopt, sockopt};

const ATTACKER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const HOST_ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::new(10, 0, 100, 3),
    Ipv4Addr::new(192, 168, 1, 230),
    Ipv4Addr::new(10, 77, 0, 1),
    Ipv4Addr::new(10, 99, 0, 1),
];

/// A frame from guest 1 to the interface of the host that is in the guests' network.
fn to_host(world: &World) -> Frame {
    Frame { from: ATTACKER, to: world.lab.host.mac("br0") }
}

fn to_all() -> Frame {
    Frame { from: ATTACKER, to: frame::BROADCAST }
}

/// Waits until all that guest 1 sent has passed its wire, and whatever came back has come: guest 2 answers last.
fn fence(world: &World) {
    eventually("guest 2 answers guest 1", || world.one.pings(&world.lab.network.guest(2).v4));
}

/// The frames that came to guest 1 from the host itself.
fn from_host(world: &World) -> Vec<Vec<u8>> {
    let host = world.lab.host.mac("br0");
    world.one.heard().into_iter().filter(|bytes| frame::sender(bytes) == Some(host)).collect()
}

/// For which of the host's addresses the host has told guest 1 where it is.
fn arp_answers(network: Network) -> Vec<Ipv4Addr> {
    let world = World::new(network, false);
    for target in HOST_ADDRESSES {
        world.one.inject(&to_all().arp_request(Ipv4Addr::new(10, 0, 100, 1), target));
        world.one.inject(&to_host(&world).arp_request(Ipv4Addr::UNSPECIFIED, target));
    }
    fence(&world);
    let heard = world.one.heard();
    HOST_ADDRESSES
        .into_iter()
        .filter(|&target| heard.iter().any(|f| frame::is_arp_reply_for(f, target)))
        .collect()
}

#[test]
fn isolated_host_answers_no_arp() {
    assert_eq!(arp_answers(Network::ISOLATED), [] as [Ipv4Addr; 0]);
    assert_eq!(
        arp_answers(Network::HOST_ONLY),
        HOST_ADDRESSES,
        "the attack works where the host is on the network"
    );
}

/// For which of the host's IPv6 addresses the host has answered a neighbour solicitation. Its link-local one
/// follows from its hardware address.
fn neighbour_answers(network: Network) -> Vec<Ipv6Addr> {
    let world = World::new(network, false);
    let [a, b, c, d, e, f] = world.lab.host.mac("br0").map(u16::from);
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f);
    let targets = [link_local, "fd00:100::3".parse().unwrap()];
    let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456);
    for target in targets {
        for to in [to_host(&world), to_all()] {
            world.one.inject(&to.neighbour_solicitation(own, target));
        }
    }
    fence(&world);
    let heard = world.one.heard();
    targets
        .into_iter()
        .filter(|&target| heard.iter().any(|f| frame::is_advertisement_of(f, target)))
        .collect()
}

#[test]
fn isolated_host_answers_no_neighbour_solicitation() {
    assert_eq!(neighbour_answers(Network::ISOLATED), [] as [Ipv6Addr; 0]);
    assert_eq!(
        neighbour_answers(Network::HOST_ONLY).len(),
        2,
        "the attack works where the host is on the network"
    );
}

/// Datagrams of every kind of target that the host's service would hear; returns the kinds that were heard.
fn datagrams_heard(network: Network) -> Vec<String> {
    let world = World::new(network, false);
    let mut service = Listener::on(&world.lab.host);
    let guest = Ipv4Addr::new(10, 0, 100, 1);
    let guest6: Ipv6Addr = "fd00:100::1".parse().unwrap();
    let mut frames = vec![
        ("broadcast", to_all().udp4(guest, Ipv4Addr::BROADCAST, "broadcast")),
        ("subnet broadcast", to_all().udp4(guest, Ipv4Addr::new(10, 0, 100, 255), "subnet broadcast")),
        ("from 0.0.0.0", to_all().udp4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, "from 0.0.0.0")),
        (
            "all nodes",
            Frame { to: [0x33, 0x33, 0, 0, 0, 1], ..to_all() }.udp6(
                guest6,
                "ff02::1".parse().unwrap(),
                "all nodes",
            ),
        ),
        ("IPv6 unicast", to_host(&world).udp6(guest6, "fd00:1::230".parse().unwrap(), "IPv6 unicast")),
    ];
    frames.extend(HOST_ADDRESSES.map(|target| ("unicast", to_host(&world).udp4(guest, target, "unicast"))));
    for (_, bytes) in &frames {
        world.one.inject(bytes);
    }
    fence(&world);
    within(Duration::from_secs(1), || frames.iter().all(|(kind, _)| service.has_heard(kind)));
    let mut kinds: Vec<String> = frames.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    kinds.dedup();
    kinds.retain(|kind| service.has_heard(kind));
    kinds
}

#[test]
fn isolated_host_hears_no_datagram_of_any_kind() {
    assert_eq!(datagrams_heard(Network::ISOLATED), [] as [&str; 0]);
    let kinds = ["broadcast", "subnet broadcast", "from 0.0.0.0", "all nodes", "IPv6 unicast", "unicast"];
    assert_eq!(datagrams_heard(Network::ROUTED), kinds, "the attack works where the host is on the network");
}

/// How many of four frames climb into the host's stack, before any of it looks at their content: a foreign
/// ethertype, IPv4 from 0.0.0.0 to an address of the host, IPv4 to all systems, IPv6 from :: to all nodes.
fn frames_in_stack(network: Network) -> usize {
    let world = World::new(network, false);
    let (all_systems, all_nodes) = ([1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]);
    let zero = Ipv4Addr::UNSPECIFIED;
    let attacks = [
        (frame::FOREIGN, to_host(&world).raw(frame::FOREIGN, b"hello")),
        (frame::IPV4, to_host(&world).udp4(zero, HOST_ADDRESSES[1], "zero")),
        (frame::IPV4, Frame { to: all_systems, ..to_all() }.udp4(zero, Ipv4Addr::new(224, 0, 0, 1), "all")),
        (
            frame::IPV6,
            Frame { to: all_nodes, ..to_all() }.udp6(
                Ipv6Addr::UNSPECIFIED,
                "ff02::1".parse().unwrap(),
                "zero6",
            ),
        ),
    ];
    let mut stacks = attacks.each_ref().map(|(ethertype, _)| Capture::of_stack(&world.lab.host, *ethertype));
    attacks.iter().for_each(|(_, bytes)| world.one.inject(bytes));
    fence(&world);
    let mut arrived = || {
        stacks
            .iter_mut()
            .zip(&attacks)
            .filter_map(|(s, (_, sent))| s.frames().contains(sent).then_some(()))
            .count()
    };
    within(Duration::from_secs(1), || arrived() == attacks.len());
    arrived()
}

#[test]
fn isolated_host_is_handed_no_frame_at_all() {
    assert_eq!(frames_in_stack(Network::ISOLATED), 0);
    assert_eq!(frames_in_stack(Network::ROUTED), 4, "the attack works where the host is on the network");
}

/// The frames that guest 1 has got from the host, whose daemons speak to every interface they find, the bridge
/// included.
fn what_daemons_tell(network: Network) -> Vec<Vec<u8>> {
    let world = World::new(network, false);
    world.lab.host.enter(|| {
        for (bind, target) in
            [("0.0.0.0", "255.255.255.255:67"), ("0.0.0.0", "224.0.0.251:5353"), ("::", "[ff02::1]:5353")]
        {
            let daemon = UdpSocket::bind((bind, 0)).unwrap();
            daemon.set_broadcast(true).unwrap();
            setsockopt(&daemon, sockopt::BindToDevice, &"br0".into()).unwrap();
            let _refused = daemon.send_to(b"is anybody there?", target);
        }
    });
    fence(&world);
    from_host(&world)
}

#[test]
fn isolated_guests_hear_nothing_of_the_host() {
    assert_eq!(what_daemons_tell(Network::ISOLATED), [] as [Vec<u8>; 0]);
    assert!(
        what_daemons_tell(Network::HOST_ONLY).len() >= 3,
        "they hear it where the host is on the network"
    );
}

/// Which sources the outside machine sees on packets from the host's side when guest 1 sends under a foreign name.
fn sources_seen_outside(network: Network) -> Vec<String> {
    let world = World::new(network, false);
    let mut capture = Capture::of_wire(&world.lab.outside);
    let gate = Frame { from: ATTACKER, to: world.lab.host.mac(network.gate) };
    for source in ["203.0.113.5", "10.0.200.1", "10.0.100.1"] {
        world.one.inject(&gate.udp4(source.parse().unwrap(), "192.168.1.25".parse().unwrap(), source));
    }
    for source in ["2001:db8::5", "fd00:200::1", "fd00:100::1"] {
        world.one.inject(&gate.udp6(source.parse().unwrap(), "fd00:1::25".parse().unwrap(), source));
    }
    eventually("an honest packet arrives last", || {
        world.one.pings("192.168.1.25") && world.one.pings("fd00:1::25")
    });
    [capture.sources_towards("192.168.1.25"), capture.sources_towards("fd00:1::25")].concat()
}

#[test]
fn nat_lets_no_foreign_source_leave() {
    for network in [Network::NAT, Network::NAT_SOURCE, Network::NAT_VETH] {
        let seen = sources_seen_outside(network);
        assert_eq!(
            seen,
            ["192.168.1.230", "fd00:1::230"],
            "{network:?}: outside sees the host and nobody else"
        );
    }
    let routed = sources_seen_outside(Network::ROUTED);
    for own in ["10.0.100.1", "fd00:100::1"] {
        assert!(
            routed.iter().any(|source| source == own),
            "without NAT the guest's own address is seen: {routed:?}"
        );
    }
}

/// Between guests of one bridge nothing is translated and nothing is lost, even where the host's IP firewall is
/// shown every bridged frame.
#[track_caller]
fn guests_talk_through_br_netfilter(network: Network) {
    let lab = Lab::new(network);
    lab.bridged_frames_pass_firewall(true);
    lab.host.run("nft add table ip witness");
    lab.host.run("nft add chain ip witness forward { type filter hook forward priority 10 ; }");
    lab.host.run("nft add rule ip witness forward ip protocol udp counter");
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    let (from, to) = (network.guest(1), network.guest(2));
    let mut service = Listener::on(&two);
    eventually("guests answer one another", || one.pings(&to.v4) && one.pings(&to.v6));
    one.send(&to.v4, "four");
    one.send(&to.v6, "six");
    eventually("both datagrams arrive", || service.has_heard("four") && service.has_heard("six"));
    assert_eq!([service.source_of("four"), service.source_of("six")], [Some(from.v4), Some(from.v6)]);
    let witness = lab.host.run("nft list table ip witness");
    assert!(
        !witness.contains("packets 0 "),
        "the firewall is shown bridged frames, else this proves nothing: {witness}"
    );
}

each_mode!(guests_talk_through_br_netfilter);

const WORDS: &str = "to a closed port";

/// What the outside gets of a guest that asks the host in the outside's name: answers from these addresses, and an error with
/// the guest's own words.
fn reflected(network: Network, prepare: &[&str]) -> Vec<String> {
    let lab = Lab::new(network);
    let one = lab.attach(1);
    lab.settle();
    prepare.iter().for_each(|command| drop(lab.host.run(command)));
    let mut capture = Capture::of_wire(&lab.outside);
    let to = Frame { from: ATTACKER, to: lab.host.mac(network.gate) };
    let outside: (Ipv4Addr, Ipv6Addr) = ("192.168.1.25".parse().unwrap(), "fd00:1::25".parse().unwrap());
    one.inject(&to.echo4(outside.0, "10.0.100.3".parse().unwrap()));
    one.inject(&to.echo6(outside.1, "fd00:100::3".parse().unwrap()));
    one.inject(&to.udp4(outside.0, "192.168.1.230".parse().unwrap(), WORDS));
    eventually("the guest is answered itself, after all that", || {
        one.pings("10.0.100.3") && one.pings("fd00:100::3")
    });
    // The host's own packets come last.
    eventually("the host reaches the outside", || {
        lab.host.pings("192.168.1.25") && lab.host.pings("fd00:1::25")
    });
    let hosts = ["10.0.100.3", "fd00:100::3"];
    let towards = |capture: &mut Capture, target: &str| capture.sources_towards(target);
    let mut sources = [towards(&mut capture, "192.168.1.25"), towards(&mut capture, "fd00:1::25")].concat();
    sources.retain(|source| hosts.contains(&source.as_str()));
    let words = |frame: &Vec<u8>| frame.windows(WORDS.len()).any(|part| part == WORDS.as_bytes());
    sources.extend(capture.frames().iter().any(words).then(|| WORDS.to_owned()));
    sources
}

/// What a host-only guest may not send itself, the host does not send for it: no echo and no error with its words goes to
/// whom it names as the sender.
#[test]
fn the_host_reflects_nothing() {
    for network in
        [Network::HOST_ONLY, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT, Network::NAT_VETH]
    {
        assert_eq!(reflected(network, &[]), [] as [String; 0], "{network:?}");
    }
    let all = ["10.0.100.3", "fd00:100::3", WORDS];
    let open = [
        "nft flush ruleset",
        "tc filter del dev br0 ingress pref 3",
        "sysctl -qw net.ipv4.conf.br0.rp_filter=0",
    ];
    assert_eq!(
        reflected(Network::HOST_ONLY, &[open[0], open[2]]),
        [] as [String; 0],
        "without the table, and with any source believed, there is the filter"
    );
    assert_eq!(
        reflected(Network::HOST_ONLY, &open),
        all,
        "the attack works without both, and with any source believed"
    );
}

/// Whether the outside hears a routed guest that speaks in the name of another, or of the host itself.
fn hears_forged(prepare: &[&str]) -> bool {
    let lab = Lab::new(Network::ROUTED);
    let one = lab.attach(1);
    lab.settle();
    lab.outside_knows_the_way();
    prepare.iter().for_each(|command| drop(lab.host.run(command)));
    let mut service = Listener::on(&lab.outside);
    let to = Frame { from: ATTACKER, to: lab.host.mac("br0") };
    for source in ["fd00:1::230", "fd00:1::26", "2001:db8::8"] {
        one.inject(&to.udp6(source.parse().unwrap(), "fd00:1::25".parse().unwrap(), "forged"));
    }
    for source in ["10.0.200.1", "8.8.8.8"] {
        one.inject(&to.udp4(source.parse().unwrap(), "192.168.1.25".parse().unwrap(), "forged"));
    }
    one.send("192.168.1.25", "honest");
    one.send("fd00:1::25", "honest, too");
    eventually("an honest datagram arrives", || {
        service.has_heard("honest") && service.has_heard("honest, too")
    });
    service.has_heard("forged")
}

#[test]
fn a_routed_guest_speaks_as_itself() {
    assert!(!hears_forged(&[]));
    assert!(hears_forged(&["nft flush ruleset"]), "the attack works without the rule");
}
