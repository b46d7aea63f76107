//! What must hold of every plan, whatever the mode: it ends, it converges, and it leaves no trace.

use super::*;
use crate::feature::{self, Site};
use crate::item::Wait;
use crate::model::{AddrGen, Address, Need, Question};
use crate::plan::Step;

/// A second ifup has nothing to do.
#[test]
fn a_second_up_is_empty() {
    for mode in MODES {
        let mut world = World::lab();
        assert!(!world.up(&config(mode), "vif0.0").is_empty());
        assert_eq!(world.up(&config(mode), "vif0.0"), [], "{mode}");
    }
}

/// So it is where new interfaces make no link-local address: kvmnet's bridge makes one at once.
#[test]
fn a_bridge_makes_its_address_where_new_interfaces_make_none() {
    for mode in MODES.into_iter().filter(|mode| !["isolated", "bridged"].contains(mode)) {
        let mut world = World::lab();
        for new in ["default", "vif0.0"] {
            world.link(&name(new)).addr_gen = Some(AddrGen::NONE);
        }
        let steps = world.up(&config(mode), "vif0.0");
        let is_it = |step: &Step| step.to_string() == "ip link set br0 addrgenmode eui64";
        assert!(steps.iter().any(is_it), "{mode}");
        assert_eq!(world.up(&config(mode), "vif0.0"), [], "{mode}");
    }
}

/// The next guest's ifup touches nothing but its tap.
#[test]
fn the_next_guest_touches_its_tap_only() {
    for mode in MODES {
        let mut world = World::lab();
        world.up(&config(mode), "vif0.0");
        for step in world.up(&config(mode), "vif1.0") {
            assert!(step.to_string().contains("vif1.0"), "{mode}: {step}");
        }
    }
}

/// Up and down, with a second guest coming and going in any order, leave the host as it was.
#[test]
fn the_last_guest_leaves_no_trace() {
    let forms = ["", "veth = \"veth1\"\n"];
    let named = MODES.iter().flat_map(|mode| forms.map(|veth| config(mode) + veth));
    // Without an uplink every interface forwards meanwhile.
    for config in named.chain(["nat", "routed"].map(|mode| format!("mode = \"{mode}\"\n"))) {
        for order in [["vif0.0", "vif1.0"], ["vif1.0", "vif0.0"]] {
            let mut world = World::lab();
            world.0.facts.links.iter_mut().filter(|link| link.is_tap()).for_each(|tap| {
                tap.tun.as_mut().unwrap().persistent = true;
            });
            let before = world.snapshot();
            world.up(&config, "vif0.0");
            world.up(&config, "vif1.0");
            order.iter().for_each(|tap| drop(world.down(tap)));
            assert_eq!(world.snapshot(), before, "{config} {order:?}");
        }
    }
}

/// A guest of a NIC without a cable has nothing to wait for.
#[test]
fn a_nic_without_carrier_is_taken_without_a_wait() {
    for carrier in [true, false] {
        let mut world = World::lab();
        world.link(&name("eth3")).carrier = carrier;
        let address = Address::plain("fd00:1::230/64".parse().unwrap());
        let index = world.link(&name("eth3")).index;
        world.0.facts.addresses.push((index, address));
        world.settle();
        let is_wait =
            |step: &Step| matches!(step, Step::Wait(Wait::Addresses { .. } | Wait::Operational { .. }));
        let up = world.up(&config("bridged"), "vif0.0");
        assert_eq!(up.iter().filter(|step| is_wait(step)).count(), if carrier { 2 } else { 0 });
        let down = world.down("vif0.0");
        assert_eq!(down.iter().any(is_wait), carrier);
    }
}

/// The same on a bridge that was there before, with a group, an alias and an address of its own.
#[test]
fn a_found_bridge_is_given_back() {
    for mode in MODES {
        let mut world = World::lab();
        let mut bridge = world::link(9, "br0", Some("bridge"));
        bridge.alias = "floor 3".to_owned();
        bridge.group = 7;
        world.0.facts.links.push(bridge);
        world.settle();
        let before = world.snapshot();
        world.up(&config(mode), "vif0.0");
        assert_eq!(world.up(&config(mode), "vif0.0"), [], "{mode}");
        world.down("vif0.0");
        assert_eq!(world.snapshot(), before, "{mode}");
    }
}

