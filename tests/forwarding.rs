//! What the host forwards because guests are on: for them, and for nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "forwarding/routes.rs"]
mod routes;

use std::time::Duration;

use lab::{Frame, Lab, Listener, Machine, Network, Snapshot, eventually, inject, within};

const BY_ROUTES: Network = Network::NAT_BY_ROUTES;
const ROUTED_BY_ROUTES: Network = Network::ROUTED_BY_ROUTES;

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

/// Somewhere behind the machine behind `eth4`, in both versions.
const FAR: [&str; 2] = ["203.0.113.9", "fd00:113::9"];

/// A lab in which the machine behind `eth4` stands for all that is far away.
fn with_far(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    lab.other.ip(&format!("addr add {}/32 dev lo", FAR[0]));
    lab.other.ip(&format!("-6 addr add {}/128 dev lo nodad", FAR[1]));
    lab
}

fn ip_all(lab: &Lab, commands: &[&str]) {
    commands.iter().for_each(|arguments| drop(lab.host.ip(arguments)));
}

/// Waits a moment for answers of both addresses.
fn reaches(guest: &Machine, [v4, v6]: [&str; 2]) -> bool {
    within(Duration::from_secs(8), || guest.pings(v4) && guest.pings(v6))
}

/// The machines behind the NICs of the host, which hear nothing of each other.
#[track_caller]
fn assert_no_router(lab: &Lab, what: &str) {
    let ways = [
        gets(&lab.other, ["10.77.0.2", "fd00:77::2"], &lab.outside, "eth3", lab),
        gets(&lab.outside, ["192.168.1.25", "fd00:1::25"], &lab.other, "eth4", lab),
        around(lab, "eth3"),
    ];
    assert_eq!(ways, [[false; 2]; 3], "{what}: the host is nobody's router");
}

/// What forwarded before goes on for others, and keeps its setting; what did not, does not, though a table is lost.
#[test]
fn an_interface_that_forwarded_before_goes_on() {
    let lab = with_far(BY_ROUTES);
    lab.host.sysctl("ipv4/conf/eth4/forwarding", "1");
    let before = Snapshot::of(&lab.host);
    let through = || gets(&lab.outside, ["192.168.1.25", "fd00:1::25"], &lab.other, "eth4", &lab);
    assert_eq!(through(), [true, false], "before");
    let one = lab.attach(1);
    assert_eq!(through(), [true, false], "while a guest is on");
    assert_eq!(
        gets(&lab.other, ["10.77.0.2", "fd00:77::2"], &lab.outside, "eth3", &lab),
        [false; 2],
        "the other way it did not"
    );
    lab.detach(one);
    lab.assert_as_before("the setting stays", &before);
}

/// Networks that go by the routes and such that name their uplink, coming and going in every order: who is left is well,
/// and the last one gives all back.
#[test]
fn networks_share_what_is_open() {
    for (first, second) in [
        (BY_ROUTES, BY_ROUTES),
        (BY_ROUTES, Network::NAT),
        (Network::NAT, BY_ROUTES),
        (Network::NAT, Network::ROUTED),
        (ROUTED_BY_ROUTES, BY_ROUTES),
    ] {
        for first_leaves_first in [true, false] {
            let lab = Lab::new(first);
            lab.outside_knows_the_way();
            lab.write_config(&format!("{}{}", first.config(), second.lab_table()));
            let before = Snapshot::of(&lab.host);
            let (one, three) = (lab.attach(1), lab.attach_in_lab(1));
            let outside = ["192.168.1.25", "fd00:1::25"];
            assert!(reaches(&one, outside) && reaches(&three, outside), "{first:?} and {second:?}");
            let (leaves, stays) = if first_leaves_first { (one, three) } else { (three, one) };
            lab.detach(leaves);
            assert!(reaches(&stays, outside), "{first:?} and {second:?}, {first_leaves_first}");
            assert_no_router(&lab, "one is left");
            lab.detach(stays);
            lab.assert_as_before(&format!("{first:?} and {second:?}"), &before);
        }
    }
}

/// Somebody switches the whole machine on and off again: the next guest finds its way all the same.
#[test]
fn the_next_guest_opens_what_somebody_closed() {
    let lab = Lab::new(BY_ROUTES);
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    lab.host.sysctl("ipv4/ip_forward", "1");
    lab.host.sysctl("ipv4/ip_forward", "0");
    let two = lab.attach(2);
    assert!(reaches(&one, ["192.168.1.25", "fd00:1::25"]));
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("all is given back", &before);
}

