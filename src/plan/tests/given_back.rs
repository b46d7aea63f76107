//! What the host had it has again: switches of its interfaces, and a bridge that was there before.

use super::*;

/// Before Linux 6.17 IPv6 is forwarded machine-wide: every interface that heeds announcements goes on heeding them, those to
/// come included, and each gets back what it had. Of several networks the last one gives back.
#[test]
fn announcements_are_heeded_while_the_whole_machine_forwards() {
    let lab = "[network.lab]\nmode = \"routed\"\nbridge = \"br-lab\"\ntaps = \"vif1.*\"\naddress = \"fd00:200::3/64\"\n";
    for (uplink, order) in [("", ["vif0.0", "vif1.0"]), ("uplink = \"eth3\"\n", ["vif1.0", "vif0.0"])] {
        let config = format!("mode = \"nat\"\naddress = \"fd00:100::3/64\"\n{uplink}{lab}");
        let mut world = World::lab();
        for (index, (nic, accept_ra)) in (20..).zip([("eth4", 1), ("eth5", 2), ("eth6", 0)]) {
            let mut link = super::world::link(index, nic, None);
            link.ipv6.as_mut().unwrap().accept_ra = accept_ra;
            world.0.facts.links.push(link);
        }
        for link in &mut world.0.facts.links {
            link.ipv6.as_mut().unwrap().force_forwarding = None;
            if let Some(tun) = &mut link.tun {
                tun.persistent = true;
            }
        }
        let before = world.snapshot();
        world.up(&config, "vif0.0");
        world.up(&config, "vif1.0");
        let heeds = |world: &mut World, nic: &str| world.link(&name(nic)).ipv6.unwrap().accept_ra;
        let all = ["default", "eth3", "eth4", "eth5", "eth6"].map(|nic| heeds(&mut world, nic));
        assert_eq!((all, world.0.facts.wide(true)), ([2, 2, 2, 2, 0], true), "{uplink}");
        assert_eq!(world.up(&config, "vif0.0"), [], "{uplink}");
        world.down(order[0]);
        assert!(world.0.facts.wide(true) && heeds(&mut world, "eth4") == 2, "{uplink}: one is left");
        world.down(order[1]);
        assert_eq!(world.snapshot(), before, "{uplink}");
    }
}

/// The same with a switch of each interface: exceptions stay, a renamed NIC is found, one made anew needs nothing.
#[test]
fn what_is_set_everywhere_is_given_back_everywhere() {
    let mut world = World::lab();
    for (index, (nic, forwards)) in (20..).zip([("eth4", 0), ("eth5", 1)]) {
        let mut link = super::world::link(index, nic, None);
        link.ipv4.forwarding = forwards;
        world.0.facts.links.push(link);
    }
    world.link(&name("vif0.0")).tun.as_mut().unwrap().persistent = true;
    let before = world.snapshot();
    world.up("", "vif0.0");
    let forwards = |world: &mut World, nic: &str| world.link(&name(nic)).ipv4.forwarding;
    assert_eq!(["eth3", "eth4", "eth5"].map(|nic| forwards(&mut world, nic)), [1; 3]);
    assert_eq!(world.up("", "vif0.0"), []);
    world.link(&name("eth4")).name = name("lan4");
    world.down("vif0.0");
    assert_eq!(["eth3", "lan4", "eth5"].map(|nic| forwards(&mut world, nic)), [0, 0, 1]);
    world.link(&name("lan4")).name = name("eth4");
    assert_eq!(world.snapshot(), before);
}

/// A named uplink is found by its number, whatever its name is by then.
#[test]
fn a_renamed_uplink_is_given_back() {
    let mut world = World::lab();
    world.up(&config("nat"), "vif0.0");
    world.link(&name("eth3")).name = name("wan0");
    world.0.facts.routes.clear();
    world.settle();
    world.down("vif0.0");
    let wan = world.link(&name("wan0")).clone();
    assert_eq!((wan.ipv4.forwarding, wan.ipv6.unwrap().force_forwarding), (0, Some(0)));
}

/// The host is as it was, whatever the network was in between, and whoever made its bridge.
#[test]
fn no_change_of_mode_leaves_a_trace() {
    let forms = MODES.iter().flat_map(|mode| ["", "veth = \"veth1\"\n"].map(|veth| config(mode) + veth));
    let apart = ["nat", "bridged"].map(|mode| config(mode) + "port_isolation = true\nhost = \"services\"\n");
    let forms: Vec<String> = forms.chain(apart).collect();
    let pairs = forms.iter().flat_map(|first| forms.iter().map(move |then| (first, then)));
    for ((first, then), is_found) in pairs.flat_map(|pair| [(pair, false), (pair, true)]) {
        let mut world = World::lab();
        world.link(&name("vif0.0")).tun.as_mut().unwrap().persistent = true;
        if is_found {
            world.0.facts.links.push(super::world::link(9, "br0", Some("bridge")));
        }
        let before = world.snapshot();
        world.up(first, "vif0.0");
        world.up(then, "vif0.0");
        assert_eq!(world.up(then, "vif0.0"), [], "found: {is_found}, {first}, {then}");
        world.down("vif0.0");
        assert_eq!(world.snapshot(), before, "found: {is_found}, {first}, {then}");
    }
}

/// A bridge that was found forwarding goes on, whatever kvmnet opens besides and how many guests come.
#[test]
fn a_found_bridge_that_forwarded_goes_on() {
    for config in ["nat", "routed"].map(|mode| format!("mode = \"{mode}\"\n")) {
        let mut world = World::lab();
        for tap in ["vif0.0", "vif1.0"] {
            world.link(&name(tap)).tun.as_mut().unwrap().persistent = true;
        }
        world.0.facts.links.push(super::world::link(9, "br0", Some("bridge")));
        world.link(&name("br0")).ipv4.forwarding = 1;
        let before = world.snapshot();
        world.up(&config, "vif0.0");
        assert_eq!(world.up(&config, "vif0.0"), [], "{config}");
        world.up(&config, "vif1.0");
        ["vif0.0", "vif1.0"].iter().for_each(|tap| drop(world.down(tap)));
        assert_eq!(world.snapshot(), before, "{config}");
    }
}