/// From any configuration to any other while a guest is on: one ifup converges, and down leaves no trace.
#[test]
fn any_mode_becomes_any_other() {
    for from in MODES {
        for to in MODES {
            for (veth_from, veth_to) in [("", ""), ("veth = \"veth1\"\n", ""), ("", "veth = \"veth1\"\n")] {
                let mut world = World::lab();
                let before = world.snapshot();
                world.up(&(config(from) + veth_from), "vif0.0");
                let to_config = config(to) + veth_to;
                world.up(&to_config, "vif0.0");
                assert_eq!(world.up(&to_config, "vif0.0"), [], "{from}{veth_from} to {to}{veth_to}");
                world.down("vif0.0");
                assert_eq!(world.snapshot(), before, "{from}{veth_from} to {to}{veth_to}");
            }
        }
    }
}

/// Two networks share the uplink: forwarding goes with the last that needs it, and only what kvmnet switched on.
#[test]
fn forwarding_goes_with_the_last_network() {
    let lab = "[network.lab]\nmode = \"routed\"\nbridge = \"br-lab\"\naddress = \"10.0.200.3/24\"\n\
               uplink = \"eth3\"\ntaps = [\"vif1.*\"]\n";
    for on_before in [0, 1] {
        for order in [["vif0.0", "vif1.0"], ["vif1.0", "vif0.0"]] {
            let config = config("nat") + lab;
            let mut world = World::lab();
            world.link(&name("eth3")).ipv4.forwarding = on_before;
            world.up(&config, "vif0.0");
            world.up(&config, "vif1.0");
            world.down(order[0]);
            assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 1);
            world.down(order[1]);
            assert_eq!(world.link(&name("eth3")).ipv4.forwarding, on_before);
        }
    }
}

/// Somebody switched the whole machine on meanwhile: the uplink stays on, because that may be why.
#[test]
fn forwarding_stays_when_somebody_else_decided_meanwhile() {
    let mut world = World::lab();
    world.up(&config("nat"), "vif0.0");
    world.0.facts.wide4 = true;
    world.down("vif0.0");
    assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 1);
}

/// A guest was killed: whatever hook runs next sweeps its network.
#[test]
fn the_next_hook_sweeps() {
    let lab = "[network.lab]\nmode = \"isolated\"\nbridge = \"br-lab\"\ntaps = [\"vif1.*\"]\n";
    for keep in ["", "keep = true\n"] {
        let config = config("nat") + lab + keep;
        let mut world = World::lab();
        world.up(&config, "vif1.0");
        world.0.facts.links.retain(|link| link.name != name("vif1.0"));
        world.up(&config, "vif0.0");
        assert_eq!(world.0.facts.link(&name("br-lab")).is_some(), !keep.is_empty());
        world.down("vif0.0");
        assert_eq!(world.0.facts.link(&name("br0")), None);
    }
}

/// What the sweep puts back, the network that comes opens again.
#[test]
fn what_is_swept_is_opened_again() {
    let lab = "[network.lab]\nmode = \"routed\"\nbridge = \"br-lab\"\naddress = \"10.0.200.3/24\"\n\
               uplink = \"eth3\"\ntaps = [\"vif1.*\"]\n";
    let config = config("nat") + lab;
    let mut world = World::lab();
    world.up(&config, "vif0.0");
    world.0.facts.links.retain(|link| link.name != name("vif0.0"));
    world.up(&config, "vif1.0");
    assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 1);
    assert_eq!(world.up(&config, "vif1.0"), []);
    world.down("vif1.0");
    assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 0);
}

