//! The five scenarios of the reference lab in the README, with its addresses and tap names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Capture, Guest, Lab, Network, TcpServer, eventually};

/// The reference lab with both its guests on.
struct Scenario {
    lab: Lab,
    one: Guest,
    two: Guest,
}

impl Scenario {
    #[track_caller]
    fn of(network: Network) -> Self {
        let lab = Lab::new(network);
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        assert_eq!((one.tap(), two.tap()), ("vif0.0", "vif1.0"));
        Self { lab, one, two }
    }

    /// What sources the outside machine sees on packets for itself while `work` is done.
    fn sources_seen_outside(&self, work: impl FnOnce()) -> Vec<String> {
        let mut capture = Capture::of_wire(&self.lab.outside);
        work();
        capture.sources_towards("192.168.1.25")
    }
}

/// Two machines answer one another, both ways.
#[track_caller]
fn talk(a: (&lab::Machine, &str), b: (&lab::Machine, &str)) {
    for ((from, _), (_, address)) in [(a, b), (b, a)] {
        assert!(from.pings(address), "{address} must answer");
    }
}

#[test]
fn isolated_guests_have_each_other_and_nobody_else() {
    let Scenario { lab, one, two } = Scenario::of(Network::ISOLATED);
    talk((&one, "10.0.100.1"), (&two, "10.0.100.2"));
    for guest in [&one, &two] {
        let [a, b, c, d, e, f] = lab.host.mac("br0");
        let link_local = format!("fe80::{:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}%eth0", a ^ 2);
        let host = ["10.0.100.3".to_owned(), "192.168.1.230".to_owned(), link_local];
        assert_eq!(guest.pings_each(&host), [false; 3], "the host is at none of {host:?}");
    }
}

#[test]
fn host_only_guests_and_the_host_talk_over_the_bridge_address() {
    let Scenario { lab, one, two } = Scenario::of(Network::HOST_ONLY);
    talk((&one, "10.0.100.1"), (&two, "10.0.100.2"));
    talk((&one, "10.0.100.1"), (&lab.host, "10.0.100.3"));
    talk((&two, "10.0.100.2"), (&lab.host, "10.0.100.3"));
    assert!(lab.host.ip("addr show dev br0").contains("inet 10.0.100.3/24"));
}

#[test]
fn host_only_guests_and_the_host_talk_over_the_veth_pair() {
    let Scenario { lab, one, two } = Scenario::of(Network::HOST_ONLY_VETH);
    talk((&one, "10.0.100.1"), (&two, "10.0.100.2"));
    talk((&one, "10.0.100.1"), (&lab.host, "10.0.100.3"));
    talk((&two, "10.0.100.2"), (&lab.host, "10.0.100.3"));
    assert!(
        lab.host.ip("addr show dev veth1.1").contains("inet 10.0.100.3/24"),
        "the inner end has the address"
    );
    assert!(
        lab.host.ip("link show dev veth1.0").contains("master br0"),
        "the outer end is a port of the bridge"
    );
    assert!(!lab.host.ip("addr show dev br0").contains("inet"), "the bridge's own port stays closed");
}

#[test]
fn routed_guests_are_seen_outside_as_themselves_and_answered_once_the_way_is_known() {
    let scenario = Scenario::of(Network::ROUTED);
    let Scenario { lab, one, .. } = &scenario;
    assert!(one.pings("192.168.1.230"), "guest 1 reaches the host's other address");
    let mut answered = true;
    let seen = scenario.sources_seen_outside(|| answered = one.pings("192.168.1.25"));
    assert_eq!(
        (seen, answered),
        (vec!["10.0.100.1".to_owned()], false),
        "packets arrive, answers know no way"
    );
    lab.outside.ip("route add 10.0.100.0/24 via 192.168.1.230");
    assert!(one.pings("192.168.1.25"), "and now they do");
}