/// The way out is recorded: it is closed again, whatever becomes of the default route, the uplink's name, and the guests'
/// order.
#[test]
fn a_former_uplink_is_not_forgotten() {
    let lab = Lab::new(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    lab.host.ip("link set eth3 down");
    lab.host.ip("link set eth3 name wan0");
    lab.host.ip("link set wan0 up");
    lab.detach(one);
    assert_eq!(lab.host.read_sysctl("ipv4/conf/wan0/forwarding").as_deref(), Some("0"), "under its new name");
    lab.host.ip("link set wan0 down");
    lab.host.ip("link set wan0 name eth3");
    lab.host.ip("link set eth3 up");
    for arguments in [
        "route replace default via 192.168.1.25 dev eth3",
        "-6 addr replace fd00:1::230/64 dev eth3 nodad",
        "-6 route replace default via fd00:1::25 dev eth3",
    ] {
        lab.host.ip(arguments);
    }
    lab.assert_as_before("all is given back", &before);
    // An edit takes another uplink.
    let one = lab.attach(1);
    lab.write_config(&Network { uplink: "uplink  = \"eth4\"\n", ..Network::NAT }.config());
    let two = lab.attach(2);
    assert_eq!(lab.host.read_sysctl("ipv4/conf/eth3/forwarding").as_deref(), Some("0"), "it is left");
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("all is given back again", &before);
}

/// Two NICs change their names while guests come and go: each gets back what was changed of it, not of its name.
#[test]
fn a_former_uplink_is_closed_though_its_name_is_anothers() {
    for network in [Network::NAT, Network { mode: "routed", ..Network::NAT }] {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        for arguments in [
            "link set eth3 down",
            "link set eth3 name wan0",
            "link set wan0 up",
            "link set eth4 down",
            "link set eth4 name eth3",
            "link set eth3 up",
        ] {
            lab.host.ip(arguments);
        }
        let two = lab.attach(2);
        let forwards = |nic: &str| {
            let keys = [format!("ipv4/conf/{nic}/forwarding"), format!("ipv6/conf/{nic}/force_forwarding")];
            keys.map(|key| lab.host.read_sysctl(&key).is_some_and(|value| value != "0"))
        };
        assert_eq!(forwards("wan0"), [false; 2], "{network:?}: it is left");
        assert!(forwards("eth3")[0], "{network:?}: the one that has the name is open");
        lab.detach(one);
        lab.detach(two);
        for nic in ["eth3", "wan0"] {
            assert_eq!(forwards(nic), [false; 2], "{network:?}: {nic} is closed in the end");
        }
    }
}

/// A routed network without a subnet: the host has an address alone, and each guest one that is routed to it.
#[test]
fn routed_guests_with_single_addresses() {
    let network = Network { mode: "routed", uplink: "", keys: "", gate: "br0" };
    for uplink in ["", "uplink  = \"eth3\"\n"] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        let keys = "mode = \"routed\"\naddress = [\"10.0.100.3/32\", \"fd00:100::3/128\"]\n";
        lab.write_config(&format!("{keys}{uplink}"));
        let one = lab.attach(1);
        lab.settle();
        ip_all(&lab, &["route add 203.0.113.7 dev br0", "-6 route add fd00:113::7 dev br0"]);
        for arguments in [
            "addr flush dev eth0 scope global",
            "addr add 203.0.113.7/32 dev eth0",
            "-6 addr add fd00:113::7/128 dev eth0 nodad",
            "route add 10.0.100.3 dev eth0",
            "route add default via 10.0.100.3",
            "-6 route add fd00:100::3 dev eth0",
            "-6 route replace default via fd00:100::3",
        ] {
            one.ip(arguments);
        }
        lab.outside.ip("route add 203.0.113.7 via 192.168.1.230");
        lab.outside.ip("-6 route add fd00:113::7 via fd00:1::230");
        assert!(reaches(&one, ["192.168.1.25", "fd00:1::25"]), "uplink {uplink:?}: out");
        assert!(reaches(&lab.outside, ["203.0.113.7", "fd00:113::7"]), "uplink {uplink:?}: in");
        assert!(reaches(&lab.host, ["203.0.113.7", "fd00:113::7"]), "uplink {uplink:?}: from the host");
        assert_no_router(&lab, "single addresses");
        lab.detach(one);
        lab.assert_as_before("single addresses", &before);
    }
}
