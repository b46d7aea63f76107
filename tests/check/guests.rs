//! Guests that are in each other's way, or too large for their uplink.

use crate::kit::{Empty, lab, two_networks};
use crate::lab::{Lab, Network, eventually};
use crate::report::{all_right, check};

/// Two VMs that were given no MAC have QEMU's.
#[test]
fn two_qemus_without_a_mac() {
    // With DHCP the second does not start.
    for network in [Network { keys: "dhcp = false\n", ..Network::NAT }, Network::BRIDGED] {
        let lab = lab(network);
        let one = Empty::run(&lab, "-nic tap,ifname=vif0.0");
        lab.settle();
        all_right(&lab, "one is alone with it");
        let two = Empty::run(&lab, "-nic tap,ifname=vif1.0");
        let report = check(&lab);
        let pids = [one.pid(), two.pid()].map(|pid| format!("(process {pid})"));
        let words = ["vif0.0", "vif1.0", &pids[0], &pids[1], "52:54:00:12:34:56", "mac=52:54:00:"];
        report.alone("problem", "mac", &words);
        two.kill();
        let _two = Empty::run(&lab, "-nic tap,ifname=vif1.0,mac=52:54:00:12:34:57");
        all_right(&lab, "it has a MAC of its own");
    }
}

/// On networks that never meet, one MAC is as good as two.
#[test]
fn one_mac_on_two_networks() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    let _one = Empty::run(&lab, "-nic tap,ifname=vif0.0");
    let _two = Empty::run(&lab, "-nic tap,ifname=lab0.0");
    lab.settle();
    lab.settle_bridge("br-lab");
    all_right(&lab, "two networks");
}

/// What the bridge has learned counts as well: a guest that took another's MAC by itself.
#[test]
fn a_guest_with_the_mac_of_another() {
    let lab = lab(Network::NAT);
    let one = Empty::run(&lab, "-nic tap,ifname=vif0.0,mac=52:54:00:12:34:57");
    let two = lab.attach(2);
    lab.settle();
    eventually("the bridge has learned the MAC of guest 2", || two.pings("10.0.100.3"));
    check(&lab).alone("problem", "mac", &["vif0.0", "vif1.0", "52:54:00:12:34:57"]);
    drop(one);
}

/// A bridge drops what is too large for a port, and tells nobody.
#[test]
fn a_guest_whose_packets_are_too_large_for_the_lan() {
    let lab = Lab::new(Network::BRIDGED);
    let _one = lab.attach(1);
    lab.settle();
    lab.host.ip("link set vif0.0 mtu 9000");
    check(&lab).alone("problem", "mtu", &["vif0.0", "9000", "eth3", "1500", "host_mtu=1500"]);
    lab.host.ip("link set vif0.0 mtu 1500");
    all_right(&lab, "it fits");
}

#[test]
fn an_uplink_that_takes_less() {
    for network in [Network::NAT, Network::ROUTED, Network { uplink: "", ..Network::NAT }] {
        let lab = Lab::new(network);
        lab.host.ip("link set eth3 mtu 1400");
        check(&lab).alone("note", "mtu", &["eth3", "1400", "1500", "network default"]);
        let _one = lab.attach(1);
        lab.settle();
        check(&lab).alone("note", "mtu", &["eth3", "1400", "1500", "host_mtu=1400"]);
    }
    let lab = Lab::new(Network::HOST_ONLY);
    lab.host.ip("link set eth3 mtu 1400");
    all_right(&lab, "nothing goes there");
}
