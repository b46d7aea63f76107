//! `port_isolation = true`: guests of a network reach the host and the outside, and not each other, be it by frames or through the
//! host. What came to the other guest is the judge, and each attack is also made where it must arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "port_isolation/ports.rs"]
mod ports;

use std::net::IpAddr;

use lab::{Cli, Frame, Guest, Lab, Network, each_mode, eventually, frame};

const KEY: &str = "port_isolation = true\n";

/// The same network whose guests are kept apart.
fn apart(network: Network) -> Network {
    Network { keys: format!("{}{KEY}", network.keys).leak(), ..network }
}

fn apply(lab: &Lab, network: Network) {
    lab.write_config(&network.config());
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
}

/// Whether a port of the host's bridge is kept apart, as the kernel says.
fn is_apart(lab: &Lab, tap: &str) -> bool {
    let shown = lab.host.ip(&format!("-d link show dev {tap}"));
    let isolated = [" isolated on ", " isolated off "].map(|words| shown.contains(words));
    assert!(isolated[0] != isolated[1], "{tap} is a port: {shown}");
    isolated[0]
}

/// By which way a frame shall come to the other guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Bridge,
    Host,
}

/// What one guest can send for another one, each with a word that is in it.
fn attacks(lab: &Lab, one: &Guest, two: &Guest) -> Vec<(By, String, Vec<u8>)> {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (from, to) = (lab.network.guest(1), lab.network.guest(2));
    let [own4, own6] = [&from.v4, &from.v6].map(|text| ip(text));
    let subnet = |last: &str| format!("{}.{last}", to.v4.rsplit_once('.').unwrap().0);
    let (host, tap) = (lab.host.mac(lab.network.gate), lab.host.mac(one.tap()));
    let mut attacks = Vec::new();
    let mut add = |by: By, mac: [u8; 6], target: &str| {
        let word = format!("{by:?} {mac:02x?} {target} {}", attacks.len());
        let source = if ip(target).is_ipv4() { own4 } else { own6 };
        let way = Frame { from: one.mac("eth0"), to: mac };
        let frame = match (source, ip(target)) {
            (IpAddr::V4(source), IpAddr::V4(target)) => way.udp4(source, target, &word),
            (IpAddr::V6(source), IpAddr::V6(target)) => way.udp6(source, target, &word),
            _ => unreachable!("of one family"),
        };
        attacks.push((by, word.clone(), frame));
        attacks.push((by, word.clone(), way.raw(frame::FOREIGN, word.as_bytes())));
        attacks.push((by, word, frame::tagged(&attacks[attacks.len() - 2].2, 7)));
    };
    let groups = [[0x01, 0, 0x5e, 0, 0, 0xfb], [0x33, 0x33, 0, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 0xfb]];
    let macs = [two.mac("eth0"), frame::BROADCAST, [0x52, 0x54, 0, 0xee, 0xee, 0xee]];
    for mac in macs.into_iter().chain(groups) {
        let targets = [&to.v4, &to.v6, "224.0.0.251", "ff02::fb", "255.255.255.255", &subnet("255")];
        targets.into_iter().for_each(|target| add(By::Bridge, mac, target));
    }
    for mac in [host, tap] {
        [to.v4.as_str(), &to.v6, &subnet("255")].into_iter().for_each(|target| add(By::Host, mac, target));
    }
    attacks
}

/// The words of guest 1 that have come to guest 2, each by the way that was meant. Questions of ARP have none, but a sender.
fn arrived(lab: &Lab, one: &Guest, two: &Guest) -> Vec<(By, String)> {
    let (from, to) = (lab.network.guest(1), lab.network.guest(2));
    let before = two.count();
    let attacks = attacks(lab, one, two);
    attacks.iter().for_each(|(_, _, frame)| one.inject(frame));
    let question = Frame { from: one.mac("eth0"), to: frame::BROADCAST };
    one.inject(&question.arp_request(from.v4.parse().unwrap(), to.v4.parse().unwrap()));
    one.inject(&question.neighbour_solicitation(from.v6.parse().unwrap(), to.v6.parse().unwrap()));
    // Each machine's own frames come in their order: what the host says after that comes last.
    fence(lab, one, two);
    let heard = two.heard_since(before);
    let has = |frame: &Vec<u8>, word: &str| frame.windows(word.len()).any(|part| part == word.as_bytes());
    let came = attacks.iter().filter(|(_, word, _)| heard.iter().any(|frame| has(frame, word)));
    let mut came: Vec<(By, String)> = came.map(|(by, word, _)| (*by, word.clone())).collect();
    let sender = one.mac("eth0");
    let other = heard.iter().filter(|frame| frame::sender(frame) == Some(sender));
    came.extend(other.map(|frame| (By::Bridge, format!("a frame of type {:04x?}", frame::ethertype(frame)))));
    came.sort_by(|one, other| one.1.cmp(&other.1));
    came.dedup();
    came
}

