//! Two hundred guests with forwards.

use crate::lab::{Hook, Lab, Network, Tap};

/// The rules of the network, but for elements of sets.
fn rules(lab: &Lab) -> usize {
    let rules = lab.host.run("nft -t list table inet kvmnet-br0");
    rules.lines().count()
}

#[track_caller]
fn attach_at(lab: &Lab, tap: &Tap, number: usize) {
    let hook = Hook::new(&lab.host, "/etc/qemu-ifup", &[&format!("vif{number}.0")]).tap(tap);
    let hook = hook.env("KVMNET_GUEST_ADDRESS", &format!("10.0.100.{}", number + 10));
    hook.env("KVMNET_FORWARD", &format!("{}:22", 20_000 + number)).run().ok();
}

#[test]
fn the_rules_are_as_many_for_two_hundred_guests() {
    let lab = Lab::new(Network::NAT);
    let taps: Vec<Tap> = (0..200).map(|number| Tap::open(&lab.host, &format!("vif{number}.0"))).collect();
    attach_at(&lab, &taps[0], 0);
    let one = rules(&lab);
    for (number, tap) in taps.iter().enumerate().skip(1) {
        attach_at(&lab, tap, number);
    }
    assert_eq!(rules(&lab), one);
    let table = lab.host.run("nft list map inet kvmnet-br0 forward4");
    assert_eq!(table.matches("comment").count(), 200);
}
