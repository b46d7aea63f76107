//! The table of the README, cell by cell: each attempt of a "yes" gets through, and none of a "no" does. That a "no"
//! is no accident of the attempt is shown by the same attempts in a network whose row says yes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Attempt, Cell, Network, TwoNetworks, World, cells};

const YES: bool = true;
const NO: bool = false;

/// Fails the test unless every attempt of a cell ended as the table says.
#[track_caller]
fn check(network: Network, forwards: bool, cell: Cell, expected: bool) {
    assert_all(&format!("{network:?}"), &cell(&World::new(network, forwards)), expected);
    if expected == NO {
        assert_all("the same attempts in routed mode", &cell(&World::new(Network::ROUTED, forwards)), YES);
    }
}

#[track_caller]
fn assert_all(network: &str, attempts: &[Attempt], expected: bool) {
    let wrong: Vec<&str> = attempts
        .iter()
        .filter(|attempt| attempt.reached != expected)
        .map(|attempt| attempt.what.as_str())
        .collect();
    let verdict = if expected { "did not get through, and must" } else { "got through, and must not" };
    assert!(
        wrong.is_empty(),
        "{network}: of {} attempts these {verdict}:\n  {}",
        attempts.len(),
        wrong.join("\n  ")
    );
}

/// One test for each cell of each row.
macro_rules! table {
    ($($name:ident, $network:expr, $router:expr, $guest:ident, $to_host:ident, $from_host:ident, $out:ident, $into:ident;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn guest_to_guest() {
                check($network, $router, cells::guest_to_guest, $guest);
            }

            #[test]
            fn guest_to_host() {
                check($network, $router, cells::guest_to_host, $to_host);
            }

            #[test]
            fn host_to_guest() {
                check($network, $router, cells::host_to_guest, $from_host);
            }

            #[test]
            fn guest_to_outside() {
                check($network, $router, cells::guest_to_outside, $out);
            }

            #[test]
            fn outside_to_guest() {
                check($network, $router, cells::outside_to_guest, $into);
            }
        })*
    };
}

// A router is a host where somebody else has switched forwarding on, machine-wide, before kvmnet came.
table! {
    // row                      form                     router guest  guest  host   guest  outside
    //                                                          guest  host   guest  out    guest
    isolated,                   Network::ISOLATED,       false, YES,   NO,    NO,    NO,    NO;
    host_only,                  Network::HOST_ONLY,      false, YES,   YES,   YES,   NO,    NO;
    host_only_veth,             Network::HOST_ONLY_VETH, false, YES,   YES,   YES,   NO,    NO;
    routed,                     Network::ROUTED,         false, YES,   YES,   YES,   YES,   YES;
    routed_veth,                Network::ROUTED_VETH,    false, YES,   YES,   YES,   YES,   YES;
    nat,                        Network::NAT,            false, YES,   YES,   YES,   YES,   NO;
    nat_source,                 Network::NAT_SOURCE,     false, YES,   YES,   YES,   YES,   NO;
    nat_veth,                   Network::NAT_VETH,       false, YES,   YES,   YES,   YES,   NO;
    bridged,                    Network::BRIDGED,        false, YES,   YES,   YES,   YES,   YES;

    isolated_on_a_router,       Network::ISOLATED,       true,  YES,   NO,    NO,    NO,    NO;
    host_only_on_a_router,      Network::HOST_ONLY,      true,  YES,   YES,   YES,   NO,    NO;
    host_only_veth_on_a_router, Network::HOST_ONLY_VETH, true,  YES,   YES,   YES,   NO,    NO;
    routed_on_a_router,         Network::ROUTED,         true,  YES,   YES,   YES,   YES,   YES;
    nat_on_a_router,            Network::NAT,            true,  YES,   YES,   YES,   YES,   NO;
    bridged_on_a_router,        Network::BRIDGED,        true,  YES,   YES,   YES,   YES,   YES;
}

/// A host-only network has the host at its addresses there, and not at those of its other interfaces.
#[test]
fn host_only_guests_reach_the_host_on_their_network_alone() {
    for network in [Network::HOST_ONLY, Network::HOST_ONLY_VETH] {
        check(network, true, cells::guest_to_host_elsewhere, NO);
    }
}

/// Guests of two networks of one host, both ways: only routed networks reach one another.
#[track_caller]
fn check_two(first: Network, second: Network, forwards: bool) {
    let expected = first.mode == "routed" && second.mode == "routed";
    let world = TwoNetworks::new(first, second, forwards);
    assert_all(&format!("{first:?} to {second:?}"), &world.first_to_second(), expected);
    assert_all(&format!("{second:?} to {first:?}"), &world.second_to_first(), expected);
    if expected == NO {
        let routed = TwoNetworks::new(Network::ROUTED, Network::ROUTED, forwards);
        assert_all("the same attempts, both routed", &routed.first_to_second(), YES);
        assert_all("the same attempts, both routed", &routed.second_to_first(), YES);
    }
}

/// One test for each pair of networks on one host.
macro_rules! beside {
    ($($name:ident, $first:expr, $router:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn isolated() {
                check_two($first, Network::ISOLATED, $router);
            }

            #[test]
            fn host_only() {
                check_two($first, Network::HOST_ONLY, $router);
            }

            #[test]
            fn routed() {
                check_two($first, Network::ROUTED, $router);
            }

            #[test]
            fn nat() {
                check_two($first, Network::NAT, $router);
            }
        })*
    };
}

beside! {
    isolated_beside,              Network::ISOLATED,  false;
    host_only_beside,             Network::HOST_ONLY, false;
    routed_beside,                Network::ROUTED,    false;
    nat_beside,                   Network::NAT,       false;

    isolated_on_a_router_beside,  Network::ISOLATED,  true;
    host_only_on_a_router_beside, Network::HOST_ONLY, true;
    routed_on_a_router_beside,    Network::ROUTED,    true;
    nat_on_a_router_beside,       Network::NAT,       true;
}

/// A bridged guest is a machine of the LAN, so it reaches what the outside machine reaches: a routed network, and
/// no other.
#[test]
fn bridged_guests_reach_other_networks_as_the_lan_does() {
    for second in [Network::ISOLATED, Network::HOST_ONLY, Network::ROUTED, Network::NAT] {
        let second = Network { uplink: "", ..second };
        let world = TwoNetworks::new(Network::BRIDGED, second, false);
        assert_all(&format!("bridged to {second:?}"), &world.first_to_second(), second.mode == "routed");
    }
}
