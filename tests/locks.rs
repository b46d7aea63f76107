//! A bridge that is closed to the host has two locks, the netdev table and the filter on the bridge itself, and each of
//! them holds alone: whatever the machine's settings for routing, source validation and br_netfilter say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use lab::{Capture, Cli, Frame, Guest, Lab, Listener, Machine, Network, World, eventually, frame, within};
use nix::sys::socket::{setsockopt, sockopt};

const ATTACKER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const TYPES: [u16; 4] = [frame::ARP, frame::IPV4, frame::IPV6, frame::FOREIGN];
const HEARD: &str = "heard";

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Every frame that could find a way through a door that is not shut: forged sources of both families, nobody's source,
/// and an option that no stack knows.
fn attacks(host: [u8; 6]) -> Vec<Vec<u8>> {
    let to_host = Frame { from: ATTACKER, to: host };
    let to_all = Frame { to: frame::BROADCAST, ..to_host };
    let nodes = Frame { to: [0x33, 0x33, 0, 0, 0, 1], ..to_host };
    let [guest, zero, outside, other] =
        [[10, 0, 100, 1], [0; 4], [192, 168, 1, 25], [10, 77, 0, 2]].map(Ipv4Addr::from);
    let mut frames = Vec::new();
    for source in [guest, outside, other, Ipv4Addr::new(203, 0, 113, 5), Ipv4Addr::new(192, 168, 1, 230)] {
        for target in [[192, 168, 1, 230], [10, 77, 0, 1], [10, 99, 0, 1], [192, 168, 1, 25], [10, 77, 0, 2]]
        {
            frames.push(to_host.udp4(source, target.into(), HEARD));
            frames.push(to_host.udp4_with_bad_option(source, target.into(), HEARD));
            frames.push(to_host.echo4(source, target.into()));
        }
        frames.push(to_all.udp4(source, Ipv4Addr::BROADCAST, HEARD));
        frames.push(to_all.arp_request(source, Ipv4Addr::new(192, 168, 1, 230)));
    }
    frames.push(to_all.udp4(zero, Ipv4Addr::BROADCAST, HEARD));
    frames.push(to_all.arp_request(zero, Ipv4Addr::new(192, 168, 1, 230)));
    for source in ["fd00:100::1", "fe80::5054:ff:fe12:3456", "2001:db8::5", "fd00:1::25", "::"].map(v6) {
        for target in ["fd00:1::230", "fd00:77::1", "fd00:99::1", "fd00:1::25", "fd00:77::2"].map(v6) {
            frames.push(to_host.udp6(source, target, HEARD));
            frames.push(to_host.echo6(source, target));
            frames.push(nodes.neighbour_solicitation(source, target));
        }
        frames.push(nodes.udp6(source, v6("ff02::1"), HEARD));
        frames.push(nodes.router_advertisement(source, v6("2001:db8:bad::")));
    }
    frames.push(to_host.raw(frame::FOREIGN, b"hello"));
    frames
}

fn number(host: &Machine, interface: &str) -> usize {
    host.ip(&format!("-o link show dev {interface}")).split(':').next().unwrap().parse().unwrap()
}

/// How many frames of the guest's the host's stack is handed on the bridge, and whether anybody hears a datagram: the
/// host, the machine behind its uplink, the one behind its other NIC.
fn what_passes(lab: &Lab, one: &Guest, bridge: &str) -> (usize, [bool; 3]) {
    let interface = number(&lab.host, bridge);
    let mut stacks = TYPES.map(|ethertype| Capture::of_stack(&lab.host, ethertype));
    let mut services = [Listener::on(&lab.host), Listener::on(&lab.outside), Listener::on(&lab.other)];
    attacks(lab.host.mac(bridge)).iter().for_each(|frame| one.inject(frame));
    eventually("guest 2 answers guest 1", || one.pings(&lab.network.guest(2).v4));
    within(Duration::from_millis(500), || services.iter_mut().all(|service| service.has_heard(HEARD)));
    let frames = stacks.iter_mut().map(|stack| {
        let came = stack.frames_by(interface);
        came.iter().filter(|frame| frame::sender(frame) == Some(ATTACKER)).count()
    });
    (frames.sum(), services.each_mut().map(|service| service.has_heard(HEARD)))
}

