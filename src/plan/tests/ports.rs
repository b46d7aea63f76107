//! Bridged with `uplink = "none"`: what is refused, and that nothing but the tap is changed.

use super::world::link;
use super::*;
use crate::item::Step;
use crate::model::{IfName, Link};

const CONFIG: &str = "mode = \"bridged\"\nuplink = \"none\"\nbridge = \"virbr0\"\n";

/// A host with this bridge.
fn world_with(bridge: Link) -> World {
    let mut world = World::lab();
    world.0.facts.links.push(bridge);
    world.settle();
    world
}

fn virbr0() -> Link {
    Link { up: true, ..link(9, "virbr0", Some("bridge")) }
}

fn refusal(world: &mut World) -> String {
    world.plan_up(CONFIG, "vif0.0").unwrap_err().to_string()
}

#[test]
fn what_is_not_such_a_bridge() {
    let rows = [
        (
            link(9, "virbr0", Some("openvswitch")),
            "virbr0 is a bridge of Open vSwitch, whose ports only Open vSwitch makes",
        ),
        (link(9, "virbr0", Some("bond")), "virbr0 is not a bridge but a bond"),
        (
            Link { altnames: vec!["virbr0".to_owned()], ..link(9, "br9", Some("bridge")) },
            "virbr0 is another name of br9",
        ),
        (Link { up: false, ..virbr0() }, "the bridge virbr0 is down, so that nothing would reach the guest"),
    ];
    for (bridge, text) in rows {
        assert_eq!(refusal(&mut world_with(bridge)), text);
    }
    let text = "there is no bridge virbr0, and network default (uplink = \"none\") makes none";
    assert_eq!(refusal(&mut World::lab()), text);
}

/// The network of the same name as well: it has to end first.
#[test]
fn the_bridge_of_a_network() {
    let mut world = World::lab();
    world.up("bridge = \"virbr0\"", "vif1.0");
    let text = "virbr0 is the bridge of kvmnet's network default, not only a bridge to put guests on (uplink = \"none\")";
    assert_eq!(refusal(&mut world), text);
}

/// A bridge with a port has that one's MAC already; one that a guest is on is asked for nothing.
#[test]
fn a_bridge_with_ports_keeps_its_mac_by_itself() {
    let mut world = world_with(Link { operational: false, ..virbr0() });
    world.0.facts.links.push(Link { master: Some(9), ..link(10, "vnet0", Some("tun")) });
    let is_of_bridge = |step: &Step| step.to_string().contains("link set virbr0");
    assert!(!world.up(CONFIG, "vif0.0").iter().any(is_of_bridge));
    assert!(world.plan_up(CONFIG, "vif0.0").unwrap().is_empty());
    assert!(world.0.networks.is_empty() && world.0.tables.is_empty(), "no network stands");
}

/// From a network of kvmnet's to such a bridge, and back; the network goes with its last guest.
#[test]
fn from_network_to_network() {
    let mut world = world_with(virbr0());
    let before = world.snapshot();
    let master = |world: &World| -> Option<IfName> {
        let tap = world.0.facts.link(&name("vif0.0"))?;
        Some(world.0.facts.link_index(tap.master?)?.name)
    };
    for (config, bridge) in [("", "br0"), (CONFIG, "virbr0"), ("", "br0"), (CONFIG, "virbr0")] {
        world.up(config, "vif0.0");
        assert_eq!(master(&world), Some(name(bridge)));
    }
    world.down("vif0.0");
    assert_eq!(world.snapshot(), before);
}
