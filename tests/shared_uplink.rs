//! A NIC that is the uplink of a nat or routed network and the port of a bridged one: the guests of each are well, whichever
//! comes or leaves first, and the host is nobody's router meanwhile or afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Capture, Frame, Guest, Lab, Listener, Machine, Network, Place, Snapshot, inject, within};

const BY_ROUTES: Network = Network::NAT_BY_ROUTES;
const OUTSIDE: [&str; 2] = ["192.168.1.25", "fd00:1::25"];

/// A network of this kind on br0, and a bridged one on `br-lan`, whose taps are named `lab…`.
fn shared(network: Network) -> Lab {
    let lab = Lab::new(network);
    let lan =
        "\n[network.lan]\ntaps = [\"lab*\"]\nmode = \"bridged\"\nbridge = \"br-lan\"\nuplink = \"eth3\"\n";
    lab.write_config(&(network.config() + lan));
    lab.outside_knows_the_way();
    lab
}

/// A guest of the bridged network, a machine of the LAN.
fn of_lan() -> Place {
    let lan = Network::BRIDGED.guest(1);
    Place { tap: "lab0.0".to_owned(), ..lan }
}

fn reaches(machine: &Machine, what: [&str; 2]) -> bool {
    within(Duration::from_secs(8), || what.iter().all(|address| machine.pings(address)))
}

#[track_caller]
fn assert_well(lab: &Lab, one: Option<&Guest>, lan: Option<&Guest>, what: &str) {
    if let Some(one) = one {
        assert!(reaches(one, OUTSIDE), "{what}: the guest of br0 gets out");
        if lab.network.mode == "nat" {
            let mut capture = Capture::of_wire(&lab.outside);
            assert!(one.pings(OUTSIDE[0]));
            assert_eq!(capture.sources_towards(OUTSIDE[0]), ["192.168.1.230"], "{what}");
        }
    }
    if let Some(lan) = lan {
        assert!(reaches(lan, OUTSIDE), "{what}: the guest of the LAN is there");
        assert!(reaches(&lab.outside, ["192.168.1.67", "fd00:1::67"]), "{what}: and is reached");
    }
    assert!(reaches(&lab.outside, ["192.168.1.230", "fd00:1::230"]), "{what}: the host is there");
    assert_no_router(lab, lan, what);
}

/// Neither the LAN nor its guest gets a datagram through the host to its other NIC, or back.
#[track_caller]
fn assert_no_router(lab: &Lab, lan: Option<&Guest>, what: &str) {
    let mut other = Listener::on(&lab.other);
    let nic = if lan.is_some() { "br-lan" } else { "eth3" };
    let from_lan = Frame { from: lab.outside.mac("eth0"), to: lab.host.mac(nic) };
    let [v4, v6] = ["10.77.0.2", "fd00:77::2"];
    inject(
        &lab.outside,
        "eth0",
        &from_lan.udp4("192.168.1.99".parse().unwrap(), v4.parse().unwrap(), "four"),
    );
    inject(&lab.outside, "eth0", &from_lan.udp6("fd00:1::99".parse().unwrap(), v6.parse().unwrap(), "six"));
    if let Some(lan) = lan {
        let frame = Frame { from: lan.mac("eth0"), ..from_lan };
        lan.inject(&frame.udp4("192.168.1.67".parse().unwrap(), v4.parse().unwrap(), "guest"));
    }
    let mut heard = || ["four", "six", "guest"].map(|text| other.has_heard(text));
    within(Duration::from_millis(500), || heard().contains(&true));
    assert_eq!(heard(), [false; 3], "{what}: the host is nobody's router");
    let mut outside = Listener::on(&lab.outside);
    let around = Frame { to: lab.host.mac(nic), ..from_lan };
    inject(
        &lab.outside,
        "eth0",
        &around.udp4("192.168.1.99".parse().unwrap(), OUTSIDE[0].parse().unwrap(), "round"),
    );
    within(Duration::from_millis(300), || outside.has_heard("round"));
    assert!(!outside.has_heard("round"), "{what}: nothing goes back where it came from");
}

/// All orders of coming and leaving.
#[track_caller]
fn come_and_go(network: Network, found: bool) {
    for lan_first in [false, true] {
        for lan_leaves_first in [false, true] {
            let lab = shared(network);
            if found {
                lab.host.ip("link add br-lan type bridge forward_delay 0");
                // With a cable that ends at the host it has a carrier, and all that comes with the first one.
                lab.host.ip("link add port0 type veth peer name port1");
                for port in ["port0", "port1"] {
                    lab.host.ip(&format!("link set {port} addrgenmode none"));
                    lab.host.ip(&format!("link set {port} up"));
                }
                lab.host.ip("link set port0 master br-lan");
                lab.host.ip("link set br-lan address 02:00:c0:00:00:aa up");
                lab.settle_bridge("br-lan");
            }
            let what = format!("{} {found}, {lan_first}, {lan_leaves_first}", network.mode);
            let before = Snapshot::of(&lab.host);
            let (one, lan) = if lan_first {
                let lan = lab.boot_at(&of_lan());
                lab.ifup(&lan).ok();
                (lab.attach(1), lan)
            } else {
                let one = lab.attach(1);
                assert_well(&lab, Some(&one), None, &format!("{what}: alone"));
                let lan = lab.boot_at(&of_lan());
                lab.ifup(&lan).ok();
                (one, lan)
            };
            assert_well(&lab, Some(&one), Some(&lan), &format!("{what}: both"));
            if lan_leaves_first {
                lab.detach(lan);
                assert_well(&lab, Some(&one), None, &format!("{what}: br0 is left"));
                lab.detach(one);
            } else {
                lab.detach(one);
                assert_well(&lab, None, Some(&lan), &format!("{what}: br-lan is left"));
                for key in ["ipv4/conf/br-lan/forwarding", "ipv6/conf/br-lan/force_forwarding"] {
                    let value = lab.host.read_sysctl(key);
                    assert!(value.is_none_or(|value| value == "0"), "{what}: {key}");
                }
                lab.detach(lan);
            }
            lab.assert_as_before(&what, &before);
            for key in ["ipv4/conf/eth3/forwarding", "ipv6/conf/eth3/force_forwarding"] {
                assert!(lab.host.read_sysctl(key).is_none_or(|value| value == "0"), "{what}: {key}");
            }
        }
    }
}

#[test]
fn nat_by_name_and_bridged() {
    come_and_go(Network::NAT, false);
}

#[test]
fn nat_by_the_routes_and_bridged() {
    come_and_go(BY_ROUTES, false);
}

#[test]
fn routed_by_name_and_bridged() {
    come_and_go(Network::ROUTED, false);
}

#[test]
fn nat_by_name_and_bridged_on_a_bridge_that_was_there() {
    come_and_go(Network::NAT, true);
}

/// The same where the host's firewall sees the frames of the bridges.
#[test]
fn through_br_netfilter() {
    let lab = shared(Network::NAT);
    lab.bridged_frames_pass_firewall(true);
    let one = lab.attach(1);
    let lan = lab.boot_at(&of_lan());
    lab.ifup(&lan).ok();
    assert_well(&lab, Some(&one), Some(&lan), "through br_netfilter");
}
