//! What the host forwards because guests are on: for them, and for nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Frame, Lab, Listener, Machine, Network, eventually, inject, within};

const BY_ROUTES: Network = Network { uplink: "", ..Network::NAT };
const ROUTED_BY_ROUTES: Network = Network { uplink: "", ..Network::ROUTED };

/// Whether a machine gets a datagram by way of the host, in IPv4 and in IPv6, that comes in by this NIC of the host.
fn gets(to: &Machine, addresses: [&str; 2], from: &Machine, nic: &str, lab: &Lab) -> [bool; 2] {
    let mut heard = Listener::on(to);
    let frame = Frame { from: from.mac("eth0"), to: lab.host.mac(nic) };
    let text = format!("by way of {nic}");
    let [v4, v6] = addresses;
    inject(from, "eth0", &frame.udp4("192.168.1.99".parse().unwrap(), v4.parse().unwrap(), &text));
    let six = format!("{text}, six");
    inject(from, "eth0", &frame.udp6("fd00:1::99".parse().unwrap(), v6.parse().unwrap(), &six));
    within(Duration::from_millis(700), || heard.has_heard(&text) && heard.has_heard(&six));
    [heard.has_heard(&text), heard.has_heard(&six)]
}

/// The outside sends to itself through the host: in by its NIC and out again.
fn around(lab: &Lab, nic: &str) -> [bool; 2] {
    gets(&lab.outside, ["192.168.1.25", "fd00:1::25"], &lab.outside, nic, lab)
}

#[test]
fn the_host_sends_nothing_back_where_it_came_from() {
    for network in [Network::NAT, Network::ROUTED, BY_ROUTES, ROUTED_BY_ROUTES] {
        let lab = Lab::new(network);
        assert_eq!(around(&lab, "eth3"), [false; 2], "the host is no router before");
        let one = lab.attach(1);
        lab.settle();
        assert_eq!(around(&lab, "eth3"), [false; 2], "{network:?}");
        lab.outside_knows_the_way();
        eventually("the guest gets out", || one.pings("192.168.1.25") && one.pings("fd00:1::25"));
        let router = Lab::new(network);
        router.host_forwards_for_others();
        let _one = router.attach(1);
        assert_eq!(around(&router, "eth3"), [true; 2], "a router goes on as one");
    }
}

/// A host whose NICs are both ports of a bridge of its own.
fn with_lan_bridge(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.host.ip("link add lan0 type bridge forward_delay 0");
    for nic in ["eth3", "eth4"] {
        lab.host.ip(&format!("addr flush dev {nic}"));
        lab.host.ip(&format!("link set {nic} master lan0"));
    }
    lab.host.ip("addr add 192.168.1.230/24 dev lan0");
    lab.host.ip("-6 addr add fd00:1::230/64 dev lan0 nodad");
    lab.host.ip("link set lan0 up");
    lab.host.ip("route replace default via 192.168.1.25 dev lan0");
    lab.host.ip("-6 route replace default via fd00:1::25 dev lan0");
    lab.other.ip("addr add 192.168.1.26/24 dev eth0");
    lab.other.ip("-6 addr add fd00:1::26/64 dev eth0 nodad");
    eventually("the machines of the LAN know each other", || {
        lab.other.pings("192.168.1.25") && lab.other.pings("fd00:1::25")
    });
    lab
}

/// Frames inside a bridge of the LAN go on, though the host's firewall sees them; what the host would route does not.
#[test]
fn a_bridge_of_the_lan_is_an_uplink_and_nothing_more() {
    let named = "uplink  = \"lan0\"\n";
    for network in
        [Network { uplink: named, ..Network::NAT }, Network { uplink: named, ..Network::ROUTED }, BY_ROUTES]
    {
        let lab = with_lan_bridge(network);
        lab.bridged_frames_pass_firewall(true);
        let one = lab.attach(1);
        lab.settle();
        lab.outside_knows_the_way();
        eventually("the guest gets out", || one.pings("192.168.1.25") && one.pings("fd00:1::25"));
        assert!(lab.other.pings("192.168.1.25") && lab.other.pings("fd00:1::25"), "{network:?}");
        assert_eq!(around(&lab, "lan0"), [false; 2], "{network:?}");
    }
}
