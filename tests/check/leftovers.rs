//! Networks that stand and should not, or are not as they should be.

use crate::kit::two_networks;
use crate::lab::{Hook, Lab, Network, eventually};
use crate::report::{all_right, check};

#[test]
fn a_guest_that_was_killed() {
    for network in [Network::NAT_VETH, Network::BRIDGED, Network::ISOLATED] {
        let lab = Lab::new(network);
        lab.attach(1).kill();
        check(&lab).alone("problem", "leftover", &["network default", "no guest", "br0", "kvmnet gc"]);
        lab.detach(lab.attach(1));
        all_right(&lab, "the next guest swept it");
    }
}

#[test]
fn a_network_that_is_kept() {
    let lab = Lab::new(Network { keys: "keep = true\n", ..Network::NAT });
    lab.detach(lab.attach(1));
    assert!(lab.host.ip("link show dev br0").contains("br0"));
    all_right(&lab, "it is meant to stay");
}

#[test]
fn a_table_without_its_bridge() {
    let lab = Lab::new(Network::NAT);
    lab.attach(1).kill();
    lab.host.ip("link del br0");
    check(&lab).alone("problem", "leftover", &["kvmnet-br0", "bridge br0 is gone", "kvmnet gc"]);
}

#[test]
fn a_network_without_its_tables() {
    for network in
        [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT, Network::BRIDGED]
    {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        lab.settle();
        lab.host.run("nft flush ruleset");
        check(&lab).alone("problem", "network", &["kvmnet-br0", "network default", "kvmnet apply"]);
        lab.ifup(&one).ok();
        all_right(&lab, "the hook put it right");
    }
}

#[test]
fn a_network_without_its_pair() {
    let lab = Lab::new(Network::NAT_VETH);
    let one = lab.attach(1);
    lab.settle();
    lab.host.ip("link set veth1.0 nomaster");
    check(&lab).alone("problem", "network", &["veth1.0", "veth1.1", "br0", "kvmnet apply"]);
    lab.host.ip("link del veth1.0");
    check(&lab).alone("problem", "network", &["veth1.0", "veth1.1", "br0", "kvmnet apply"]);
    lab.ifup(&one).ok();
    lab.settle();
    all_right(&lab, "the hook put it right");
}

/// Whatever else was changed, the plan of a hook would put it right, and so it is found.
#[test]
fn a_network_that_was_changed_by_hand() {
    for (change, word) in [
        ("ip addr del 10.0.100.3/24 dev br0", "10.0.100.3/24"),
        ("ip link set br0 down", "br0"),
        ("sysctl -q -w net/ipv4/conf/eth3/forwarding=0", "forwarding of eth3"),
        ("nft flush chain inet kvmnet-br0 forward", "kvmnet-br0"),
        ("ip link set br0 group 0", "group of br0"),
    ] {
        let lab = Lab::new(Network::NAT);
        let (one, _two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        lab.host.run(change);
        check(&lab).alone("problem", "network", &["changed by something else", word, "kvmnet apply"]);
        lab.ifup(&one).ok();
        lab.settle();
        all_right(&lab, "the hook put it right");
    }
}

#[test]
fn a_tap_that_was_taken_off() {
    let lab = Lab::new(Network::NAT);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    lab.host.ip("link set vif0.0 nomaster");
    check(&lab).alone("problem", "leftover", &["vif0.0", "on no bridge", "kvmnet attach vif0.0"]);
    lab.ifup(&one).ok();
    all_right(&lab, "the hook put it right");
}

#[test]
fn a_persistent_tap_of_a_guest_that_is_gone() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.settle();
    lab.host.ip("tuntap add dev vif5.0 mode tap");
    Hook::new(&lab.host, "/etc/qemu-ifup", &["vif5.0"]).run().ok();
    all_right(&lab, "it waits for its guest");
    lab.host.ip("link set vif5.0 nomaster");
    check(&lab).alone("problem", "leftover", &["vif5.0", "guest that is gone", "kvmnet detach vif5.0"]);
    Hook::new(&lab.host, "/etc/qemu-ifdown", &["vif5.0"]).run().ok();
    all_right(&lab, "it is given back");
}

#[test]
fn a_half_of_a_pair() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add veth9.1 group 7042669 type veth peer name veth9.0");
    check(&lab).alone("problem", "leftover", &["veth9.1", "ip link delete veth9.1"]);
}

/// The file was edited while guests run: the next one brings it about, so nothing is wrong.
#[test]
fn an_edited_file() {
    let lab = Lab::new(Network::HOST_ONLY);
    let one = lab.attach(1);
    lab.settle();
    lab.write_config(&Network::NAT.config());
    check(&lab).alone("note", "network", &["network default", "br0", "kvmnet apply", "/etc/kvmnet.conf"]);
    lab.ifup(&one).ok();
    lab.settle();
    all_right(&lab, "the hook brought it about");
}

#[test]
fn a_network_that_the_file_no_longer_has() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    let _one = lab.attach_in_lab(1);
    lab.settle_bridge("br-lab");
    all_right(&lab, "it is there");
    lab.write_config(&Network::NAT.config());
    check(&lab).alone("note", "network", &["network lab", "br-lab"]);
}

/// A variable that would change what guests use is refused by the hook, and told here.
#[test]
fn an_override_of_a_network_in_use() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    eventually("the guest is on", || one.pings("10.0.100.3"));
    let cli = crate::lab::Cli::new(&lab.host, &["check", "--json"]).env("KVMNET_MODE", "isolated");
    let report = crate::report::Report::of(cli.run());
    report.only("problem", "interface", &["\"variable\":\"KVMNET_MODE\"", "network default"]);
    assert_eq!(report.status, 1);
}
