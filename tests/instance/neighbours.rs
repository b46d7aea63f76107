//! Interfaces that a network meets, and what they get back.

use std::ops::Range;

use crate::lab::bench::settled;
use crate::lab::{self, Cli, Lab, Network, eventually};
/// A tap with an address of the host is not a guest's; and somebody else's port is not taken off by a hook.
#[test]
fn a_tap_that_the_host_or_another_uses_is_left_alone() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add dev vif0.0 mode tap");
    lab.host.ip("addr add 10.44.0.1/24 dev vif0.0");
    lab.host.ip("-6 addr add fd00:44::1/64 dev vif0.0 nodad");
    let one = lab.boot(1);
    let before = settled(&lab);
    let refused = lab.ifup(&one);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("vif0.0 has the address 10.44.0.1/24"), "{}", refused.stderr);
    lab.assert_as_before("refused", &before);
    lab.host.ip("addr flush dev vif0.0");
    lab.host.ip("link add virbr9 type bridge");
    lab.host.ip("link set vif0.0 master virbr9 up");
    let before = settled(&lab);
    Cli::new(&lab.host, &["detach", "vif0.0"]).run().ok();
    lab.ifdown(&one).ok();
    lab.assert_as_before("somebody else's port", &before);
}

/// A bridge that was there has its link-local address again when it is isolated no longer.
#[test]
fn a_found_bridge_has_its_ipv6_back() {
    let lab = Lab::new(Network::ISOLATED);
    lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
    lab.host.ip("link add br0 address 02:00:00:00:00:77 type bridge forward_delay 0");
    lab.host.ip("link add port type veth peer name cable");
    lab.host.ip("link set port master br0 up");
    lab.host.ip("link set cable up");
    lab.host.ip("link set br0 up");
    eventually("it has an address", || lab.host.ip("-6 addr show dev br0").contains("fe80::ff:fe00:77/64"));
    lab.host.ip("link set port nomaster");
    let one = lab.attach(1);
    eventually("it has none", || lab.host.ip("-6 addr show dev br0").is_empty());
    lab.host.ip("link set port master br0");
    lab.detach(one);
    eventually("it has it again", || lab.host.ip("-6 addr show dev br0").contains("fe80::ff:fe00:77/64"));
}

/// What passes between guests takes no memory for fragments that are never whole: an isolated guest's would be everybody's.
#[test]
fn fragments_inside_a_bridge_wait_in_no_memory_of_the_host() {
    for network in [Network::ISOLATED, Network::NAT, Network::HOST_ONLY_VETH] {
        let lab = Lab::new(network);
        lab.write_config(&format!("{}{}", network.config(), Network::NAT.lab_table()));
        lab.bridged_frames_pass_firewall(true);
        let (one, two) = (lab.attach(1), lab.attach(2));
        // Connections are tracked as soon as a network translates.
        let _other = lab.attach_in_lab(1);
        lab.settle();
        let mac = |place: lab::Place| {
            let mut mac = [0; 6];
            mac.iter_mut()
                .zip(place.mac.split(':'))
                .for_each(|(to, from)| *to = u8::from_str_radix(from, 16).unwrap());
            mac
        };
        let (from, to) = (mac(network.guest(1)), mac(network.guest(2)));
        let send = |numbers: Range<u16>| {
            numbers.for_each(|number| one.inject(&first_fragment(from, to, number)));
        };
        // By a process of that network: /proc/net is that of a process, and not of one of its threads.
        let is_free = || lab.host.run("cat /proc/net/sockstat").contains("FRAG: inuse 0 memory 0");
        send(0..64);
        eventually("guest 2 hears them", || {
            two.heard().iter().any(|frame| frame.get(20..22) == Some(&[0x20, 0]))
        });
        assert!(is_free(), "{}", network.mode);
        lab.host.run("nft flush chain inet kvmnet-br0 prerouting");
        send(64..128);
        eventually(&format!("{}: they would wait there without the rule", network.mode), || !is_free());
    }
}

/// The first part of a datagram from guest 1 to guest 2, of which no other comes.
fn first_fragment(from: [u8; 6], to: [u8; 6], number: u16) -> Vec<u8> {
    let mut header = [0x45, 0, 0, 0, 0, 0, 0x20, 0, 64, 17, 0, 0, 10, 0, 100, 1, 10, 0, 100, 2];
    header[2..4].copy_from_slice(&(20u16 + 64).to_be_bytes());
    header[4..6].copy_from_slice(&number.to_be_bytes());
    let words = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    [&to[..], &from[..], &[8, 0], &header[..], &[0; 64][..]].concat()
}

/// A NIC that has another name by now is the same NIC: it gets back what it had, and nobody loses the host's addresses.
#[test]
fn a_nic_that_was_renamed_gets_back_what_it_had() {
    for way in ["ifdown", "gc", "down"] {
        let lab = Lab::new(Network::BRIDGED);
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        lab.host.ip("link set eth3 name lan9");
        match way {
            "ifdown" => lab.detach(one),
            "gc" => {
                one.kill();
                Cli::new(&lab.host, &["gc"]).run().ok();
            }
            _ => drop(Cli::new(&lab.host, &["down", "--force", "br0"]).run().ok()),
        }
        let addresses = lab.host.ip("-br addr show dev lan9");
        assert!(addresses.contains("192.168.1.230/24"), "{way}: {addresses}");
        eventually("the host is home", || lab.host.pings("192.168.1.25") && lab.host.pings("198.51.100.7"));
        assert!(!lab.host.ip("-br link").contains("br0"), "{way}");
        if way != "down" {
            lab.host.ip("link set lan9 name eth3");
            lab.assert_as_before(way, &before);
        }
    }
}

/// A network of another mode becomes bridged: the link-local address of its bridge is not the NIC's afterwards.
#[test]
fn an_edit_to_bridged_gives_the_nic_nothing_of_the_bridges() {
    for network in [Network::HOST_ONLY, Network::NAT] {
        let lab = Lab::new(network);
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        lab.write_config(&Network::BRIDGED.config());
        let two = lab.attach(2);
        lab.settle();
        lab.detach(one);
        lab.detach(two);
        lab.assert_as_before(network.mode, &before);
    }
}
