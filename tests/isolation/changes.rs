//! The attacks go on while hooks run, while the mode changes, and when a hook is killed at any call: at no moment is more open than
//! at both its ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::attack::{Attack, Attacks, Names, token_in};
use crate::ground::{Ground, config};
use crate::judge::{Judge, tell};
use crate::lab::bench::{DOWN, UP, is_long};
use crate::lab::{Cli, Fault, Network, Traced, eventually, sample};

/// A few of each kind, so that a round is short.
fn attacks(ground: &Ground) -> Vec<Attack> {
    let mut names = Names::of(ground);
    let keep = |at: &mut usize| {
        *at += 1;
        *at % 3 == 0
    };
    let mut at = 0;
    names.doors.retain(|(name, _)| matches!(*name, "gate" | "all" | "tap"));
    names.macs.retain(|_| keep(&mut at));
    let [sources, targets] = &names.few;
    (names.sources, names.targets) = (sources.clone(), targets.clone());
    let mut attacks = Attacks::default();
    attacks.forged_packets(&names);
    attacks.frames(&names);
    attacks.all
}

/// Does something while the attacks are made without end; all have been made at least once before and after.
fn while_attacking(ground: &Ground, attacks: &[Attack], work: impl FnOnce()) -> usize {
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let round = || {
        let now = rounds.load(Ordering::Relaxed);
        eventually("all attacks have been made", || rounds.load(Ordering::Relaxed) > now + 1);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                attacks.iter().for_each(|attack| ground.one.inject(&attack.frame));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        round();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        if done.is_ok() {
            round();
        }
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    rounds.load(Ordering::Relaxed)
}

/// Makes the attacks meanwhile; what gets through must be let through by one of these modes.
#[track_caller]
fn is_never_more_open(ground: &Ground, modes: &[&'static str], what: &str, work: impl FnOnce()) {
    let attacks = attacks(ground);
    let mut judge = Judge::of(ground).between(modes);
    let rounds = while_attacking(ground, &attacks, work);
    let leaks = judge.verdict();
    assert_eq!(tell(&format!("{what}, {rounds} rounds"), &attacks, &leaks), 0, "{what}");
}

#[track_caller]
fn while_hooks_run(network: Network) {
    let ground = Ground::new(network, true);
    let (lab, one) = (&ground.lab, &ground.one);
    let times = if is_long() { 20 } else { 2 };
    is_never_more_open(&ground, &[network.mode], &format!("{} while hooks run", network.mode), || {
        for _ in 0..times {
            lab.ifdown(one).ok();
            lab.ifup(one).ok();
            lab.ifup(one).ok();
            Cli::new(&lab.host, &["detach", one.tap()]).run().ok();
            Cli::new(&lab.host, &["attach", one.tap()]).run().ok();
            Cli::new(&lab.host, &["down", "--force", "default"]).run().ok();
            lab.ifup(one).ok();
            lab.ifup(&ground.two).ok();
        }
    });
}

#[test]
fn isolated_while_hooks_run() {
    while_hooks_run(Network::ISOLATED);
}

#[test]
fn host_only_while_hooks_run() {
    while_hooks_run(Network::HOST_ONLY);
}

#[test]
fn nat_while_hooks_run() {
    while_hooks_run(Network::NAT);
}

/// From each mode to each other one, by the hook and by `apply`.
#[test]
fn while_the_mode_changes() {
    let networks = [Network::ISOLATED, Network::HOST_ONLY, Network::NAT, Network::ROUTED, Network::BRIDGED];
    for (at, from) in networks.into_iter().enumerate() {
        for to in networks.into_iter().skip(at + 1) {
            let ground = Ground::new(from, true);
            let what = format!("from {} to {} and back", from.mode, to.mode);
            is_never_more_open(&ground, &[from.mode, to.mode], &what, || {
                for network in [to, from, to, from] {
                    ground.lab.write_config(&config(&network));
                    ground.lab.ifup(&ground.one).ok();
                    Cli::new(&ground.lab.host, &["apply", "--yes"]).run();
                }
            });
        }
    }
}

/// A hook is killed at its calls, and the attacks go on before the next one runs.
#[track_caller]
fn when_hooks_are_killed(network: Network) {
    let ground = Ground::new(network, true);
    let (host, one) = (&ground.lab.host, &ground.one);
    ground.lab.ifdown(&ground.two).ok();
    let tap = (one.tap(), one.tap_fd());
    let [down, up] = [DOWN, UP].map(|program| Traced::run(host, program, tap, None).calls());
    let what = format!("{} when hooks are killed", network.mode);
    is_never_more_open(&ground, &[network.mode], &what, || {
        for (program, calls) in [(DOWN, &down), (UP, &up)] {
            for call in sample(calls, 3) {
                Traced::run(host, program, tap, Some((&call, Fault::Signal("KILL"))));
                ground.lab.ifup(one).ok();
                if program == UP {
                    ground.lab.ifdown(one).ok();
                }
            }
            ground.lab.ifdown(one).ok();
        }
        ground.lab.ifup(one).ok();
        ground.lab.ifup(&ground.two).ok();
    });
}

#[test]
fn host_only_when_hooks_are_killed() {
    when_hooks_are_killed(Network::HOST_ONLY);
}

#[test]
fn nat_when_hooks_are_killed() {
    when_hooks_are_killed(Network::NAT);
}

#[test]
fn isolated_when_hooks_are_killed() {
    when_hooks_are_killed(Network::ISOLATED);
}

/// Guests that are kept apart stay so while hooks of both run, are killed, and the file changes around them.
#[test]
fn apart_while_hooks_run() {
    const APART: Network = Network { keys: "port_isolation = true\n", ..Network::NAT };
    const SHUT: Network = Network { keys: "port_isolation = true\nhost = \"none\"\n", ..Network::NAT };
    let ground = Ground::new(APART, true);
    let (lab, one, two) = (&ground.lab, &ground.one, &ground.two);
    let mut names = Names::of(&ground);
    names.doors.retain(|(name, _)| matches!(*name, "gate" | "all" | "all nodes"));
    names.doors.push(("peer", two.mac("eth0")));
    let [v4, v6] = [lab.network.guest(2).v4, lab.network.guest(2).v6].map(|text| text.parse().unwrap());
    names.targets = vec![v4, v6, "255.255.255.255".parse().unwrap(), "ff02::1".parse().unwrap()];
    names.sources = names.few[0].clone();
    let mut attacks = Attacks::default();
    attacks.forged_packets(&names);
    attacks.frames(&names);
    let attacks = attacks.all;
    let at = two.count();
    let tap = (two.tap(), two.tap_fd());
    let [down, up] = [DOWN, UP].map(|program| Traced::run(&lab.host, program, tap, None).calls());
    let rounds = while_attacking(&ground, &attacks, || {
        for network in [SHUT, APART] {
            lab.write_config(&config(&network));
            Cli::new(&lab.host, &["apply", "--yes"]).run();
            lab.ifdown(two).ok();
            lab.ifup(two).ok();
            lab.ifup(one).ok();
            Cli::new(&lab.host, &["detach", two.tap()]).run().ok();
            Cli::new(&lab.host, &["attach", two.tap()]).run().ok();
        }
        for (program, calls) in [(DOWN, &down), (UP, &up)] {
            for call in sample(calls, 3) {
                Traced::run(&lab.host, program, tap, Some((&call, Fault::Signal("KILL"))));
                lab.ifup(two).ok();
                if program == UP {
                    lab.ifdown(two).ok();
                }
            }
        }
        lab.ifup(two).ok();
    });
    let came: Vec<_> = two.heard_since(at).into_iter().filter(|frame| token_in(frame).is_some()).collect();
    println!("kept apart, {rounds} rounds: {} attacks, {} got through", attacks.len(), came.len());
    assert_eq!(came.len(), 0, "{:02x?}", came.first());
}

/// What is closed in a nat network stays so while its keys come and go.
#[test]
fn nat_while_its_keys_change() {
    let ground = Ground::new(Network::NAT, true);
    let lab = &ground.lab;
    is_never_more_open(&ground, &["nat"], "nat while its keys change", || {
        for keys in [
            "port_isolation = true\n",
            "host = \"services\"\n",
            "host = \"none\"\nport_isolation = true\n",
            "",
        ] {
            lab.write_config(&config(&Network { keys, ..Network::NAT }));
            Cli::new(&lab.host, &["apply", "--yes"]).run();
            lab.ifup(&ground.one).ok();
            lab.ifdown(&ground.two).ok();
            lab.ifup(&ground.two).ok();
        }
    });
}
