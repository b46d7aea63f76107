//! What is refused before anything is touched, and in which words.

use super::*;
use crate::model::link::ETHERNET;
use crate::model::{Address, Link};

#[track_caller]
fn check(world: &mut World, config: &str, tap: &str, expected: &str) {
    let refusal = world.plan_up(config, tap).unwrap_err();
    assert_eq!(refusal.to_string(), expected);
    assert!(refusal.hint().is_some());
}

#[test]
fn taps() {
    let world = &mut World::lab();
    check(world, "", "vif9.0", "no interface vif9.0");
    check(world, "", "eth3", "eth3 is not a tap");
    world.link(&name("vif0.0")).tun.as_mut().unwrap().is_tap = false;
    check(world, "", "vif0.0", "vif0.0 is not a tap but a tun");
}

/// A tap of somebody else's is not taken away from them, and one whose alias leaves no room is not touched.
#[test]
fn taps_of_others() {
    let world = &mut found_bridge(&[], Some("vif0.0"));
    let text = "vif0.0 is a port of virbr0, which is not the bridge of a network of kvmnet's";
    check(world, "", "vif0.0", text);
    assert!(world.plan_up("bridge = \"virbr0\"", "vif0.0").is_ok(), "that very bridge is the network's");
    let world = &mut World::lab();
    world.link(&name("vif0.0")).alias = "x".repeat(250);
    check(world, "", "vif0.0", "the alias of vif0.0 leaves no room for the record of what to undo");
}

#[test]
fn bridges() {
    let world = &mut World::lab();
    check(world, "bridge = \"eth3\"", "vif0.0", "eth3 is not a bridge");
    world.0.facts.links.push(world::link(9, "br0", Some("bridge")));
    world.0.facts.addresses.push((9, Address::plain("10.5.5.1/24".parse().unwrap())));
    world.settle();
    let text = "the bridge br0 was there before and has the address 10.5.5.1/24, so it is not isolated from the host";
    check(world, "mode = \"isolated\"", "vif0.0", text);
    world.0.facts.routes[0].hops[0].device = name("br0");
    world.settle();
    let text = "the bridge br0 was there before and carries the machine's default route, which mode nat would disturb";
    check(world, "", "vif0.0", text);
}

/// A host with a bridge that was there, with these addresses and this port.
fn found_bridge(addresses: &[&str], port: Option<&str>) -> World {
    let mut world = World::lab();
    world.0.facts.links.push(world::link(9, "virbr0", Some("bridge")));
    for address in addresses {
        world.0.facts.addresses.push((9, Address::plain(address.parse().unwrap())));
    }
    if let Some(port) = port {
        world.link(&name(port)).master = Some(9);
    }
    world.settle();
    world
}

/// Its own guests would lose the outside, and guests be where they should not.
#[test]
fn bridges_of_others() {
    let at = |mode: &str| format!("mode = \"{mode}\"\nbridge = \"virbr0\"\nuplink = \"eth3\"\n");
    let has = "the bridge virbr0 was there before and has";
    for mode in ["host-only", "routed", "nat"] {
        let text =
            format!("{has} 192.168.122.1/24, not of this network: whoever is on it would lose the outside");
        check(&mut found_bridge(&["192.168.122.1/24"], Some("vif1.0")), &at(mode), "vif0.0", &text);
        let text = format!(
            "{has} 10.0.100.9/24, fd00::1/64, not of this network: whoever is on it would lose the outside"
        );
        check(&mut found_bridge(&["10.0.100.9/24", "fd00::1/64"], None), &at(mode), "vif0.0", &text);
        let config = at(mode) + "address = \"192.168.122.1/24\"";
        found_bridge(&["192.168.122.1/24", "fe80::1/64"], Some("vif1.0")).plan_up(&config, "vif0.0").unwrap();
        found_bridge(&[], None).plan_up(&at(mode), "vif0.0").unwrap();
        let with_pair = config + "\nveth = \"veth1\"";
        let text =
            format!("{has} 192.168.122.1/24, not of this network: whoever is on it would lose the outside");
        check(&mut found_bridge(&["192.168.122.1/24"], None), &with_pair, "vif0.0", &text);
    }
    for mode in ["isolated", "host-only", "routed", "nat"] {
        let text = format!("{has} the port eth3: guests of mode {mode} would be on the LAN behind it");
        check(&mut found_bridge(&[], Some("eth3")), &at(mode), "vif0.0", &text);
    }
    let hint = |addresses: &[&str], config: &str| {
        found_bridge(addresses, None).plan_up(config, "vif0.0").unwrap_err().hint().unwrap()
    };
    assert!(
        hint(&["192.168.122.1/24"], &at("nat")).starts_with("address = \"192.168.122.1/24\" is to be with")
    );
    assert!(
        hint(&["10.1.1.1/24", "fd00::1/64"], &at("nat"))
            .starts_with("address = [\"10.1.1.1/24\", \"fd00::1/64\"]")
    );
}

