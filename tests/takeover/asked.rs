//! The gateway is asked before and after: a takeover that silences it is taken back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::lab::{Frame, Guest, Lab, Network, Snapshot};

/// The gateway answers on the NIC and is not heard by the bridge: all is moved back, and the hook says so.
#[test]
fn a_takeover_that_silences_the_gateway_is_taken_back() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.run("nft add table bridge mute");
    lab.host.run("nft add chain bridge mute input { type filter hook input priority 0 ; policy drop ; }");
    let guest = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    let ran = lab.ifup(&guest);
    assert!(ran.complains(1).contains("answered on eth3 and is silent on br0"));
    lab.assert_as_before("all is moved back", &before);
}

/// The gateway is asked wherever it is: with addresses and routes set up by these commands, a bridge that hears nothing is
/// noticed.
#[track_caller]
fn is_asked(commands: &[&str]) {
    let lab = Lab::new(Network::BRIDGED);
    let router = lab.outside.link_local("eth0").unwrap();
    for command in commands {
        lab.host.ip(&command.replace("ROUTER", &router));
    }
    lab.host.run("nft add table bridge mute");
    lab.host.run("nft add chain bridge mute input { type filter hook input priority 0 ; policy drop ; }");
    let guest = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    let ran = lab.ifup(&guest);
    assert!(ran.complains(1).contains("answered on eth3 and is silent on br0"), "{commands:?}");
    lab.assert_as_before("all is moved back", &before);
}

const WITHOUT_IPV6: &str = "-6 route delete default";

#[test]
fn a_gateway_outside_the_subnet_is_asked() {
    let alone = [WITHOUT_IPV6, "addr flush dev eth3", "addr add 192.168.1.230/32 dev eth3"];
    let onlink = ["route add default via 192.168.1.25 dev eth3 onlink"];
    is_asked(&[&alone[..], &onlink].concat());
    let by_host_route = ["route add 192.168.1.25 dev eth3", "route add default via 192.168.1.25"];
    is_asked(&[&alone[..], &by_host_route].concat());
}

#[test]
fn a_gateway_at_the_other_end_is_asked() {
    is_asked(&[
        WITHOUT_IPV6,
        "addr flush dev eth3",
        "addr add 192.168.1.230 peer 192.168.1.25/32 dev eth3",
        "route add default via 192.168.1.25",
    ]);
}

#[test]
fn a_gateway_of_a_nexthop_object_is_asked() {
    is_asked(&[
        WITHOUT_IPV6,
        "route flush default",
        "nexthop add id 7 via 192.168.1.25 dev eth3",
        "route add default nhid 7",
    ]);
}

#[test]
fn a_gateway_with_a_link_local_address_is_asked() {
    is_asked(&[
        "addr flush dev eth3",
        "addr add fd00:1::230/128 dev eth3 nodad",
        "-6 route replace default via ROUTER dev eth3 onlink",
    ]);
}

/// Who has the gateway's link-local address on another link is not the gateway.
#[test]
fn the_gateway_of_another_link_proves_nothing() {
    let lab = Lab::new(Network::BRIDGED);
    let router = lab.outside.link_local("eth0").unwrap();
    lab.host.ip("-4 addr flush dev eth3");
    lab.host.ip(&format!("-6 route replace default via {router} dev eth3"));
    lab.host.run("nft add table bridge mute");
    lab.host.run("nft add chain bridge mute input { type filter hook input priority 0 ; policy drop ; }");
    let guest = lab.boot(1);
    let twin = Guest::boot(&lab.host, "twin0", "52:54:00:12:34:99");
    lab.host.ip("link set twin0 up");
    let frame = Frame { from: twin.mac("eth0"), to: [0x33, 0x33, 0, 0, 0, 1] };
    let frame = frame.neighbour_advertisement(router.parse().unwrap());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                twin.inject(&frame);
                thread::yield_now();
            }
        });
        let ran = lab.ifup(&guest);
        is_over.store(true, Ordering::Relaxed);
        assert!(ran.complains(1).contains("answered on eth3 and is silent on br0"));
    });
}

/// A takeover that fails in the end leaves no trace: IPv6 addresses are in use again at once.
#[test]
fn what_is_taken_back_is_at_once_as_it_was() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.sysctl("ipv6/conf/eth3/accept_dad", "1");
    for command in [
        "neigh add 192.168.1.99 lladdr 02:00:00:00:00:02 dev eth3 nud permanent",
        "neigh add proxy fd00:1::77 dev eth3",
    ] {
        lab.host.ip(command);
    }
    lab.host.run("nft add table bridge mute");
    lab.host.run("nft add chain bridge mute input { type filter hook input priority 0 ; policy drop ; }");
    let guest = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    lab.ifup(&guest).complains(1);
    assert_eq!(lab.host.ip("-6 addr show tentative"), "", "no address is looked for again");
    assert!(lab.host.pings("fd00:1::25"));
    lab.assert_as_before("all is moved back", &before);
}

/// Whoever switches the question off gets the bridge all the same.
#[test]
fn without_confirmation_a_takeover_goes_on() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.run("nft add table bridge mute");
    lab.host.run("nft add chain bridge mute input { type filter hook input priority 0 ; policy drop ; }");
    let guest = lab.boot(1);
    lab.hook("/etc/qemu-ifup", &guest).env("KVMNET_CONFIRM", "false").run().ok();
    assert!(lab.host.ip("addr show dev br0").contains("192.168.1.230/24"));
}

/// A gateway that was silent before proves nothing by being silent after.
#[test]
fn a_gateway_that_never_answered_is_no_reason() {
    let lab = Lab::new(Network::BRIDGED);
    lab.outside.ip("link set eth0 arp off");
    lab.host.ip("neigh flush dev eth3");
    let guest = lab.boot(1);
    lab.ifup(&guest).ok();
    assert!(lab.host.ip("addr show dev br0").contains("192.168.1.230/24"));
}
