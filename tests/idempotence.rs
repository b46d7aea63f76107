//! A second run says nothing to the kernel that it does not know, and a repair touches what is broken and nothing
//! else: watched by `ip monitor all` and `nft monitor`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Guest, Lab, Machine, Monitor, Network, Snapshot, eventually};

/// The first `qemu-ifup` of a guest is seen by both monitors, an identical second one by neither.
#[track_caller]
fn second_ifup_is_silent(network: Network) {
    let lab = Lab::new(network);
    let one = lab.boot(1);
    let mut monitor = Monitor::start(&lab.host);
    lab.ifup(&one).ok();
    let changes = monitor.changes();
    let has_rules = network.mode != "bridged";
    assert!(
        changes.iter().any(|line| line.starts_with("[LINK]")),
        "ip monitor shows the first run: {changes:#?}"
    );
    assert!(!has_rules || changes.iter().any(|line| line.contains(" chain ")), "so does nft: {changes:#?}");
    lab.settle();
    monitor.changes();
    lab.ifup(&one).ok();
    assert_eq!(monitor.changes(), [] as [&str; 0], "{network:?}: the second run must be silent");
}

/// One test for each form of each mode.
macro_rules! second_ifup_is_silent {
    ($($name:ident: $network:expr,)*) => {
        mod second_ifup_is_silent {
            use super::*;

            $(#[test]
            fn $name() {
                second_ifup_is_silent($network);
            })*
        }
    };
}

second_ifup_is_silent! {
    isolated: Network::ISOLATED,
    host_only: Network::HOST_ONLY,
    host_only_veth: Network::HOST_ONLY_VETH,
    routed: Network::ROUTED,
    routed_veth: Network::ROUTED_VETH,
    nat: Network::NAT,
    nat_source: Network::NAT_SOURCE,
    nat_veth: Network::NAT_VETH,
    bridged: Network::BRIDGED,
}

/// Guest 1 does what the network is for.
fn works(lab: &Lab, one: &Guest) -> bool {
    match lab.network.mode {
        "isolated" => !one.pings("192.168.1.230"),
        "host-only" => one.pings("10.0.100.3") && one.pings("fd00:100::3"),
        "nat" => one.pings("192.168.1.25") && one.pings("fd00:1::25"),
        _ => one.pings("192.168.1.25"),
    }
}

/// Damages a network of two guests by a command; see `repairs_after`.
#[track_caller]
fn repairs(network: Network, damage: &str, piece: &[&str]) {
    repairs_after(network, damage, |host| drop(host.run(damage)), piece);
}

/// Damages a network of two guests, and demands of the next `qemu-ifup` that all is as it was, that it works again,
/// and that every change it made has to do with `piece`: each line that the monitors show contains one of these
/// words.
#[track_caller]
fn repairs_after(network: Network, what: &str, damage: impl FnOnce(&Machine), piece: &[&str]) {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    eventually("the network works before", || works(&lab, &one));
    let before = Snapshot::of(&lab.host);
    damage(&lab.host);
    let mut monitor = Monitor::start(&lab.host);
    lab.ifup(&one).ok();
    let changes = monitor.changes();
    assert!(!changes.is_empty(), "something was repaired after {what}");
    let strange: Vec<&String> =
        changes.iter().filter(|line| !piece.iter().any(|word| line.contains(word))).collect();
    assert!(strange.is_empty(), "after {what} only {piece:?} may change, and did: {strange:#?}");
    lab.assert_as_before(&format!("repaired after {what}"), &before);
    eventually("the network works again", || works(&lab, &one));
    eventually("both guests are on it", || {
        one.pings(&network.guest(2).v4) && two.pings(&network.guest(1).v6)
    });
}

#[test]
fn a_deleted_table_is_made_again() {
    for network in [Network::HOST_ONLY, Network::ROUTED, Network::NAT, Network::NAT_SOURCE] {
        repairs(network, "nft delete table inet kvmnet-br0", &["kvmnet-br0"]);
    }
}

#[test]
fn a_deleted_door_of_an_isolated_network_is_closed_again() {
    repairs(Network::ISOLATED, "nft delete table netdev kvmnet-br0", &["kvmnet-br0"]);
}

#[test]
fn a_flushed_ruleset_is_made_again() {
    for network in [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT_VETH] {
        repairs(network, "nft flush ruleset", &["kvmnet-br0"]);
    }
}