/// What a guest hears of a host whose daemons speak to every interface.
fn what_is_told(lab: &Lab, one: &Guest, bridge: &str) -> usize {
    lab.host.enter(|| {
        for target in ["255.255.255.255:67", "224.0.0.251:5353"] {
            let daemon = UdpSocket::bind("0.0.0.0:0").unwrap();
            daemon.set_broadcast(true).unwrap();
            setsockopt(&daemon, sockopt::BindToDevice, &bridge.into()).unwrap();
            let _refused = daemon.send_to(b"is anybody there?", target);
        }
    });
    eventually("guest 2 answers guest 1", || one.pings(&lab.network.guest(2).v4));
    let host = lab.host.mac(bridge);
    one.heard().iter().filter(|frame| frame::sender(frame) == Some(host)).count()
}

/// A host where everything else speaks for letting a guest through.
fn careless(lab: &Lab) {
    lab.host_forwards_for_others();
    lab.bridged_frames_pass_firewall(true);
    for scope in ["all", "default"] {
        lab.host.sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "2");
        lab.host.sysctl(&format!("ipv4/conf/{scope}/accept_local"), "1");
    }
    lab.host.ip("-6 route add 2001:db8::/32 via fd00:77::2");
    lab.host.ip("route add 203.0.113.0/24 via 10.77.0.2");
}

type Damage = fn(&Lab);

#[track_caller]
fn holds(what: &str, damage: Damage, bridge: &str) {
    let lab = Lab::new(Network::ISOLATED);
    careless(&lab);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    damage(&lab);
    assert_eq!(
        what_passes(&lab, &one, bridge),
        (0, [false; 3]),
        "{what}: frames on the bridge, and who heard"
    );
    assert_eq!(what_is_told(&lab, &one, bridge), 0, "{what}: frames of the host to a guest");
}

#[test]
fn the_filter_holds_without_the_table() {
    holds("flushed", |lab| drop(lab.host.run("nft flush ruleset")), "br0");
}

#[test]
fn the_filter_holds_under_another_name() {
    holds("renamed", |lab| drop(lab.host.ip("link set br0 down name br-new up")), "br-new");
}

#[test]
fn the_table_holds_without_the_filter() {
    holds("unfiltered", |lab| drop(lab.host.run("tc qdisc del dev br0 clsact")), "br0");
}

/// With neither of them there is no IPv6 still, and nothing is forwarded.
#[test]
fn settings_hold_without_table_and_filter() {
    let world = World::new(Network::ISOLATED, true);
    world.lab.host.run("nft flush ruleset");
    world.lab.host.run("tc qdisc del dev br0 clsact");
    let host = Frame { from: ATTACKER, to: world.lab.host.mac("br0") };
    let (mut service, mut outside) = (Listener::on(&world.lab.host), Listener::on(&world.lab.outside));
    let guest = v6("fe80::5054:ff:fe12:3456");
    for target in ["fd00:1::230", "fd00:99::1", "fd00:1::25"] {
        world.one.inject(&host.udp6(guest, v6(target), HEARD));
        world.one.inject(&host.udp6(v6("fd00:100::1"), v6(target), HEARD));
    }
    world.one.inject(&host.udp4(Ipv4Addr::new(10, 0, 100, 1), Ipv4Addr::new(192, 168, 1, 25), HEARD));
    world.one.inject(&host.udp4(Ipv4Addr::new(10, 0, 100, 1), Ipv4Addr::new(192, 168, 1, 230), HEARD));
    eventually("guest 2 answers guest 1", || world.one.pings("10.0.100.2"));
    within(Duration::from_millis(500), || service.has_heard(HEARD) || outside.has_heard(HEARD));
    assert!(!service.has_heard(HEARD) && !outside.has_heard(HEARD));
}

/// The attacks work on a bridge that nobody has closed.
#[test]
fn a_plain_bridge_lets_everything_through() {
    let lab = Lab::new(Network::ISOLATED);
    careless(&lab);
    let (one, _two) = (lab.boot(1), lab.boot(2));
    lab.host.ip("link add br0 type bridge forward_delay 0");
    lab.host.ip("link set br0 up");
    lab.host.ip("link set vif0.0 master br0 up");
    lab.host.ip("link set vif1.0 master br0 up");
    lab.settle();
    let (frames, heard) = what_passes(&lab, &one, "br0");
    assert!(frames > attacks([0; 6]).len() / 2, "{frames} frames");
    assert_eq!(heard, [true; 3], "the host, and machines on both sides of it");
    assert!(what_is_told(&lab, &one, "br0") >= 2);
}