/// Whatever guest 1 has sent has passed its wire and the host, and what follows from it has come to guest 2.
#[track_caller]
fn fence(lab: &Lab, one: &Guest, two: &Guest) {
    let last = lab.host.mac(one.tap());
    // The filter of the tap counts nothing, so a frame that the host's own capture sees is the sign.
    let mut wire = lab::Capture::of_wire(&lab.host);
    one.inject(&Frame { from: one.mac("eth0"), to: last }.raw(frame::FOREIGN, b"the last of guest 1"));
    let is_last = |frame: &Vec<u8>| frame.windows(19).any(|part| part == b"the last of guest 1");
    eventually("all has come in", || wire.frames().iter().any(is_last));
    if lab.network.mode != "isolated" {
        let host = if lab.network.mode == "bridged" { "192.168.1.230" } else { "10.0.100.3" };
        eventually("the host is done with it", || one.pings(host));
    }
    let before = two.count();
    let sign =
        Frame { from: [0x02, 0, 0, 0, 0, 0x99], to: two.mac("eth0") }.raw(frame::FOREIGN, b"from the host");
    lab::inject(&lab.host, two.tap(), &sign);
    let is_sign = |frame: &Vec<u8>| frame::sender(frame) == Some([0x02, 0, 0, 0, 0, 0x99]);
    eventually("all has gone out", || two.heard_since(before).iter().any(is_sign));
}

/// Guests and host reach each other, and guests and the outside, as the mode says.
#[track_caller]
fn reach_all_else(lab: &Lab, guest: &Guest) {
    let mode = lab.network.mode;
    if mode == "isolated" {
        return;
    }
    let gates =
        if mode == "bridged" { ["192.168.1.230", "fd00:1::230"] } else { ["10.0.100.3", "fd00:100::3"] };
    for address in gates {
        eventually("the host answers", || guest.pings(address));
    }
    if mode != "host-only" {
        for address in ["192.168.1.25", "fd00:1::25"] {
            eventually("the outside answers", || guest.pings(address));
        }
    }
}

/// Whether guest 1 gets through to guest 2 by each of the two ways.
fn ways(came: &[(By, String)]) -> [bool; 2] {
    [By::Bridge, By::Host].map(|by| came.iter().any(|(way, _)| *way == by))
}

/// Guests that are on when the file is edited, in both directions, by `apply` and by the hook of another guest; on a host that routes
/// for others, as one with Docker does, and with br_netfilter.
#[track_caller]
fn guests_are_kept_apart(network: Network) {
    for passes in [false, true] {
        let lab = Lab::new(network);
        lab.host_forwards_for_others();
        lab.outside_knows_the_way();
        lab.bridged_frames_pass_firewall(passes);
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        reach_all_else(&lab, &one);
        // A host that routes for others sends IPv6 back, whatever its interface in the network is told; not where its filter hears what
        // is for itself alone.
        let has_way_back = !matches!(network.mode, "isolated" | "host-only");
        let is_open =
            |what: &str| assert_eq!(ways(&arrived(&lab, &one, &two)), [true, has_way_back], "{what}");
        let is_closed = |what: &str| {
            assert_eq!(arrived(&lab, &one, &two), [], "{what}, br_netfilter {passes}");
            reach_all_else(&lab, &one);
            reach_all_else(&lab, &two);
        };
        is_open("before");
        apply(&lab, apart(network));
        is_closed("applied");
        assert!(Cli::new(&lab.host, &["apply", "--yes"]).run().ok().contains("as configured"));
        apply(&lab, network);
        is_open("applied back");
        lab.write_config(&apart(network).config());
        // The third address is the host's.
        let three = lab.attach(4);
        assert!([&one, &two, &three].iter().all(|guest| is_apart(&lab, guest.tap())));
        is_closed("by the hook of another");
        assert_eq!(arrived(&lab, &three, &two), [], "the guest that came last");
        lab.write_config(&network.config());
        lab.ifup(&three).ok();
        is_open("opened by the hook of another");
    }
}
each_mode!(guests_are_kept_apart);
