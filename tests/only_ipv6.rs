//! A host with nothing but IPv6: its NIC is taken over and given back while people talk with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, NAME, UP};
use lab::{Conversation, Hook, Lab, Network, Snapshot, Tap, TcpServer, eventually};

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

/// Address and default route are what a router announces, and so they are afterwards.
#[test]
fn what_a_router_announced() {
    let lab = without_ipv4();
    lab.host.ip("-6 addr del fd00:1::230/64 dev eth3");
    lab.host.ip("-6 route flush default");
    let router = [
        "--no-daemon",
        "--port=0",
        "--interface=eth0",
        "--leasefile-ro",
        "--pid-file=",
        "--conf-file=/dev/null",
        "--enable-ra",
        "--dhcp-range=fd00:1::,ra-only,64,30m",
    ];
    let _router = lab.outside.start("dnsmasq", &router);
    let announced = || {
        let addresses = lab.host.ip("-6 -o addr show dev eth3 scope global dynamic");
        let address = addresses.split_whitespace().nth(3)?.split('/').next()?.to_owned();
        lab.host.ip("-6 route show default").contains("proto ra").then_some(address)
    };
    eventually("the host has what the router announces", || announced().is_some());
    is_taken_and_given_back(&lab, &announced().unwrap());
    assert!(announced().is_some(), "the address still has its lifetimes, and the route its origin");
}