/// From closed to open and back, while guests are on: what was shut is open, and what was open is shut.
#[test]
fn a_closed_bridge_opens_and_closes() {
    let lab = Lab::new(Network::ISOLATED);
    careless(&lab);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    for network in
        [Network::NAT, Network::ISOLATED, Network::HOST_ONLY, Network::HOST_ONLY_VETH, Network::ROUTED]
    {
        lab.write_config(&network.config());
        lab.ifup(&one).ok();
        lab.settle();
        // The host may have another hardware address by now.
        one.ip("neigh flush dev eth0");
        let open = network != Network::ISOLATED;
        let reaches = ["10.0.100.3", "fd00:100::3"].map(|host| {
            if open {
                eventually(&format!("{network:?}: {host}"), || one.pings(host))
            }
            one.pings(host)
        });
        assert_eq!(reaches, [open; 2], "{network:?}");
        lab.host.run("nft flush ruleset");
        if network.mode == "isolated" {
            assert_eq!(what_passes(&lab, &one, "br0"), (0, [false; 3]), "{network:?}");
        }
        lab.ifup(&one).ok();
    }
}

/// A table that is there, and does nothing, is put right: `check` says that it is wrong, and the next run of a hook ends it.
#[track_caller]
fn is_put_right(network: Network, table: &str, commands: &[&str]) {
    let lab = Lab::new(network);
    let one = lab.attach(1);
    lab.settle();
    let before = lab.host.run("nft -s list ruleset");
    for command in commands {
        lab.host.run(&format!("nft {}", command.replace("TABLE", table)));
    }
    assert_ne!(lab.host.run("nft -s list ruleset"), before, "{commands:?}");
    let said = Cli::new(&lab.host, &["check"]).run();
    assert!(said.status == 1 && said.out.contains("kvmnet-br0"), "{commands:?}: {said:?}");
    let said = Cli::new(&lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(said.contains("nft 'delete table"), "{commands:?}: {said}");
    lab.ifup(&one).ok();
    assert_eq!(lab.host.run("nft -s list ruleset"), before, "{commands:?}");
    Cli::new(&lab.host, &["check"]).run().ok();
}

#[test]
fn a_table_that_does_nothing_is_put_right() {
    let closed = "netdev kvmnet-br0";
    let again = |rest: &str| format!("add chain TABLE ingress {{ type filter hook {rest} }}");
    for commands in [
        &["add table TABLE { flags dormant ; }"][..],
        &["add chain TABLE ingress { policy accept ; }"],
        &["add chain TABLE egress { policy accept ; }"],
        &["delete chain TABLE ingress", &again("egress device br0 priority filter ; policy drop ;")],
        &["delete chain TABLE ingress", &again("ingress device eth3 priority filter ; policy drop ;")],
        &["delete chain TABLE ingress", &again("ingress device br0 priority 7 ; policy drop ;")],
        &["delete chain TABLE ingress", "add chain TABLE ingress"],
    ] {
        is_put_right(Network::ISOLATED, closed, commands);
    }
    for commands in
        [&["add table TABLE { flags dormant ; }"][..], &["add chain TABLE forward { policy drop ; }"]]
    {
        is_put_right(Network { keys: "dhcp = false\n", ..Network::NAT }, "inet kvmnet-br0", commands);
    }
}

/// What a host-only network sends is forwarded nowhere, also without its table, whatever the machine does for others.
#[test]
fn host_only_is_not_forwarded_without_its_table() {
    for network in [Network::HOST_ONLY, Network::HOST_ONLY_VETH] {
        for forwards in [false, true] {
            let world = World::new(network, forwards);
            let mut outside = Listener::on(&world.lab.outside);
            world.lab.host.run("nft flush ruleset");
            world.one.send("192.168.1.25", "four");
            world.one.send("fd00:1::25", "six");
            eventually("guest 2 answers guest 1", || world.one.pings("10.0.100.2"));
            eventually("the host answers", || {
                world.one.pings("10.0.100.3") && world.one.pings("fd00:100::3")
            });
            let host_if = if network.keys.contains("veth") { "veth1.1" } else { "br0" };
            world.lab.host.sysctl(&format!("ipv4/conf/{host_if}/forwarding"), "1");
            world.one.send("192.168.1.25", "five");
            let mut came = || ["four", "five", "six"].map(|word| outside.has_heard(word));
            within(Duration::from_millis(500), || came() != [false; 3]);
            assert_eq!(came(), [false; 3], "{network:?}, a router: {forwards}");
            world.lab.host.run(&format!("tc filter del dev {host_if} ingress pref 3"));
            world.one.send("192.168.1.25", "open");
            world.one.send("fd00:1::25", "open six");
            eventually("it would be without the filter, where the host forwards", || {
                outside.has_heard("open") && (!forwards || outside.has_heard("open six"))
            });
        }
    }
}
