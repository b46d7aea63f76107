//! `host = "services"` and `"none"`: what a guest of a nat or routed network reaches of the host itself, at any of its addresses. Raw
//! sockets of the host, which hear all that its rules let in, are the judge; and with "all" they hear everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "host_key/ears.rs"]
mod ears;
#[path = "host_key/flows.rs"]
mod flows;
mod lab;
#[path = "host_key/packets.rs"]
mod packets;

use std::collections::BTreeSet;

use ears::Ears;
use lab::{Cli, Guest, Lab, Network, each_mode, eventually, within};
use packets::{Kind, Sent, all_ports, sent};

/// The same network with this value.
fn with(network: Network, access: &str) -> Network {
    Network { keys: format!("{}host = \"{access}\"\n", network.keys).leak(), ..network }
}

/// A second network gives the host one more address.
fn config(network: Network) -> String {
    network.config() + &Network::HOST_ONLY.lab_table()
}

#[track_caller]
fn apply(lab: &Lab, access: &str) {
    lab.write_config(&config(with(lab.network, access)));
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
}

/// Two guests, on a host with addresses of every kind.
fn lab(network: Network, access: &str) -> (Lab, Guest, Guest) {
    let lab = Lab::new(network);
    lab.write_config(&config(with(network, access)));
    lab.outside_knows_the_way();
    Cli::new(&lab.host, &["up", "lab"]).run().ok();
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    (lab, one, two)
}

/// Whether a guest may send this to the host.
fn is_let_in(access: &str, kind: Kind, v6: bool) -> bool {
    let is_found_by = v6 && matches!(kind, Kind::Icmp(130 | 135 | 136));
    let is_service = match kind {
        Kind::Udp(53) | Kind::Tcp(53, _) => true,
        Kind::Udp(67) | Kind::Icmp(8) => !v6,
        Kind::Udp(547) | Kind::Icmp(128 | 133) => v6,
        _ => false,
    };
    match access {
        "all" => true,
        "services" => is_found_by || is_service,
        _ => is_found_by,
    }
}

/// What the host hears of all that guest 1 sends.
fn heard(lab: &Lab, one: &Guest, packets: &[Sent]) -> BTreeSet<usize> {
    let mut ears = Ears::of(&lab.host);
    packets.iter().for_each(|packet| one.inject(&packet.frame));
    let place = lab.network.guest(1);
    eventually("the guest answers the host, after all that", || {
        lab.host.pings(&place.v4) && lab.host.pings(&place.v6)
    });
    ears.heard()
}

#[track_caller]
fn is_as_said(lab: &Lab, one: &Guest, packets: &[Sent], access: &str) {
    let heard = heard(lab, one, packets);
    let number = |packet: &Sent| packet.number;
    let wrong = packets
        .iter()
        .filter(|packet| heard.contains(&number(packet)) && !is_let_in(access, packet.kind, packet.is_v6()));
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    assert!(
        wrong.is_empty(),
        "{access}: the host has heard {} of {}: {wrong:#?}",
        wrong.len(),
        packets.len()
    );
    let missing = packets.iter().filter(|packet| {
        packet.is_plain()
            && is_let_in(access, packet.kind, packet.is_v6())
            && !heard.contains(&number(packet))
    });
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    assert!(missing.is_empty(), "{access}: the host has not heard {missing:#?}");
    println!("{access}: {} sent, {} heard", packets.len(), heard.len());
}

/// Every protocol, every kind of ICMP and the ports of services, to each address of the host and to groups; before and after each edit.
#[track_caller]
fn the_host_hears_what_the_key_says(network: Network) {
    for passes in [false, true] {
        let (lab, one, _two) = lab(network, "all");
        lab.bridged_frames_pass_firewall(passes);
        let packets = sent(&lab, &one);
        for access in ["all", "services", "none", "all"] {
            apply(&lab, access);
            is_as_said(&lab, &one, &packets, access);
        }
    }
}
each_mode!(the_host_hears_what_the_key_says: routed routed_veth nat nat_veth);

#[test]
fn the_host_hears_what_the_key_says_by_the_routes() {
    the_host_hears_what_the_key_says(Network::NAT_BY_ROUTES);
}

/// Each port of TCP and UDP, in both families.
#[test]
fn every_port() {
    let (lab, one, _two) = lab(Network::NAT, "services");
    is_as_said(&lab, &one, &all_ports(&lab, &one), "services");
    apply(&lab, "none");
    is_as_said(&lab, &one, &all_ports(&lab, &one), "none");
}

/// What is not as it was written is found, and put right by the next hook.
#[test]
fn a_chain_without_its_rules_is_put_right() {
    for (chain, access) in [("services", "services"), ("output", "none"), ("input", "none")] {
        let network = Network { keys: "dhcp = false\n", ..Network::NAT };
        let (lab, one, _two) = lab(network, access);
        let packets = sent(&lab, &one);
        lab.host.run(&format!("nft flush chain inet kvmnet-br0 {chain}"));
        let said = Cli::new(&lab.host, &["check"]).run().out;
        assert!(
            said.split_whitespace().collect::<Vec<_>>().join(" ").contains("changed by something else"),
            "{said}"
        );
        lab.ifup(&one).ok();
        is_as_said(&lab, &one, &packets, access);
    }
}

/// With the rules gone it is as without the key: there is one lock. The next hook has them again.
#[test]
fn without_the_table_the_host_hears_everything() {
    let (lab, one, _two) = lab(Network::ROUTED, "none");
    let packets = sent(&lab, &one);
    lab.host.run("nft flush ruleset");
    is_as_said(&lab, &one, &packets, "all");
    lab.ifup(&one).ok();
    is_as_said(&lab, &one, &packets, "none");
}

/// A user who meets it: programs and not frames.
#[test]
fn as_programs_see_it() {
    let (lab, one, _two) = lab(Network::NAT, "all");
    let _tcp = lab::TcpServer::on(&lab.host);
    let mut udp = lab::Listener::on(&lab.host);
    let addresses = ["10.0.100.3", "192.168.1.230", "10.77.0.1", "10.99.0.1", "fd00:100::3", "fd00:1::230"];
    for access in ["all", "services", "none"] {
        apply(&lab, access);
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert_eq!(status.contains("guests reach nothing"), access != "all", "{status}");
        for address in addresses {
            assert_eq!(one.open(address).is_ok(), access == "all", "{access}: TCP to {address}");
            one.send(address, &format!("{access} {address}"));
            assert_eq!(one.pings(address), access != "none", "{access}: ping {address}");
        }
        let is_heard =
            |udp: &mut lab::Listener, address: &&str| udp.has_heard(&format!("{access} {address}"));
        if access == "all" {
            assert!(within(std::time::Duration::from_secs(5), || addresses
                .iter()
                .all(|to| is_heard(&mut udp, to))));
        }
        assert!(addresses.iter().all(|to| is_heard(&mut udp, to) == (access == "all")), "{access}");
    }
}