/// From one network to another: the one that it was the last guest of goes, when the tap is off it, and the uplink of both
/// stays open.
#[test]
fn a_guest_moves_to_another_network() {
    let lab = "[network.lab]\nmode = \"routed\"\nbridge = \"br-lab\"\naddress = \"10.0.200.3/24\"\n\
               uplink = \"eth3\"\ntaps = [\"vif1.*\"]\n";
    let config = config("nat") + lab;
    let mut world = World::lab();
    let before = world.snapshot();
    world.up(&config, "vif0.0");
    let steps: Vec<String> =
        world.up(&config.replace("vif1.*", "vif0.*"), "vif0.0").iter().map(ToString::to_string).collect();
    let at = |text: &str| {
        steps.iter().position(|step| step == text).unwrap_or_else(|| panic!("{text}: {steps:#?}"))
    };
    let order = [
        "ip link set vif0.0 down",
        "ip link set vif0.0 master br-lab",
        "ip link set vif0.0 up",
        "ip link delete br0",
    ];
    assert!(order.map(at).is_sorted(), "{steps:#?}");
    assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 1);
    world.down("vif0.0");
    assert_eq!(world.snapshot(), before);
}

/// Each piece that somebody takes away is put back, and nothing else is touched.
#[test]
fn repairs_exactly_what_is_missing() {
    type Damage = fn(&mut World);
    let cases: [(&str, Damage, &[&str]); 8] = [
        ("nat", |w| w.0.tables.clear(), &["nft "]),
        (
            "nat",
            |w| w.0.facts.addresses.retain(|(index, _)| *index == 2),
            &["ip addr add 10.0.100.3/24", "ip addr add fd00:100::3/64"],
        ),
        (
            "nat",
            |w| w.link(&name("vif0.0")).master = None,
            &["ip link set vif0.0 master br0", "ip link set vif0.0 type bridge_slave group_fwd_mask 0xfffd"],
        ),
        (
            "nat",
            |w| w.0.facts.filters.clear(),
            &["tc qdisc add dev vif0.0 clsact", "tc filter add dev vif0.0 ingress "],
        ),
        (
            "nat",
            |w| w.link(&name("vif0.0")).ipv4.rp_filter = 0,
            &["sysctl -q -w net/ipv4/conf/vif0.0/rp_filter=1"],
        ),
        ("nat", |w| w.link(&name("br0")).up = false, &["ip link set br0 up"]),
        (
            "nat",
            |w| w.link(&name("eth3")).ipv4.forwarding = 0,
            &["sysctl -q -w net/ipv4/conf/eth3/forwarding=1"],
        ),
        (
            "isolated",
            |w| w.link(&name("br0")).ipv4.arp_ignore = 0,
            &["sysctl -q -w net/ipv4/conf/br0/arp_ignore=8"],
        ),
    ];
    for (mode, damage, repairs) in cases {
        let mut world = World::lab();
        world.up(&config(mode), "vif0.0");
        damage(&mut world);
        world.settle();
        let steps = world.up(&config(mode), "vif0.0");
        let texts: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), repairs.len(), "{mode}: {texts:#?}");
        assert!(texts.iter().zip(repairs).all(|(text, start)| text.starts_with(start)), "{mode}: {texts:#?}");
    }
}

/// The bridge is deleted by hand: the table's copy of the record remembers what is to be put back.
#[test]
fn the_copy_of_the_mark_survives_the_bridge() {
    let mut world = World::lab();
    world.up(&config("nat"), "vif0.0");
    world.delete_link(&name("br0"));
    world.settle();
    world.up(&config("nat"), "vif0.0");
    world.down("vif0.0");
    assert_eq!(world.link(&name("eth3")).ipv4.forwarding, 0);
}

