//! The same from inside a real guest.

use crate::attack::Names;
use crate::ground::Ground;
use crate::in_guest::{Attacker, some};
use crate::judge::{Judge, tell};
use crate::lab::{Network, turn};

/// Boots a guest on the network, sends from it, and returns how many frames got through.
#[track_caller]
fn gets_through(network: Network, damage: &[&str]) -> usize {
    let _turn = turn();
    let ground = Ground::new(network, true);
    let host = &ground.lab.host;
    let place = network.guest(3);
    // The tap has its MAC as soon as there is one; what is sent to it is written before.
    host.run(&format!("ip tuntap add {} mode tap", place.tap));
    let mut names = Names::of(&ground);
    names.macs.push(("own tap", host.mac(&place.tap)));
    let attacks = some(&names, 5000);
    let mut attacker = Attacker::boot(host, &place, &attacks);
    damage.iter().for_each(|command| drop(host.run(command)));
    let mut judge = Judge::at(&ground, &place.tap);
    attacker.send();
    let what = format!("{} from inside a real guest {damage:?}", network.mode);
    tell(&what, &attacks, &judge.verdict())
}

#[test]
fn isolated() {
    assert_eq!(gets_through(Network::ISOLATED, &[]), 0);
}

#[test]
fn host_only() {
    assert_eq!(gets_through(Network::HOST_ONLY, &[]), 0);
}

#[test]
fn nat() {
    assert_eq!(gets_through(Network::NAT, &[]), 0);
}

#[test]
fn routed_without_its_rules_is_found_out() {
    assert!(gets_through(Network::ROUTED, &["nft flush ruleset"]) > 0, "the attacks come out of the guest");
}
