//! What keys must be to each other, and networks to each other.

use super::{check, complaints, default, name, networks};
use crate::model::{Mode, Uplink};

#[test]
fn one_word_changes_the_mode() {
    let keys = "address='10.1.0.1/24'\nuplink='eth3'\nnat_source='192.0.2.1'\nveth='veth1'\nkeep=true";
    let rows = [
        (Mode::Isolated, 0, false, false, false),
        (Mode::HostOnly, 1, false, false, true),
        (Mode::Routed, 1, true, false, true),
        (Mode::Nat, 1, true, true, true),
        (Mode::Bridged, 0, true, false, false),
    ];
    for (mode, addresses, uplink, nat_source, veth) in rows {
        let network = default(&format!("mode='{mode}'\n{keys}"), &[]).unwrap();
        let named = Uplink::Named(vec![name("eth3")]);
        assert_eq!(network.addresses.len(), addresses, "{mode}");
        assert_eq!(network.uplink, if uplink { named } else { Uplink::DefaultRoute }, "{mode}");
        assert_eq!((network.nat_source.is_some(), network.veth.is_some()), (nat_source, veth), "{mode}");
        assert!(network.keep);
        assert_eq!(network.origins.len(), 6);
    }
    // What the mode has no use for is still well formed.
    let broken = "mode='isolated'\nbridge='b'\naddress='x/y'\nnat_source='1'\nveth=''\nuplink=['a','a']";
    assert_eq!(complaints(networks(broken)).len(), 4);
}

#[test]
fn bridged_names_one_uplink() {
    let hint = "write uplink = \"auto\" for the NIC with the default route, or the name of another";
    check(&[
        ("mode='bridged'\nuplink='auto'", &[]),
        ("mode='bridged'\nuplink=['eth3']", &[]),
        ("mode='bridged'", &[&format!("@1:6: mode: bridged needs an uplink | {hint}")]),
        (
            "[network.lan]\nbridge='b'\nmode='bridged'",
            &[&format!("@3:6: mode: bridged needs an uplink | {hint}")],
        ),
        ("mode='bridged'\nuplink=['eth3','eth4']", &["@2:8: uplink: bridged takes one uplink, found 2"]),
    ]);
    assert_eq!(
        complaints(default("", &[("KVMNET_MODE", "bridged")])),
        [
            "KVMNET_MODE: bridged needs an uplink | set KVMNET_UPLINK to the NIC, or to auto for the one with the default route",
        ]
    );
    assert_eq!(
        complaints(default("", &[("KVMNET_MODE", "bridged"), ("KVMNET_UPLINK", "a,b")])),
        ["KVMNET_UPLINK: bridged takes one uplink, found 2",]
    );
}

#[test]
fn interfaces_of_one_network_are_different() {
    check(&[
        (
            "bridge='eth0'\nuplink='eth0'",
            &["@2:8: uplink: \"eth0\" is an interface of this network's bridge already"],
        ),
        (
            "uplink=['eth0', 'br0']",
            &["@1:8: uplink: \"br0\" is an interface of this network's bridge already"],
        ),
        ("bridge='eth0'\nuplink='eth0'\nmode='isolated'", &[]),
        ("bridge='v.0'\nveth='v'", &["@2:6: veth: \"v.0\" is an interface of this network's bridge already"]),
        ("bridge='v.1'\nveth='v'", &["@2:6: veth: \"v.1\" is an interface of this network's bridge already"]),
        ("uplink='v.1'\nveth='v'", &["@1:8: uplink: \"v.1\" is an interface of this network's veth already"]),
    ]);
}

#[test]
fn networks_share_no_interface() {
    let own = "each network has its own";
    check(&[
        (
            "[network.a]\nmode='isolated'\nbridge='br0'",
            &[&format!(
                "@3:8: bridge: \"br0\" belongs to the network \"default\" (built-in default) | {own}"
            )],
        ),
        (
            "bridge='b'\n[network.a]\nmode='isolated'\nbridge='b'",
            &[&format!(
                "@4:8: bridge: \"b\" belongs to the network \"default\" (/etc/kvmnet.conf:1) | {own}"
            )
            .replace("/etc/kvmnet.conf:", "@")],
        ),
        (
            "[network.a]\nmode='isolated'\nbridge='b'\n[network.c]\nmode='isolated'\nbridge='b'",
            &[&format!("@6:8: bridge: \"b\" belongs to the network \"a\" (@3) | {own}")],
        ),
        (
            "veth='v'\n[network.a]\nbridge='b'\naddress='10.1.0.1/24'\nveth='v'",
            &[
                &format!("@5:6: veth: \"v.0\" belongs to the network \"default\" (@1) | {own}"),
                &format!("@5:6: veth: \"v.1\" belongs to the network \"default\" (@1) | {own}"),
            ],
        ),
        (
            "veth='v'\n[network.a]\nbridge='v.1'\nmode='isolated'",
            &[&format!("@3:8: bridge: \"v.1\" belongs to the network \"default\" (@1) | {own}")],
        ),
        // Not in use, and an uplink may be another's bridge.
        ("veth='v'\n[network.a]\nbridge='b'\nmode='isolated'\nveth='v'", &[]),
        ("uplink='br-lan'\n[network.lan]\nmode='bridged'\nuplink='eth0'\nbridge='br-lan'", &[]),
    ]);
}

#[test]
fn networks_share_no_subnet() {
    let own = "each network has its own subnet";
    check(&[
        (
            "address='10.0.100.3/24'\n[network.a]\nbridge='b'\naddress='10.0.100.9/16'",
            &[&format!(
                "@4:9: address: the subnet of \"10.0.100.9/16\" overlaps that of \"10.0.100.3/24\" in the network \"default\" (@1) | {own}"
            )],
        ),
        // One that chooses keeps away by itself.
        ("[network.a]\nbridge='b'\naddress='10.0.100.9/16'", &[]),
        (
            "address='fd00::1/48'\n[network.a]\nbridge='b'\naddress=['10.0.100.9/24','fd00:0:0:7::1/64']",
            &[&format!(
                "@4:26: address: the subnet of \"fd00:0:0:7::1/64\" overlaps that of \"fd00::1/48\" in the network \"default\" (@1) | {own}"
            )],
        ),
        ("[network.a]\nmode='isolated'\nbridge='b'\naddress='10.0.100.9/16'", &[]),
    ]);
}