/// The copy is not read where the bridge bears the whole record. Another entry is written to the bridge, then to the copy,
/// and no rule; meanwhile the bridge says that the copy may be of before.
#[test]
fn an_entry_leaves_the_rules_alone() {
    let mut world = World::lab();
    world.up(&config("nat"), "vif0.0");
    let copy = world.0.tables[0].record.take();
    world.settle();
    assert_eq!(world.plan_up(&config("nat"), "vif0.0").unwrap(), []);
    let keeps = config("nat") + "keep = true\n";
    let steps = world.plan_up(&keeps, "vif0.0").unwrap();
    let texts: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let [first, second, third] = &texts[..] else { panic!("{texts:#?}") };
    assert!(first.starts_with("ip link set br0 alias") && first.contains(" made pending keep "), "{first}");
    assert!(second.starts_with("nft 'flush set inet kvmnet-br0 record; add element"), "{second}");
    assert_eq!(*third, first.replace(" pending", ""));
    world.play(&steps[0]);
    let rest = world.plan_up(&keeps, "vif0.0").unwrap();
    assert_eq!(rest.iter().map(ToString::to_string).collect::<Vec<_>>(), texts[1..], "cut off here");
    world.0.tables[0].record = copy;
    world.settle();
    steps[1..].iter().for_each(|step| world.play(step));
    assert_eq!(world.plan_up(&keeps, "vif0.0").unwrap(), []);
}

/// The rules that keep guests in are there before the bridge is up, and go after it is gone.
#[test]
fn the_bridge_is_closed_first_and_opened_last() {
    let position = |steps: &[crate::plan::Step], start: &str| {
        steps
            .iter()
            .position(|step| step.to_string().starts_with(start))
            .unwrap_or_else(|| panic!("no {start}"))
    };
    for mode in MODES {
        let mut world = World::lab();
        let steps = world.up(&config(mode), "vif0.0");
        assert!(position(&steps, "nft ") < position(&steps, "ip link set br0 up"), "{mode}");
        assert!(position(&steps, "ip link set br0 alias") < position(&steps, "nft "), "{mode}");
        let steps = world.down("vif0.0");
        assert!(position(&steps, "ip link delete br0") < position(&steps, "nft delete table"), "{mode}");
    }
}

/// Guests that are on already are kept apart, or no longer, by whichever hook comes first after an edit; the record that says so is
/// written before, and says that it is pending until all is done.
#[test]
fn an_edit_reaches_the_ports_of_all_guests() {
    for mode in MODES {
        let mut world = World::lab();
        let plain = config(mode);
        let apart = config(mode) + "port_isolation = true\n";
        world.up(&plain, "vif0.0");
        for (config, word, isolated) in [(&apart, "on", true), (&plain, "off", false)] {
            let steps = world.up(config, "vif1.0");
            let words: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let at = |text: &str| words.iter().position(|step| step.starts_with(text));
            let port = at(&format!("ip link set vif0.0 type bridge_slave isolated {word}"));
            assert!(at("ip link set br0 alias") < port && port.is_some(), "{mode}: {words:#?}");
            let taps = ["vif0.0", "vif1.0"].map(|tap| world.link(&name(tap)).isolated);
            assert_eq!(taps, [Some(isolated); 2], "{mode}");
            assert_eq!(world.up(config, "vif0.0"), [], "{mode}");
        }
    }
}

/// Whose ports they are is asked where they may differ, and at no other time.
#[test]
fn the_ports_of_others_are_asked_about_after_an_edit_only() {
    let asks = |world: &World, config: &str| {
        let desired = World::desired(config, "vif1.0");
        let index = world.0.facts.link(&name("br0")).unwrap().index;
        let needs = feature::needs(&Site::new(&desired, &world.0));
        needs.contains(&Need::Of(Question::Ports(index)))
    };
    let mut world = World::lab();
    let (plain, apart) = (config("nat"), config("nat") + "port_isolation = true\n");
    world.up(&plain, "vif0.0");
    assert!(!asks(&world, &plain) && asks(&world, &apart));
    world.up(&apart, "vif0.0");
    assert!(!asks(&world, &apart) && asks(&world, &plain));
    let bridge = world.link(&name("br0"));
    bridge.alias = format!("{} pending", bridge.alias);
    world.settle();
    assert!(asks(&world, &apart), "a run was cut off");
}