/// A NIC is put into no bridge that serves others; one that is in it already is the owner's will.
#[test]
fn a_bridge_that_serves_others_gets_no_nic() {
    let config = "mode = \"bridged\"\nbridge = \"virbr0\"\nuplink = \"eth3\"\n";
    let text = "the bridge virbr0 serves others: it was there before and has 192.168.122.1/24, and eth3 is not in it";
    check(&mut found_bridge(&["192.168.122.1/24"], None), config, "vif0.0", text);
    let text =
        "the bridge virbr0 serves others: it was there before and has the port vif1.0, and eth3 is not in it";
    check(&mut found_bridge(&[], Some("vif1.0")), config, "vif0.0", text);
    found_bridge(&[], None).plan_up(config, "vif0.0").unwrap();
    found_bridge(&["192.168.1.230/24"], Some("eth3")).plan_up(config, "vif0.0").unwrap();
}

#[test]
fn uplinks() {
    let world = &mut World::lab();
    let text = "no interface eth9, the uplink of network default (kvmnet.conf:2)";
    check(world, "mode = \"nat\"\nuplink = \"eth9\"", "vif0.0", text);
    check(world, "mode = \"bridged\"\nuplink = \"eth9\"", "vif0.0", text);
    world.0.facts.links.push(Link { loopback: true, ..world::link(1, "lo", None) });
    let text = "lo cannot be bridged: it is the loopback interface";
    check(world, "mode = \"bridged\"\nuplink = \"lo\"", "vif0.0", text);
    let text = "vif1.0 cannot be bridged: it is a tap, the end of a guest or of a VPN";
    check(world, "mode = \"bridged\"\nuplink = \"vif1.0\"", "vif0.0", text);
    world.0.stations.push(2);
    let text = "eth3 cannot be bridged: it is a Wi-Fi station, which sends frames with no MAC but its own";
    check(world, "mode = \"bridged\"\nuplink = \"eth3\"", "vif0.0", text);
    world.0.stations.clear();
    world.link(&name("eth3")).hardware = 65534;
    let text = "eth3 cannot be bridged: it carries no Ethernet frames";
    check(world, "mode = \"bridged\"\nuplink = \"eth3\"", "vif0.0", text);
    world.link(&name("eth3")).hardware = ETHERNET;
    world.0.facts.routes.clear();
    world.settle();
    let text = "no uplink: nothing carries a default route now";
    check(world, "mode = \"bridged\"\nuplink = \"auto\"", "vif0.0", text);
}

/// A part of something bigger, and what to write instead.
#[test]
fn parts() {
    let config = "mode = \"bridged\"\nuplink = \"eth3\"";
    for (kind, way_out) in [
        ("bridge", "set bridge = \"up9\""),
        ("bond", "set uplink = \"up9\""),
        ("team", "set uplink = \"up9\""),
        ("vrf", "use mode = \"nat\""),
    ] {
        let world = &mut World::lab();
        world.0.facts.links.push(world::link(9, "up9", Some(kind)));
        world.link(&name("eth3")).master = Some(9);
        check(world, config, "vif0.0", &format!("eth3 is already a part of the {kind} up9"));
        let hint = world.plan_up(config, "vif0.0").unwrap_err().hint();
        assert!(hint.unwrap().starts_with(way_out), "{kind}");
    }
}

#[test]
fn collisions() {
    let world = &mut World::lab();
    let text = "the subnet 192.168.0.0/16 collides with the route 192.168.1.0/24 over eth3";
    check(world, "address = \"192.168.7.1/16\"", "vif0.0", text);
    world.0.facts.matched.push(crate::model::facts::Way {
        destination: Some("10.0.100.3/32".parse().unwrap()),
        v6: false,
        table: 255,
        kind: 2,
        metric: 0,
        nexthop: None,
        protocol: 3,
        devices: vec![2],
    });
    check(world, "", "vif0.0", "the address 10.0.100.3 belongs to eth3 already");
}

#[test]
fn the_rest() {
    let world = &mut World::lab();
    world.0.facts.links.push(world::link(9, "veth1.1", Some("veth")));
    check(world, "veth = \"veth1\"", "vif0.0", "veth1.1 exists already and is not kvmnet's");
    world.0.nft = crate::observed::Tables::Absent;
    check(world, "", "vif0.0", "mode nat needs nftables, and this kernel has none");
}
