//! A NIC that is down, or has lost IPv6, before a takeover or during it.

use crate::lab::{Cli, Lab, Network, Snapshot, eventually};

/// Somebody sets the NIC down while it is the bridge's: the host has its addresses and routes on it again all the same.
#[test]
fn a_nic_that_is_down_gets_back_what_it_had() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("route add 10.9.0.0/16 via 192.168.1.25 dev eth3");
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    lab.host.ip("link set eth3 down");
    lab.detach(guest);
    lab.host.ip("link set eth3 up");
    eventually("the host reaches the outside", || {
        ["192.168.1.25", "fd00:1::25"].iter().all(|to| lab.host.pings(to))
    });
    lab.assert_as_before("the NIC is back", &before);
}

/// A NIC that was down before is so afterwards, though somebody set it down once more in between.
#[test]
fn a_nic_that_was_down_is_down_again() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link set eth3 down");
    lab.host.ip("-6 addr flush dev eth3");
    let before = Snapshot::of(&lab.host);
    for sets_down in [false, true] {
        let guest = lab.attach(1);
        lab.host.ip("route add 10.9.0.0/16 via 192.168.1.25 dev br0");
        if sets_down {
            lab.host.ip("link set eth3 down");
        }
        lab.detach(guest);
        lab.assert_as_before("the NIC is down again", &before);
    }
}

/// The same while it is still looked for whether another machine has the link-local address that the bridge made itself.
#[test]
fn a_nic_that_was_down_gets_no_address_of_the_bridges_own() {
    let lab = Lab::new(Network::BRIDGED);
    for link in ["default", "eth3"] {
        for (key, value) in [("accept_dad", "1"), ("dad_transmits", "100")] {
            lab.host.sysctl(&format!("ipv6/conf/{link}/{key}"), value);
        }
    }
    lab.host.ip("link set eth3 down");
    lab.host.ip("-6 addr flush dev eth3");
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    eventually("the bridge looks", || lab.host.ip("-6 addr show dev br0").contains("tentative"));
    lab.host.ip("link set eth3 down");
    lab.detach(guest);
    lab.assert_as_before("the NIC is down again", &before);
}

/// A NIC that was down is up for as long as guests are on it, however many come: the last one sets it down again.
#[test]
fn a_nic_that_was_down_is_up_for_every_guest() {
    for flush in ["-6 addr flush dev eth3", "addr flush dev eth3", "-6 addr flush dev lo"] {
        let lab = Lab::new(Network::BRIDGED);
        lab.host.ip("link set eth3 down");
        lab.host.ip(flush);
        let before = Snapshot::of(&lab.host);
        let is_up = |when: &str| {
            eventually("the bridge has its port", || lab.host.ip("link show eth3").contains("LOWER_UP"));
            eventually("the host has a link-local address there", || lab.host.link_local("br0").is_some());
            let said = Cli::new(&lab.host, &["check"]).run();
            assert_eq!(said.status, 0, "{when}: {}", said.out);
        };
        let one = lab.attach(1);
        is_up("one guest");
        let two = lab.attach(2);
        is_up("two guests");
        lab.ifup(&one).ok();
        is_up("one again");
        lab.host.ip("link set eth3 down");
        lab.ifup(&two).ok();
        is_up("set down by another hand");
        lab.detach(one);
        is_up("the first has left");
        lab.detach(two);
        lab.assert_as_before("the NIC is down again", &before);
    }
}

/// IPv6 is switched off on the NIC while it is the bridge's: the rest comes back, and there is no IPv6 to give back.
#[test]
fn a_nic_that_has_lost_ipv6_gets_back_the_rest() {
    let lab = Lab::new(Network::BRIDGED);
    let settled = |lab: &Lab| {
        (
            lab.host.ip("-4 -o addr show"),
            lab.host.ip("-4 route show table all"),
            lab.host.ip("-6 -o addr show dev eth3"),
        )
    };
    lab.host.ip("route add 10.9.0.0/16 via inet6 fd00:1::25 dev eth3");
    lab.host.ip("nexthop add id 7 via fd00:1::25 dev eth3");
    let guest = lab.attach(1);
    lab.host.sysctl("ipv6/conf/eth3/disable_ipv6", "1");
    lab.detach(guest);
    let (addresses, routes, none) = settled(&lab);
    assert!(addresses.contains("eth3    inet 192.168.1.230/24"), "{addresses}");
    assert!(routes.contains("default via 192.168.1.25 dev eth3"), "{routes}");
    assert_eq!(none, "");
    assert!(lab.host.pings("192.168.1.25"));
    assert!(!lab.host.ip("link show").contains("br0"));
}