#[test]
fn a_deleted_address_is_given_again() {
    for network in [Network::HOST_ONLY, Network::ROUTED, Network::NAT] {
        repairs(network, "ip addr del 10.0.100.3/24 dev br0", &["10.0.100."]);
        repairs(network, "ip -6 addr del fd00:100::3/64 dev br0", &["fd00:100::"]);
    }
    repairs(Network::HOST_ONLY_VETH, "ip addr del 10.0.100.3/24 dev veth1.1", &["10.0.100."]);
}

#[test]
fn a_tap_off_its_bridge_is_attached_again() {
    for network in [Network::ISOLATED, Network::NAT, Network::BRIDGED] {
        repairs(network, "ip link set vif0.0 nomaster", &["vif0.0"]);
    }
}

#[test]
fn a_tap_that_is_down_is_up_again() {
    repairs(Network::NAT, "ip link set vif0.0 down", &["vif0.0"]);
}

#[test]
fn a_tap_on_another_bridge_comes_back() {
    let elsewhere =
        ["ip link add br-else type bridge", "ip link set vif0.0 master br-else", "ip link set br-else up"];
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    lab.settle();
    elsewhere.iter().for_each(|command| drop(lab.host.run(command)));
    lab.ifup(&one).ok();
    assert!(lab.host.ip("link show dev vif0.0").contains("master br0"));
    eventually("the network works again", || works(&lab, &one));
}

#[test]
fn forwarding_switched_off_is_switched_on_again() {
    for network in [Network::ROUTED, Network::NAT] {
        for interface in ["br0", "eth3"] {
            let switch = format!("ipv4/conf/{interface}/forwarding");
            let piece = [format!(": {interface}"), format!("inet {interface}")];
            repairs_after(
                network,
                &switch,
                |host| host.sysctl(&switch, "0"),
                &piece.each_ref().map(|word| word.as_str()),
            );
        }
    }
}

#[test]
fn a_bridge_that_is_down_is_up_again() {
    // The kernel takes IPv6 addresses off an interface that goes down, so those come back with it.
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::NAT] {
        repairs(network, "ip link set br0 down", &["br0", "fd00:100::", "fe80::", "ff00::"]);
    }
}

#[test]
fn a_deleted_veth_pair_is_made_again() {
    for network in [Network::HOST_ONLY_VETH, Network::NAT_VETH] {
        // A bridge tells its features anew when a port leaves or joins.
        let piece = ["veth1", "10.0.100.", "fd00:100::", "fe80::", "ff00::", "FEATURE CHANGE"];
        repairs(network, "ip link del veth1.0", &piece);
    }
}

#[test]
fn a_deleted_bridge_is_made_again_and_forwarding_remembered() {
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::NAT] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.host.ip("link del br0");
        lab.ifup(&one).ok();
        lab.ifup(&two).ok();
        lab.settle();
        eventually("the network works again", || works(&lab, &one) && two.pings("10.0.100.1"));
        lab.detach(one);
        lab.detach(two);
        lab.assert_as_before("the record of what was changed outlived the bridge", &before);
    }
}

#[test]
fn a_flushed_ruleset_does_not_forget_what_was_changed() {
    for network in [Network::ROUTED, Network::NAT] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        lab.host.run("nft flush ruleset");
        lab.detach(one);
        lab.assert_as_before("the record of what was changed outlived the ruleset", &before);
    }
}

#[test]
fn an_edited_file_is_what_the_next_ifup_makes() {
    // The file is the authority: guests that are on are taken along.
    let mut lab = Lab::new(Network::HOST_ONLY);
    lab.outside_knows_the_way();
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    for network in
        [Network::NAT, Network::ROUTED, Network::HOST_ONLY_VETH, Network::ISOLATED, Network::NAT_VETH]
    {
        lab.network = network;
        lab.write_config(&network.config());
        lab.ifup(&two).ok();
        lab.settle();
        // The gateway may have moved to another interface, which a guest finds out when its entry has aged.
        one.ip("neigh flush all");
        two.ip("neigh flush all");
        eventually(network.mode, || works(&lab, &one) && works(&lab, &two) && one.pings("10.0.100.2"));
        let outside = one.pings("192.168.1.25");
        assert_eq!(outside, matches!(network.mode, "nat" | "routed"), "{network:?}");
    }
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("after five modes in a row", &before);
}

#[test]
fn an_override_that_would_change_a_network_in_use_is_refused() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    let two = lab.boot(2);
    lab.settle();
    let before = Snapshot::of(&lab.host);
    lab.hook("/etc/qemu-ifup", &two).env("KVMNET_MODE", "isolated").run().complains(1);
    lab.assert_as_before("the override was refused", &before);
    lab.hook("/etc/qemu-ifup", &two).env("KVMNET_MODE", "nat").run().ok();
}
