//! A guest that controls every byte it sends, against every "no" of the README's table, in both families: a capture at each
//! place where it must not come is the judge, and knows an attack by the token in it. Each mode's test prints how many attacks were
//! made, and how many got through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "isolation/attack.rs"]
mod attack;
#[path = "isolation/bounds.rs"]
mod bounds;
#[path = "isolation/changes.rs"]
mod changes;
#[path = "isolation/every_port.rs"]
mod every_port;
#[path = "isolation/filtered.rs"]
mod filtered;
#[path = "isolation/ground.rs"]
mod ground;
#[path = "isolation/in_guest.rs"]
mod in_guest;
#[path = "isolation/inward.rs"]
mod inward;
#[path = "isolation/judge.rs"]
mod judge;
mod lab;
#[path = "isolation/one_lock.rs"]
mod one_lock;
#[path = "isolation/packet.rs"]
mod packet;
#[path = "isolation/real_guest.rs"]
mod real_guest;

use attack::{Attacks, Names};
use ground::Ground;
use judge::{Judge, tell};
use lab::{Network, each_mode};

#[track_caller]
fn nothing_gets_through(network: Network) {
    for careless in [false, true] {
        let ground = Ground::new(network, careless);
        let attacks = Attacks::of(&Names::of(&ground));
        let mut judge = Judge::of(&ground);
        ground.send(attacks.all.iter().map(|attack| attack.frame.as_slice()));
        let what = format!("{} {}", network.mode, if careless { "on a careless router" } else { "" });
        let leaks = judge.verdict();
        assert_eq!(tell(&what, &attacks.all, &leaks), 0, "{what}");
    }
}

each_mode!(nothing_gets_through);