/// Guest 1 talks to the outside machine, by ICMP and TCP, and is seen there as the host.
#[track_caller]
fn nat_is_seen_outside_as_the_host(network: Network) {
    let scenario = Scenario::of(network);
    let server = TcpServer::on(&scenario.lab.outside);
    let seen = scenario.sources_seen_outside(|| {
        assert!(scenario.one.pings("192.168.1.25"));
        assert!(scenario.two.pings("192.168.1.25"));
        assert!(scenario.one.open("192.168.1.25").is_ok());
    });
    assert_eq!(seen, ["192.168.1.230"]);
    assert_eq!(server.accept().peer_addr().unwrap().ip().to_canonical().to_string(), "192.168.1.230");
}

#[test]
fn nat_guests_are_seen_outside_as_the_host_by_masquerade() {
    nat_is_seen_outside_as_the_host(Network::NAT);
    nat_is_seen_outside_as_the_host(Network::NAT_VETH);
}

#[test]
fn nat_guests_are_seen_outside_as_the_host_by_snat() {
    nat_is_seen_outside_as_the_host(Network::NAT_SOURCE);
}

#[test]
fn nat_guests_follow_the_routing_table_where_no_uplink_is_named() {
    nat_is_seen_outside_as_the_host(Network { uplink: "", ..Network::NAT });
}

#[test]
fn nat_is_what_a_host_without_a_configuration_does() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("rm /etc/kvmnet.conf");
    let (one, two) = (lab.attach(1), lab.attach(2));
    let mut capture = Capture::of_wire(&lab.outside);
    eventually("both guests reach the outside machine", || {
        one.pings("192.168.1.25") && two.pings("192.168.1.25")
    });
    assert_eq!(capture.sources_towards("192.168.1.25"), ["192.168.1.230"]);
}

#[test]
fn bridged_guests_are_machines_of_the_lan() {
    let scenario = Scenario::of(Network::BRIDGED);
    let Scenario { lab, one, two } = &scenario;
    assert!(
        lab.host.ip("addr show dev br0").contains("inet 192.168.1.230/24"),
        "the bridge has the host's address"
    );
    assert!(!lab.host.ip("addr show dev eth3").contains("inet"), "and eth3 has none");
    assert_eq!(lab.host.mac("br0"), lab.host.mac("eth3"), "the bridge carries the NIC's hardware address");
    let seen = scenario.sources_seen_outside(|| {
        for guest in [one, two] {
            talk((guest, "192.168.1.67"), (guest, "192.168.1.68"));
            assert!(guest.pings("192.168.1.230") && guest.pings("192.168.1.25"));
        }
    });
    assert_eq!(seen, ["192.168.1.67", "192.168.1.68"], "outside sees each as itself");
    assert!(lab.outside.pings("192.168.1.67") && lab.outside.pings("192.168.1.68"), "and reaches each");
    assert!(lab.outside.pings("192.168.1.230") && lab.host.pings("192.168.1.25"), "the host is still there");
}

#[test]
fn one_file_serves_every_mode_by_changing_one_word() {
    // All keys at once: a mode has no use for some of them, and that is no error.
    let keys = "nat_source = \"192.168.1.230\"\nveth    = \"veth1\"\nkeep    = false\n";
    let mut lab = Lab::new(Network::NAT);
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::ROUTED, Network::NAT, Network::BRIDGED] {
        let network = Network { keys, ..network };
        lab.network = network;
        lab.write_config(&network.config());
        let (one, two) = (lab.attach(1), lab.attach(2));
        eventually("the guests of this mode talk", || {
            one.pings(&network.guest(2).v4) && two.pings(&network.guest(1).v6)
        });
        let outside = one.pings("192.168.1.25");
        assert_eq!(
            outside,
            matches!(network.mode, "nat" | "bridged"),
            "{}: outside has no way back",
            network.mode
        );
        lab.detach(one);
        lab.detach(two);
    }
}
