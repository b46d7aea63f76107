//! Addresses that are taken, and uplinks that cannot be used.

use std::fs;

use crate::lab::{Lab, Network};
use crate::report::{all_right, check, line};

/// A VPN whose route covers the guests' subnet, before the first guest, and one that comes up while guests run.
#[test]
fn a_route_that_collides() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add dev tun0 mode tun");
    lab.host.ip("link set tun0 up");
    lab.host.ip("route add 10.0.0.0/8 dev tun0");
    let report = check(&lab);
    let found = report.alone("problem", "collision", &["10.0.100.0/24", "10.0.0.0/8", "tun0"]);
    assert_eq!(line(found), (Some(3), Some(12)));
    lab.host.ip("route del 10.0.0.0/8");
    all_right(&lab, "the VPN is gone");
    let _one = lab.attach(1);
    lab.settle();
    lab.host.ip("-6 route add fd00:100::/48 dev tun0 table 100");
    let report = check(&lab);
    let found = report.alone("problem", "collision", &["fd00:100::/64", "fd00:100::/48", "tun0"]);
    assert_eq!(line(found), (Some(3), Some(29)));
    lab.host.ip("-6 route del fd00:100::/48 table 100");
    all_right(&lab, "the VPN is gone again");
}

#[test]
fn an_address_that_is_taken() {
    let lab = Lab::new(Network::HOST_ONLY);
    lab.host.ip("addr add 10.0.100.3/32 dev eth4");
    check(&lab).alone("problem", "collision", &["10.0.100.3", "eth4", "/etc/kvmnet.conf"]);
}

#[test]
fn an_uplink_that_is_not_there() {
    for network in [Network::ROUTED, Network::NAT, Network::BRIDGED] {
        let lab = Lab::new(Network { uplink: "uplink  = \"eth9\"\n", ..network });
        let report = check(&lab);
        let found = report.only("problem", "uplink", &["no interface eth9"]);
        assert_eq!((line(found), report.status), ((Some(4), Some(11)), 1));
    }
    let lab = Lab::new(Network { uplink: "uplink  = [\"eth3\", \"eth8\", \"eth9\"]\n", ..Network::NAT });
    let found = check(&lab).findings().len();
    assert_eq!(found, 2, "eth8 and eth9");
}

#[test]
fn an_uplink_that_cannot_be_bridged() {
    for (uplink, why) in [("lo", "loopback"), ("tun0", "carries no Ethernet frames"), ("eth3", "br-lan")] {
        let lab = Lab::new(Network::BRIDGED);
        lab.write_config(&Network::BRIDGED.config().replace("eth3", uplink));
        lab.host.ip("tuntap add dev tun0 mode tun");
        lab.host.ip("link set tun0 up");
        lab.host.ip("link add br-lan type bridge");
        assert_eq!(check(&lab).status, i32::from(uplink != "eth3"));
        lab.host.ip("link set eth3 master br-lan");
        check(&lab).alone("problem", "uplink", &[uplink, why]);
    }
}

/// sysfs tells a Wi-Fi NIC by a link to its radio, which is laid over eth3's folder here; whether it is a station is
/// nl80211's to say. The hook would not refuse this one, so nothing is said.
#[test]
fn a_wifi_nic_that_is_no_station() {
    for network in [Network::BRIDGED, Network::NAT] {
        let lab = Lab::new(network);
        lab.host.run("mount -t tmpfs none /sys/class/net/eth3/");
        lab.host.enter(|| fs::create_dir("/sys/class/net/eth3/phy80211")).unwrap();
        all_right(&lab, "no station");
    }
}

/// udhcpc leaves a file with its process, which is enough to see whose the NIC is.
#[test]
fn a_nic_with_a_dhcp_client() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.enter(|| fs::copy("/bin/sleep", "/run/lab/udhcpc")).unwrap();
    let client = lab.host.start("/run/lab/udhcpc", &["infinity"]);
    lab.host.enter(|| fs::write("/run/udhcpc.eth3.pid", client.pid().to_string())).unwrap();
    check(&lab).alone("problem", "uplink", &["udhcpc keeps the addresses of eth3", "uplink_managed"]);
    lab.write_config(&(Network::BRIDGED.config() + "uplink_managed = \"take\"\n"));
    all_right(&lab, "it may be taken");
}

#[test]
fn no_default_route() {
    for (network, severity) in [(Network::BRIDGED, "problem"), (Network::NAT, "note")] {
        let lab = Lab::new(Network { uplink: "uplink  = \"auto\"\n", ..network });
        all_right(&lab, "the uplink is the one with the default route");
        lab.host.ip("route del default");
        if severity == "note" {
            check(&lab).alone(severity, "uplink", &["no IPv4 default route"]);
        }
        lab.host.ip("-6 route del default");
        let report = check(&lab);
        assert_eq!(report.status, i32::from(severity == "problem"));
        assert_eq!(report.findings().len(), if severity == "note" { 2 } else { 1 });
    }
}

#[test]
fn an_uplink_that_is_down() {
    let lab = Lab::new(Network::ROUTED);
    lab.host.ip("link set eth3 down");
    let report = check(&lab);
    report.alone("note", "uplink", &["eth3", "is down", "ip link set eth3 up"]);
    lab.host.ip("link set eth3 up");
    lab.outside.ip("link set eth0 down");
    check(&lab).alone("note", "uplink", &["eth3", "no carrier"]);
}

#[test]
fn interfaces_that_are_somebody_elses() {
    let lab = Lab::new(Network::NAT_VETH);
    lab.host.ip("link add veth1.0 type bridge");
    check(&lab).alone("problem", "interface", &["veth1.0", "exists already"]);
    lab.host.ip("link del veth1.0");
    lab.host.ip("link add br0 type veth peer name br1");
    check(&lab).alone("problem", "interface", &["br0 is not a bridge"]);
    lab.host.ip("link del br0");
    all_right(&lab, "both are gone");
    let lab = Lab::new(Network::ISOLATED);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("addr add 172.20.0.1/24 dev br0");
    lab.host.ip("link set br0 up");
    check(&lab).alone("problem", "interface", &["br0", "172.20.0.1", "not isolated"]);
}
