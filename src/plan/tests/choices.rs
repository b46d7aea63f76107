//! `address = "auto"`: what is chosen, from what there is, and what stays.

use ipnet::IpNet;

use super::world::link;
use super::*;
use crate::feature::{Site, choice_needs, needs, resolved};
use crate::model::facts::Way;
use crate::model::route::UNICAST;
use crate::model::{Link, Need};
use crate::plan::Refusal;

/// What the host will have on the network.
fn chosen(world: &World, config: &str) -> Result<Vec<String>, Refusal> {
    let desired = World::desired(config, "vif0.0");
    let resolved = resolved(&desired, &world.0)?;
    Ok(resolved.network.addresses.iter().map(IpNet::to_string).collect())
}

fn route(world: &mut World, to: &str) {
    let destination: IpNet = to.parse().unwrap();
    let v6 = destination.addr().is_ipv6();
    let (table, kind, metric) = (77, UNICAST, 0);
    let way = Way {
        destination: Some(destination),
        v6,
        table,
        kind,
        protocol: 3,
        metric,
        devices: vec![2],
        nexthop: None,
    };
    world.0.facts.ways.push(way);
}

const FIRST: [&str; 2] = ["10.0.100.3/24", "fd6b:766d:6e65:100::3/64"];

#[test]
fn the_first_that_no_route_leads_to() {
    let rows: [(&[&str], [&str; 2]); 5] = [
        (&[], FIRST),
        (&["0.0.0.0/1", "128.0.0.0/1", "::/3"], FIRST),
        (&["10.0.100.128/25"], ["10.0.101.3/24", FIRST[1]]),
        (&["10.0.0.0/8", "fd6b:766d:6e65:100::/56"], ["172.31.100.3/24", "fd6b:766d:6e65:200::3/64"]),
        (&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], ["198.19.200.3/24", FIRST[1]]),
    ];
    for (routes, wanted) in rows {
        let mut world = World::lab();
        routes.iter().for_each(|to| route(&mut world, to));
        assert_eq!(chosen(&world, "").unwrap(), wanted, "{routes:?}");
    }
    let mut world = World::lab();
    route(&mut world, "fc00::/7");
    assert_eq!(chosen(&world, "").unwrap(), FIRST[..1], "without IPv6 rather than not at all");
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"]
        .iter()
        .for_each(|to| route(&mut world, to));
    assert!(matches!(chosen(&world, ""), Err(Refusal::NoFreeSubnet { .. })));
}

/// Up or down, of kvmnet's or only in the file.
#[test]
fn what_other_networks_have() {
    let mut world = World::lab();
    let alias = "kvmnet:nat lab 0 made addr=10.0.100.7/23".to_owned();
    world.0.facts.links.push(Link { alias, ..link(9, "br-lab", Some("bridge")) });
    world.0.work_out();
    assert_eq!(chosen(&world, "").unwrap(), ["10.0.102.3/24", FIRST[1]]);
    let config = "[network.a]\nbridge = \"br-a\"\naddress = [\"10.0.100.9/24\", \"fd6b:766d:6e65::9/48\"]\n";
    assert_eq!(chosen(&World::lab(), config).unwrap(), ["10.0.101.3/24"]);
}

#[test]
fn no_ipv6_where_the_kernel_takes_none() {
    let mut world = World::lab();
    world.link(&name("vif0.0")).ipv6.as_mut().unwrap().disable_ipv6 = 1;
    assert_eq!(chosen(&world, "").unwrap(), FIRST[..1]);
    world.link(&name("vif0.0")).ipv6 = None;
    assert_eq!(chosen(&world, "").unwrap(), FIRST[..1]);
    let mut world = World::lab();
    world.0.is_proc_fixed = true;
    assert_eq!(chosen(&world, "").unwrap(), FIRST[..1], "IPv6 could not be forwarded");
    assert_eq!(chosen(&world, "mode = \"host-only\"").unwrap(), FIRST, "where nothing is forwarded");
}

/// What is on record stays, and nothing is asked for it.
#[test]
fn a_network_that_stands_keeps_what_it_has() {
    let mut world = World::lab();
    world.up("", "vif0.0");
    route(&mut world, "10.0.0.0/8");
    route(&mut world, "fc00::/7");
    assert_eq!(chosen(&world, "").unwrap(), FIRST);
    let desired = World::desired("", "vif1.0");
    assert_eq!(choice_needs(&desired, &world.0), []);
    assert!(world.plan_up("", "vif0.0").unwrap().is_empty());
    // An edit changes nothing of it, and another mode takes it away.
    assert_eq!(chosen(&world, "uplink = \"eth3\"").unwrap(), FIRST);
    assert_eq!(chosen(&world, "mode = \"host-only\"").unwrap(), FIRST);
    assert_eq!(chosen(&world, "mode = \"isolated\"").unwrap(), [""; 0]);
}

/// What the file said before is kept, whatever it was; the family that it had none of is chosen.
#[test]
fn from_what_was_written_to_what_is_chosen() {
    for (written, wanted) in [
        ("\"10.0.100.3/24\"", FIRST),
        ("\"10.7.0.1/16\"", ["10.7.0.1/16", FIRST[1]]),
        ("\"fd07::1/64\"", [FIRST[0], "fd07::1/64"]),
        ("[\"10.7.0.1/16\", \"fd07::1/64\"]", ["10.7.0.1/16", "fd07::1/64"]),
    ] {
        let mut world = World::lab();
        world.up(&format!("address = {written}"), "vif0.0");
        assert_eq!(chosen(&world, "").unwrap(), wanted, "{written}");
        let steps: Vec<String> = world.up("", "vif1.0").iter().map(ToString::to_string).collect();
        assert!(!steps.iter().any(|step| step.starts_with("ip addr del")), "{steps:#?}");
        assert!(world.plan_up("", "vif0.0").unwrap().is_empty());
    }
}

/// Before Linux 6.17 IPv6 is forwarded by the machine-wide switch. Once that is kvmnet's, no way out has to be known.
#[test]
fn the_machine_wide_switch_costs_no_question() {
    let mut world = World::lab();
    for link in &mut world.0.facts.links {
        link.ipv6.as_mut().unwrap().force_forwarding = None;
    }
    let steps: Vec<String> = world.up("", "vif0.0").iter().map(ToString::to_string).collect();
    let position = |words: &str| steps.iter().position(|step| step.contains(words)).unwrap();
    assert!(position("eth3/accept_ra=2") < position("all/forwarding=1"), "{steps:#?}");
    assert!(world.0.facts.wide(true));
    let desired = World::desired("", "vif1.0");
    let desired = resolved(&desired, &world.0).unwrap();
    let needs = needs(&Site::new(&desired, &world.0));
    assert!(!needs.contains(&Need::Defaults { v6: true }), "{needs:?}");
}
