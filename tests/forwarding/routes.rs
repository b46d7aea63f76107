//! Guests without `uplink` go by whatever the routing table says, now or later.

use crate::lab::{Lab, Network, Snapshot};
use crate::{BY_ROUTES, FAR, ROUTED_BY_ROUTES, assert_no_router, ip_all, reaches, with_far};

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
