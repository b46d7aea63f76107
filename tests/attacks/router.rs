//! The host is a router for nobody because guests are on, and guests leave by their uplink alone.

use std::time::Duration;

use crate::lab::{Lab, Listener, Network, World, within};

/// Whether a machine beyond one NIC gets a datagram to a machine beyond the other, through the host: from the
/// uplink to the other NIC, and back.
fn leaks_between_nics(lab: &Lab) -> [bool; 4] {
    let (mut outside, mut other) = (Listener::on(&lab.outside), Listener::on(&lab.other));
    lab.outside_knows_the_way();
    for (from, to) in [
        (&lab.outside, "10.77.0.2"),
        (&lab.outside, "fd00:77::2"),
        (&lab.other, "192.168.1.25"),
        (&lab.other, "fd00:1::25"),
    ] {
        from.send(to, to);
    }
    let mut heard = || {
        ["10.77.0.2", "fd00:77::2", "192.168.1.25", "fd00:1::25"]
            .map(|to| other.has_heard(to) || outside.has_heard(to))
    };
    within(Duration::from_secs(1), || heard() == [true; 4]);
    heard()
}

/// A host that was no router between its NICs must not become one because guests are on.
#[track_caller]
fn host_is_no_router_between_its_nics(network: Network) {
    let lab = Lab::new(network);
    assert_eq!(leaks_between_nics(&lab), [false; 4], "the host is not a router before");
    let _guests = (lab.attach(1), lab.attach(2));
    lab.settle();
    assert_eq!(
        leaks_between_nics(&lab),
        [false; 4],
        "{network:?}: 4 and 6 from the uplink to eth4, then from eth4 to the uplink"
    );
    let router = Lab::new(network);
    router.host_forwards_for_others();
    assert_eq!(leaks_between_nics(&router), [true; 4], "the attempts work on a router");
}

#[test]
fn routed_host_is_no_router_between_its_nics() {
    host_is_no_router_between_its_nics(Network::ROUTED);
    host_is_no_router_between_its_nics(Network::ROUTED_VETH);
}

#[test]
fn nat_host_is_no_router_between_its_nics() {
    host_is_no_router_between_its_nics(Network::NAT);
    host_is_no_router_between_its_nics(Network::NAT_SOURCE);
}

#[test]
fn a_router_stays_a_router_while_guests_are_on() {
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::ROUTED, Network::NAT] {
        let world = World::new(network, true);
        assert_eq!(
            leaks_between_nics(&world.lab),
            [true; 4],
            "{network:?}: what the host forwards for others goes on"
        );
    }
}

/// Whether guest 1 gets a datagram to the machine behind eth4, in IPv4 and in IPv6.
fn reaches_behind_other_nic(network: Network, forwards: bool) -> [bool; 2] {
    let world = World::new(network, forwards);
    let mut other = Listener::on(&world.lab.other);
    ["10.77.0.2", "fd00:77::2"].map(|to| {
        world.one.send(to, to);
        within(Duration::from_secs(1), || other.has_heard(to))
    })
}

#[test]
fn guests_leave_by_the_uplink_only() {
    for network in [Network::ROUTED, Network::NAT] {
        for forwards in [false, true] {
            assert_eq!(
                reaches_behind_other_nic(network, forwards),
                [false; 2],
                "{network:?}: eth4 is not the uplink"
            );
        }
    }
    let both = Network { keys: "uplink  = [\"eth3\", \"eth4\"]\n", uplink: "", ..Network::NAT };
    assert_eq!(
        reaches_behind_other_nic(both, false),
        [true; 2],
        "the attempt works where eth4 is an uplink, too"
    );
}
