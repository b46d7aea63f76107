//! Whole plans, word for word. With KVMNET_BLESS in the environment they are written anew, to be read as a difference.

use std::{env, fs};

use super::*;

fn text(steps: &[crate::plan::Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[track_caller]
fn check(steps: &[crate::plan::Step], file: &str) {
    let path = format!("{}/src/plan/tests/plans/{file}", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("KVMNET_BLESS").is_some() {
        fs::write(&path, text(steps)).unwrap();
    }
    assert_eq!(text(steps), fs::read_to_string(&path).unwrap());
}

#[test]
fn isolated() {
    let mut world = World::lab();
    check(&world.up(&config("isolated"), "vif0.0"), "isolated.up");
    check(&world.down("vif0.0"), "isolated.down");
}

#[test]
fn host_only_through_a_veth_pair() {
    let mut world = World::lab();
    let config = config("host-only") + "veth = \"veth1\"\n";
    check(&world.up(&config, "vif0.0"), "host-only-veth.up");
    check(&world.down("vif0.0"), "host-only-veth.down");
}

#[test]
fn routed() {
    let mut world = World::lab();
    check(&world.up(&config("routed"), "vif0.0"), "routed.up");
    check(&world.down("vif0.0"), "routed.down");
}

#[test]
fn nat() {
    let mut world = World::lab();
    check(&world.up(&config("nat"), "vif0.0"), "nat.up");
    check(&world.up(&config("nat"), "vif1.0"), "next.up");
    check(&world.down("vif1.0"), "next.down");
    check(&world.down("vif0.0"), "nat.down");
}

#[test]
fn nat_with_ports_that_lead_to_guests() {
    let mut world = World::lab();
    let config = |forward: &str, address: &str| {
        config("nat") + &format!("guest_address = \"{address}\"\nforward = {forward}\n")
    };
    let one = config("[\"2222:22\", \"udp/127.0.0.1:5353:53\", \"3000-3001:80\"]", "10.0.100.7");
    check(&world.up(&one, "vif0.0"), "forward.up");
    check(&world.up(&config("\"2223:22\"", "10.0.100.8"), "vif1.0"), "forward-next.up");
    check(&world.down("vif1.0"), "forward-next.down");
    check(&world.down("vif0.0"), "forward.down");
}

#[test]
fn nat_with_guests_kept_apart_and_services_alone() {
    let mut world = World::lab();
    let config = config("nat") + "port_isolation = true\nhost = \"services\"\n";
    check(&world.up(&config, "vif0.0"), "apart.up");
    check(&world.up(&config, "vif1.0"), "apart-next.up");
}

#[test]
fn nat_with_nothing_configured() {
    let mut world = World::lab();
    check(&world.up("", "vif0.0"), "default.up");
}

#[test]
fn only_a_port() {
    let mut world = World::lab();
    let bridge = world::link(9, "virbr0", Some("bridge"));
    world.0.facts.links.push(crate::model::Link { up: true, operational: false, ..bridge });
    world.settle();
    let config = "mode = \"bridged\"\nuplink = \"none\"\nbridge = \"virbr0\"\n";
    check(&world.up(config, "vif0.0"), "port-only.up");
    check(&world.down("vif0.0"), "port-only.down");
}

#[test]
fn bridged() {
    let mut world = World::lab();
    check(&world.up(&config("bridged"), "vif0.0"), "bridged.up");
    check(&world.down("vif0.0"), "bridged.down");
}
