//! A laptop's day: the host moves from cable to Wi-Fi and back, VPNs of every kind come and go, it sleeps, gets other addresses,
//! and its NIC another name. A guest without `uplink` has what the host has, and no hook runs for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lab::{Guest, Lab, Machine, Network, Pings, TcpServer};

/// Somewhere in the world, which every way leads to.
const WORLD: [&str; 2] = ["198.51.100.7", "fd00:51::7"];

/// Something that happens to the host, in lines of `ip`.
struct Event {
    what: &'static str,
    lines: &'static [&'static str],
}

const fn event(what: &'static str, lines: &'static [&'static str]) -> Event {
    Event { what, lines }
}

/// A day, in its order. `wlan0` is a second NIC, and `vpn0` a tunnel that is made when the VPN is switched on.
const DAY: [Event; 15] = [
    event(
        "Wi-Fi beside the cable",
        &["route add default via 10.77.0.2 metric 600", "-6 route add default via fd00:77::2 metric 2000"],
    ),
    event(
        "the cable is pulled",
        &["link set eth3 down", "addr flush dev eth3", "-6 addr flush dev eth3 scope global"],
    ),
    event(
        "a VPN, all of it",
        &["route add default dev vpn0 metric 50", "-6 route add default dev vpn0 metric 50"],
    ),
    event("the VPN ends", &["route del default dev vpn0", "-6 route del default dev vpn0"]),
    event(
        "a VPN by two halves",
        &[
            "route add 0.0.0.0/1 dev vpn0",
            "route add 128.0.0.0/1 dev vpn0",
            "-6 route add ::/1 dev vpn0",
            "-6 route add 8000::/1 dev vpn0",
        ],
    ),
    event(
        "another address from the Wi-Fi's router",
        &[
            "addr del 10.77.0.1/24 dev wlan0",
            "addr add 10.77.0.9/24 dev wlan0",
            "route replace default via 10.77.0.2 metric 600",
        ],
    ),
    event(
        "that VPN ends, too",
        &[
            "route del 0.0.0.0/1 dev vpn0",
            "route del 128.0.0.0/1 dev vpn0",
            "-6 route del ::/1 dev vpn0",
            "-6 route del 8000::/1 dev vpn0",
        ],
    ),
    event(
        "a VPN by a table of its own",
        &[
            "route add default dev vpn0 table 51820",
            "-6 route add default dev vpn0 table 51820",
            "rule add not fwmark 51820 lookup 51820 priority 1001",
            "-6 rule add not fwmark 51820 lookup 51820 priority 1001",
            "rule add lookup main suppress_prefixlength 0 priority 1000",
            "-6 rule add lookup main suppress_prefixlength 0 priority 1000",
        ],
    ),
    event(
        "and its end",
        &[
            "rule del priority 1000",
            "-6 rule del priority 1000",
            "rule del priority 1001",
            "-6 rule del priority 1001",
        ],
    ),
    event("asleep", &["link set wlan0 down"]),
    event(
        "awake",
        &[
            "link set wlan0 up",
            "-6 addr replace fd00:77::1/64 dev wlan0 nodad",
            "route replace default via 10.77.0.2 metric 600",
            "-6 route replace default via fd00:77::2 dev wlan0 metric 2000",
        ],
    ),
    event(
        "the cable is back",
        &[
            "link set eth3 up",
            "addr replace 192.168.1.230/24 dev eth3",
            "-6 addr replace fd00:1::230/64 dev eth3 nodad",
            "route add default via 192.168.1.25",
            "-6 route add default via fd00:1::25 dev eth3",
        ],
    ),
    event("Wi-Fi off", &["link set wlan0 down"]),
    event("the NIC gets another name", &["link set eth3 down", "link set eth3 name enp0s25"]),
    event(
        "and comes up",
        &[
            "link set enp0s25 up",
            "-6 addr replace fd00:1::230/64 dev enp0s25 nodad",
            "route add default via 192.168.1.25",
            "-6 route add default via fd00:1::25 dev enp0s25",
        ],
    ),
];

/// Those in which the host itself reaches nothing.
const OFFLINE: [&str; 2] = ["asleep", "the NIC gets another name"];

/// The way to the guests, for the machine at the other end.
fn leads_back(machine: &Machine, via: [&str; 2]) {
    machine.ip(&format!("route replace default via {}", via[0]));
    machine.ip(&format!("-6 route replace default via {}", via[1]));
    machine.ip(&format!("addr replace {}/32 dev lo", WORLD[0]));
    machine.ip(&format!("-6 addr replace {}/128 dev lo nodad", WORLD[1]));
}

/// A tunnel to a machine at whose end the world is, too.
fn vpn(host: &Machine) -> Machine {
    let far = Machine::new();
    host.sysctl("ipv6/conf/default/accept_dad", "0");
    // Without ARP, as a tunnel is: what is sent then is addressed to the sender's own MAC, so both ends have the same.
    let mac = "address 02:00:c0:00:00:08";
    host.ip(&format!("link add vpn0 {mac} type veth peer name eth0 {mac} netns {}", far.netns()));
    for (machine, nic, number) in [(host, "vpn0", 2), (&far, "eth0", 1)] {
        machine.ip(&format!("addr add 10.8.0.{number}/24 dev {nic}"));
        machine.ip(&format!("-6 addr add fd00:8::{number}/64 dev {nic} nodad"));
        machine.ip(&format!("link set {nic} arp off up"));
    }
    leads_back(&far, ["10.8.0.2 dev eth0", "fd00:8::2 dev eth0"]);
    far
}

/// Whether a connection over a way that is gone ends by a word from somebody, and not by a timeout.
fn ends(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _gone = stream.write_all(b"still there?");
    match stream.read(&mut [0; 16]) {
        Ok(length) => length == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// Goes through the day; gives how many of each version's pings were lost.
fn lives_through(lab: &Lab, guest: &Guest, far: &mut Option<Machine>) -> Vec<(String, usize, usize)> {
    let pings = WORLD.map(|address| Pings::start(guest, address));
    pings.iter().for_each(|pings| pings.await_answers(10));
    for Event { what, lines } in &DAY {
        if *what == "a VPN, all of it" {
            *far = Some(vpn(&lab.host));
        }
        lines.iter().for_each(|line| drop(lab.host.ip(line)));
        // Guests that are not translated are known by the host's address.
        if *what == "another address from the Wi-Fi's router" {
            leads_back(&lab.other, ["10.77.0.9", "fd00:77::1"]);
        }
        if !OFFLINE.contains(what) {
            eprintln!("{what}");
            pings.iter().for_each(|pings| pings.await_answers(10));
        }
    }
    pings.map(Pings::stop).map(|answers| (answers.what, answers.sent, answers.lost.len())).into()
}

fn laptop(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    lab.host.ip("link set eth4 down");
    lab.host.ip("link set eth4 name wlan0");
    lab.host.ip("link set wlan0 up");
    lab.host.ip("-6 addr replace fd00:77::1/64 dev wlan0 nodad");
    leads_back(&lab.other, ["10.77.0.1", "fd00:77::1"]);
    lab
}

#[track_caller]
fn day(network: Network) {
    let lab = laptop(network);
    let one = lab.attach(1);
    lab.settle();
    let mut far = None;
    for (what, sent, lost) in lives_through(&lab, &one, &mut far) {
        eprintln!("{network:?}: {what}: {lost} of {sent} lost");
    }
    lab.detach(one);
    assert_eq!(lab.host.run("nft list tables"), "", "{network:?}");
    for link in ["enp0s25", "wlan0", "vpn0", "default"] {
        for key in [format!("ipv4/conf/{link}/forwarding"), format!("ipv6/conf/{link}/force_forwarding")] {
            assert!(lab.host.read_sysctl(&key).is_none_or(|value| value == "0"), "{network:?}: {key}");
        }
    }
}

#[test]
fn a_day_with_nat() {
    day(Network::NAT_BY_ROUTES);
}

#[test]
fn a_day_with_nat_by_a_pair() {
    day(Network { uplink: "", ..Network::NAT_VETH });
}

#[test]
fn a_day_with_routed_addresses() {
    day(Network::ROUTED_BY_ROUTES);
}

/// A connection whose way, or whose address, is gone is told so at once: the guest's program need not wait for a timeout.
#[test]
fn connections_of_a_way_that_is_gone_end() {
    let lab = laptop(Network::NAT_BY_ROUTES);
    let one = lab.attach(1);
    lab.settle();
    let (_cable, _wifi) = (TcpServer::on(&lab.outside), TcpServer::on(&lab.other));
    let by_cable = WORLD.map(|address| one.open(address).expect("the world is reached by cable"));
    for event in &DAY[..2] {
        event.lines.iter().for_each(|line| drop(lab.host.ip(line)));
    }
    assert_eq!(by_cable.map(ends), [true; 2], "the cable is gone, and its addresses");
    let by_wifi = WORLD.map(|address| one.open(address).expect("the world is reached by Wi-Fi"));
    let back = DAY.iter().find(|event| event.what == "the cable is back").unwrap();
    back.lines.iter().for_each(|line| drop(lab.host.ip(line)));
    assert_eq!(by_wifi.map(ends), [true; 2], "another way is better, and the old address is still there");
}
