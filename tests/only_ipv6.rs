//! A host with nothing but IPv6: its NIC is taken over and given back while people talk with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, NAME, UP};
use lab::{Conversation, Hook, Lab, Network, Process, Snapshot, Tap, TcpServer, eventually};

/// A host whose NIC has no IPv4 address.
fn without_ipv4() -> Lab {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("-4 addr flush dev eth3");
    assert_eq!(lab.host.ip("-4 route show dev eth3"), "", "no IPv4 route is left");
    lab
}

/// The machines of the LAN and of the world reach each other as if nothing happened, before, while and after a guest
/// is on, and both connections go on.
#[track_caller]
fn is_taken_and_given_back(lab: &Lab, address: &str) {
    let (host, outside) = (&lab.host, &lab.outside);
    let (here, there) = (TcpServer::on(host), TcpServer::on(outside));
    let conversations = [
        Conversation::start(outside, &here, address),
        Conversation::start(host, &there, "fd00:51::7"),
        Conversation::start(host, &there, "fd00:1::25"),
    ];
    let all_is_well = |when: &str, link: &str| {
        assert!(
            host.ip(&format!("-6 addr show dev {link}")).contains(address),
            "{when}: {link} has {address}"
        );
        assert!(
            host.ip(&format!("-6 route show default dev {link}")).contains("via"),
            "{when}: a way by {link}"
        );
        assert!(!host.ip(&format!("addr show dev {link}")).contains("inet "), "{when}: no IPv4 has come");
        for (from, to) in [(outside, address), (host, "fd00:1::25"), (host, "fd00:51::7")] {
            assert!(from.pings(to), "{when}: {to} answers");
        }
        conversations.iter().for_each(|conversation| conversation.await_turns(20));
    };
    let tap = Tap::open(host, NAME);
    all_is_well("before", "eth3");
    Hook::new(host, UP, &[NAME]).tap(&tap).run().ok();
    all_is_well("with a guest", "br0");
    Hook::new(host, DOWN, &[NAME]).tap(&tap).run().ok();
    all_is_well("afterwards", "eth3");
    for conversation in conversations {
        conversation.finish();
    }
}

#[test]
fn static_addresses_and_routes() {
    let lab = without_ipv4();
    let before = Snapshot::of(&lab.host);
    is_taken_and_given_back(&lab, "fd00:1::230");
    lab.assert_as_before("the NIC is back", &before);
}

/// A router that announces a prefix and itself.
fn router(lab: &Lab) -> Process {
    let arguments = [
        "--no-daemon",
        "--port=0",
        "--interface=eth0",
        "--leasefile-ro",
        "--pid-file=",
        "--conf-file=/dev/null",
        "--enable-ra",
        "--dhcp-range=fd00:1::,ra-only,64,30m",
    ];
    lab.host.ip("-6 addr del fd00:1::230/64 dev eth3");
    lab.host.ip("-6 route flush default");
    lab.outside.start("dnsmasq", &arguments)
}

/// Address and default route are what a router announces, and so they are afterwards.
#[test]
fn what_a_router_announced() {
    let lab = without_ipv4();
    let _router = router(&lab);
    let announced = || {
        let addresses = lab.host.ip("-6 -o addr show dev eth3 scope global dynamic");
        let address = addresses.split_whitespace().nth(3)?.split('/').next()?.to_owned();
        lab.host.ip("-6 route show default").contains("proto ra").then_some(address)
    };
    eventually("the host has what the router announces", || announced().is_some());
    is_taken_and_given_back(&lab, &announced().unwrap());
    assert!(announced().is_some(), "the address still has its lifetimes, and the route its origin");
}

/// Guests come and go: the route by the router is there once as the kernel made it, and at most once as it was copied.
#[test]
fn copies_of_an_announced_route_do_not_add_up() {
    let lab = without_ipv4();
    let _router = router(&lab);
    let routes = || {
        let routes = lab.host.ip("-6 route show default proto ra");
        let words = |route: &str| route.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let metric =
            |words: Vec<String>| words[1 + words.iter().position(|word| word == "metric")?].parse().ok();
        let mut metrics: Vec<u32> = routes.lines().filter_map(|route| metric(words(route))).collect();
        metrics.sort_unstable();
        metrics
    };
    for round in 1..=3 {
        eventually("the router has spoken to the NIC", || routes().contains(&1024));
        let tap = Tap::open(&lab.host, NAME);
        Hook::new(&lab.host, UP, &[NAME]).tap(&tap).run().ok();
        eventually("the router has spoken to the bridge", || routes().contains(&1024));
        assert_eq!(routes(), [1024, 1025], "round {round}, on the bridge");
        Hook::new(&lab.host, DOWN, &[NAME]).tap(&tap).run().ok();
        assert!(matches!(routes()[..], [1025] | [1024, 1025]), "round {round}, back: {:?}", routes());
        // The kernel asks for routers again when an interface comes up.
        lab.host.ip("link set eth3 down");
        lab.host.ip("link set eth3 up");
    }
}
