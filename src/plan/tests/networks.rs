//! Networks that are brought up and taken down as a whole, and host interfaces that open.

use super::*;
use crate::desired::Desired;
use crate::item::TableChange;
use crate::model::ruleset::Family;
use crate::plan::{Refusal, Step, network_down, sweep, up};

/// Brings the network up as `kvmnet up` does.
fn hold(world: &mut World, config: &str) -> Vec<Step> {
    let network = World::desired(config, "vif0.0").network;
    let desired = Desired { held: true, ..Desired::without_guest(network) };
    let steps: Vec<Step> = up(&desired, &world.0).unwrap().steps().cloned().collect();
    steps.iter().for_each(|step| world.play(step));
    steps
}

#[test]
fn a_held_network_outlives_its_guests() {
    for mode in MODES {
        let mut world = World::lab();
        let before = world.snapshot();
        assert!(!hold(&mut world, &config(mode)).is_empty());
        assert_eq!(hold(&mut world, &config(mode)), [], "{mode}");
        for step in world.up(&config(mode), "vif0.0") {
            assert!(step.to_string().contains("vif0.0"), "{mode}: a guest touches its tap only: {step}");
        }
        world.down("vif0.0");
        assert_eq!(sweep(&[], &world.0).iter().flat_map(|one| &one.steps).count(), 0, "{mode}");
        let steps = network_down(&name("br0"), false, &world.0).unwrap();
        steps.steps().for_each(|step| world.play(step));
        let tap = world::link(3, "vif0.0", Some("tun"));
        *world.link(&name("vif0.0")) = tap;
        world.settle();
        let mut undone = world.snapshot();
        let order = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(order(&std::mem::take(&mut undone)), order(&before), "{mode}");
    }
}

#[test]
fn guests_lose_their_network_by_force_only() {
    for mode in MODES {
        let mut world = World::lab();
        world.up(&config(mode), "vif0.0");
        world.up(&config(mode), "vif1.0");
        let refusal = network_down(&name("br0"), false, &world.0);
        let guests = vec![name("vif0.0"), name("vif1.0")];
        assert_eq!(refusal, Err(Refusal::HasGuests { bridge: name("br0"), guests }), "{mode}");
        let steps = network_down(&name("br0"), true, &world.0).unwrap();
        steps.steps().for_each(|step| world.play(step));
        assert_eq!(world.0.networks, [], "{mode}");
        assert!(world.0.facts.links.iter().all(|link| link.master.is_none()), "{mode}");
    }
}

/// A host interface opens together with the rules that come in its place, before anything is asked through it; and is closed again
/// where a later step fails.
#[test]
fn a_host_if_opens_in_the_transaction_of_the_new_rules() {
    for mode in ["host-only", "routed", "nat", "bridged"] {
        let mut world = World::lab();
        world.up(&config("isolated"), "vif0.0");
        let host_if = world.0.network(&name("br0")).unwrap().tables.clone();
        let steps = world.plan_up(&config(mode), "vif0.0").unwrap();
        let at = steps.iter().position(|step| matches!(step, Step::Table(TableChange::Remove(_)))).unwrap();
        assert!(matches!(steps[at - 1], Step::Table(TableChange::Replace(_))), "{mode}: {}", steps[at - 1]);
        assert!(steps[..at].iter().all(|step| !matches!(step, Step::Port(_) | Step::Probe(_))));
        steps[..=at].iter().for_each(|step| world.play(step));
        assert!(world.0.network(&name("br0")).unwrap().tables.iter().all(|t| t.family == Family::Inet));
        world.play(&steps[at].inverse().unwrap());
        let tables = &world.0.network(&name("br0")).unwrap().tables;
        let again: Vec<_> = tables.iter().filter(|table| table.family == Family::Netdev).cloned().collect();
        let mut host_if = host_if;
        host_if.retain(|table| table.family == Family::Netdev);
        host_if
            .iter_mut()
            .chain(&mut again.clone())
            .for_each(|table| table.chains.iter_mut().for_each(|c| c.uses = 0));
        assert_eq!(again, host_if, "{mode}");
    }
}
