//! What the host forwards because guests are on: for them, and for nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

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

/// A way that the host's routes may go, laid by commands of `ip`, and taken away again.
struct Course {
    what: &'static str,
    lay: &'static [&'static str],
    clear: &'static [&'static str],
}

const COURSES: [Course; 4] = [
    Course {
        what: "a second network behind another NIC",
        lay: &["route add 203.0.113.0/24 via 10.77.0.2", "-6 route add fd00:113::/64 via fd00:77::2"],
        clear: &["route del 203.0.113.0/24", "-6 route del fd00:113::/64"],
    },
    Course {
        what: "the two halves of OpenVPN",
        lay: &[
            "route add 0.0.0.0/1 via 10.77.0.2",
            "route add 128.0.0.0/1 via 10.77.0.2",
            "-6 route add ::/1 via fd00:77::2",
            "-6 route add 8000::/1 via fd00:77::2",
        ],
        clear: &[
            "route del 0.0.0.0/1",
            "route del 128.0.0.0/1",
            "-6 route del ::/1",
            "-6 route del 8000::/1",
        ],
    },
    Course {
        what: "a VPN's own table",
        lay: &[
            "route add default via 10.77.0.2 table 77",
            "-6 route add default via fd00:77::2 table 77",
            "rule add not fwmark 77 lookup 77 priority 1000",
            "-6 rule add not fwmark 77 lookup 77 priority 1000",
            "rule add lookup main suppress_prefixlength 0 priority 900",
            "-6 rule add lookup main suppress_prefixlength 0 priority 900",
        ],
        clear: &[
            "rule del priority 1000",
            "-6 rule del priority 1000",
            "rule del priority 900",
            "-6 rule del priority 900",
            "route flush table 77",
            "-6 route flush table 77",
        ],
    },
    Course {
        what: "a default route that moves",
        lay: &[
            "route replace default via 10.77.0.2 dev eth4",
            "-6 route del default",
            "-6 route add default via fd00:77::2 dev eth4",
        ],
        clear: &[
            "route replace default via 192.168.1.25 dev eth3",
            "-6 route del default",
            "-6 route add default via fd00:1::25 dev eth3",
        ],
    },
];

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

/// Guests without `uplink` go by whatever the routing table says, whenever it says so, and no hook has to run for it.
#[track_caller]
fn goes_by_the_routes(network: Network) {
    let lab = with_far(network);
    let before = Snapshot::of(&lab.host);
    for course in &COURSES {
        let what = course.what;
        ip_all(&lab, course.lay);
        let one = lab.attach(1);
        lab.settle();
        assert!(reaches(&one, FAR), "{what}, before the guest came");
        assert_no_router(&lab, what);
        lab.detach(one);
        ip_all(&lab, course.clear);
        lab.assert_as_before(what, &before);
    }
    let one = lab.attach(1);
    lab.settle();
    for course in &COURSES {
        let what = course.what;
        ip_all(&lab, course.lay);
        assert!(reaches(&one, FAR), "{what}, after the guest came");
        ip_all(&lab, course.clear);
    }
    assert!(reaches(&one, ["192.168.1.25", "fd00:1::25"]));
    assert_no_router(&lab, "after all");
    lab.detach(one);
    lab.assert_as_before("all is over", &before);
}

/// The other machine knows the way back to guests whose addresses stay.
fn knows_the_way_back(lab: &Lab) {
    lab.other.ip("route replace default via 10.77.0.1");
    lab.other.ip("-6 route replace default via fd00:77::1");
}

#[test]
fn nat_goes_by_the_routes() {
    goes_by_the_routes(BY_ROUTES);
}

#[test]
fn nat_by_a_pair_goes_by_the_routes() {
    goes_by_the_routes(Network { uplink: "", ..Network::NAT_VETH });
}

#[test]
fn routed_goes_by_the_routes() {
    goes_by_the_routes(ROUTED_BY_ROUTES);
}

/// No route at boot and one later; a NIC that comes later, that is made anew, that gets another name.
#[test]
fn nics_come_and_go() {
    for network in [BY_ROUTES, ROUTED_BY_ROUTES] {
        let lab = with_far(network);
        ip_all(&lab, &["route del default", "-6 route del default"]);
        let one = lab.attach(1);
        lab.settle();
        ip_all(
            &lab,
            &["route add default via 192.168.1.25 dev eth3", "-6 route add default via fd00:1::25 dev eth3"],
        );
        assert!(reaches(&one, ["198.51.100.7", "fd00:51::7"]), "{network:?}: a route that came later");
        let lay = |nic: &str| {
            lab.cable(nic, &lab.other, ["10.77.0.1/24", "fd00:77::1/64"], ["10.77.0.2/24", "fd00:77::2/64"]);
            knows_the_way_back(&lab);
        };
        lab.host.ip("link del eth4");
        lay("eth4");
        ip_all(&lab, COURSES[0].lay);
        assert!(reaches(&one, FAR), "{network:?}: a NIC that was made anew");
        assert_no_router(&lab, "a NIC that was made anew");
        lab.host.ip("link set eth4 down");
        lab.host.ip("link set eth4 name lan9");
        lab.host.ip("link set lan9 up");
        lab.host.ip("-6 addr replace fd00:77::1/64 dev lan9 nodad");
        ip_all(&lab, COURSES[0].lay);
        assert!(reaches(&one, FAR), "{network:?}: a NIC that was renamed");
        lab.host.ip("link set lan9 down");
        lab.host.ip("link set lan9 name eth4");
        lab.host.ip("link set eth4 up");
        lab.host.ip("-6 addr replace fd00:77::1/64 dev eth4 nodad");
        assert_no_router(&lab, "a NIC that was renamed");
        lab.detach(one);
        for nic in ["eth3", "eth4", "default"] {
            for key in ["ipv4/conf/{}/forwarding", "ipv6/conf/{}/force_forwarding"] {
                let value = lab.host.read_sysctl(&key.replace("{}", nic));
                assert!(value.is_none_or(|value| value == "0"), "{network:?}: {key} of {nic}");
            }
        }
    }
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
