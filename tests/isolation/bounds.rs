//! What a guest can fill: the groups that the bridge knows of are so many and no more, and it goes on carrying frames. (The MACs that it
//! learns are in tests/guard.rs.)

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::attack::ATTACKER;
use crate::lab::frame::{ICMPV6, checksum, checksum6};
use crate::lab::{Frame, Lab, Network, eventually};

/// Of each bridge (`mcast_hash_max`).
const GROUPS: usize = 4096;

/// "I listen to this group": IGMPv2.
fn report4(group: Ipv4Addr) -> Vec<u8> {
    let [_, b, c, d] = group.octets();
    let frame = Frame { from: ATTACKER, to: [1, 0, 0x5e, b & 0x7f, c, d] };
    let mut igmp = [&[0x16, 0, 0, 0][..], &group.octets()].concat();
    let sum = checksum(&igmp).to_be_bytes();
    igmp[2..4].copy_from_slice(&sum);
    frame.ipv4_with(Ipv4Addr::new(10, 0, 100, 1), group, 2, &[0x94, 4, 0, 0], &igmp)
}

/// The same in IPv6: MLDv1.
fn report6(group: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c, d] = group.octets();
    let frame = Frame { from: ATTACKER, to: [0x33, 0x33, a, b, c, d] };
    let own: Ipv6Addr = "fe80::5054:ff:fe12:3456".parse().unwrap();
    let mut mld = [&[131, 0, 0, 0, 0, 0, 0, 0][..], &group.octets()].concat();
    let sum = checksum6(own, group, ICMPV6, &mld);
    mld[2..4].copy_from_slice(&sum);
    frame.ip(own.into(), group.into(), 0, &[&[ICMPV6, 0, 5, 2, 0, 0, 1, 0][..], &mld].concat())
}

#[test]
fn groups_that_the_bridge_knows_are_bounded() {
    for network in [Network::ISOLATED, Network::NAT, Network::BRIDGED] {
        let lab = Lab::new(network);
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        let known = || {
            lab.host
                .run("bridge mdb show dev br0")
                .lines()
                .filter(|line| line.contains("port vif0.0"))
                .count()
        };
        let before = known();
        for number in 0..10 {
            one.inject(&report4(Ipv4Addr::from(0xef01_0000 + number)));
            one.inject(&report6(Ipv6Addr::from(0xff0e << 112 | u128::from(number + 1) << 8)));
        }
        eventually("the bridge learns groups", || known() >= before + 20);
        for number in 10..6000_u32 {
            one.inject(&report4(Ipv4Addr::from(0xef01_0000 + number)));
            one.inject(&report6(Ipv6Addr::from(0xff0e << 112 | u128::from(number + 1) << 8)));
        }
        eventually("guest 2 answers guest 1", || {
            one.pings(&network.guest(2).v4) && two.pings(&network.guest(1).v6)
        });
        assert!(known() <= GROUPS, "{network:?}: {} groups", known());
    }
}
