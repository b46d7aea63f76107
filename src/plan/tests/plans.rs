//! Whole plans, word for word.

use super::*;

fn text(steps: &[crate::plan::Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[track_caller]
fn check(steps: &[crate::plan::Step], expected: &str) {
    let expected: String = expected.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
    assert_eq!(text(steps), expected);
}

#[test]
fn isolated() {
    let mut world = World::lab();
    check(&world.up(&config("isolated"), "vif0.0"), include_str!("plans/isolated.up"));
    check(&world.down("vif0.0"), include_str!("plans/isolated.down"));
}

#[test]
fn host_only_through_a_veth_pair() {
    let mut world = World::lab();
    let config = config("host-only") + "veth = \"veth1\"\n";
    check(&world.up(&config, "vif0.0"), include_str!("plans/host-only-veth.up"));
    check(&world.down("vif0.0"), include_str!("plans/host-only-veth.down"));
}

#[test]
fn routed() {
    let mut world = World::lab();
    check(&world.up(&config("routed"), "vif0.0"), include_str!("plans/routed.up"));
    check(&world.down("vif0.0"), include_str!("plans/routed.down"));
}

#[test]
fn nat() {
    let mut world = World::lab();
    check(&world.up(&config("nat"), "vif0.0"), include_str!("plans/nat.up"));
    check(&world.up(&config("nat"), "vif1.0"), include_str!("plans/next.up"));
    check(&world.down("vif1.0"), include_str!("plans/next.down"));
    check(&world.down("vif0.0"), include_str!("plans/nat.down"));
}

#[test]
fn nat_with_nothing_configured() {
    let mut world = World::lab();
    check(&world.up("", "vif0.0"), include_str!("plans/default.up"));
}

#[test]
fn bridged() {
    let mut world = World::lab();
    check(&world.up(&config("bridged"), "vif0.0"), include_str!("plans/bridged.up"));
    check(&world.down("vif0.0"), include_str!("plans/bridged.down"));
}
