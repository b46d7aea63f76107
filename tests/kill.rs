//! A hook may be killed at any of its system calls: the next run, up or down, makes of what it left the very state
//! that a run makes that nobody killed, and the host is on its LAN all the while.
//!
//! A bounded sample of the calls by default; all of them with `KVMNET_TEST_LONG`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::bench::{DOWN, UP, is_long};
use lab::{Bench, Call, Fault, Network, Random, SPEAKING, Snapshot, Traced, within};

/// Which calls are tried where not all are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sample {
    /// Every call that speaks to the kernel, and every twelfth of the others.
    Dense,
    /// Of those that speak all that can change something, and every twelfth of the others.
    Sparse,
}

impl Sample {
    fn of(self, calls: &[Call]) -> Vec<Call> {
        let is_picked = |(at, call): &(usize, &Call)| {
            let name = call.name.as_str();
            is_long()
                || at % 12 == 0
                || SPEAKING.contains(&name) && (self == Self::Dense || name != "recvfrom")
        };
        calls.iter().enumerate().filter(is_picked).map(|(_, call)| call.clone()).collect()
    }
}

/// What became of the runs that were to be killed.
#[derive(Default)]
struct Tally {
    points: usize,
    killed: usize,
    survivors: usize,
}

impl Tally {
    /// Fails the test unless nearly all were killed: one that never kills would prove nothing.
    #[track_caller]
    fn conclude(&self, network: Network) {
        let Self { points, killed, survivors } = self;
        println!("{}: {points} points, {killed} hooks killed, {survivors} survivors", name(network));
        assert!(*points >= 20 && *killed >= 2 * points - 4, "a hook is killed where it makes the call");
    }
}

fn name(network: Network) -> String {
    format!("{}{}", network.mode, if network.keys.is_empty() { "" } else { ", veth" })
}

/// Kills a hook at a call. The host is on its LAN afterwards, as is not to be taken for granted in a takeover.
#[track_caller]
fn kill(bench: &Bench, program: &str, call: &Call, tally: &mut Tally) {
    let traced = bench.hook_with(program, call, Fault::Signal("KILL"));
    if traced.was_ended_by("SIGKILL") {
        tally.killed += 1;
    } else {
        traced.ran.ok();
        tally.survivors += 1;
    }
    if bench.lab.network.mode == "bridged" || is_long() {
        host_is_on_its_lan(bench, &format!("{program} killed at {call}"));
    }
}

/// The host has its addresses, and answers, also to a machine that has not spoken with it yet.
#[track_caller]
fn host_is_on_its_lan(bench: &Bench, what: &str) {
    // No other interface of the host than eth3 and br0 ever has these.
    let addresses = bench.lab.host.ip("addr show");
    for address in ["inet 192.168.1.230/24", "inet6 fd00:1::230/64"] {
        assert!(addresses.contains(address), "{what}: the host has lost {address}:\n{addresses}");
    }
    let answers = || {
        bench.lab.outside.ip("neigh flush to 192.168.1.230 dev eth0");
        bench.lab.outside.pings("192.168.1.230")
    };
    // A bridge becomes operational by itself, and is in no hurry when nobody waits for it.
    assert!(within(Duration::from_secs(5), answers), "{what}: 192.168.1.230 does not answer");
}

/// Both hooks are killed at each call, and each time both hooks put it right.
#[track_caller]
fn survives_kills(network: Network, sample: Sample) {
    let bench = Bench::new(network);
    let mut tally = Tally::default();
    for call in sample.of(&bench.up_calls) {
        tally.points += 1;
        kill(&bench, UP, &call, &mut tally);
        bench.hook(DOWN).ok();
        bench.assert_off(&format!("{UP} killed at {call}, then {DOWN}"));
        kill(&bench, UP, &call, &mut tally);
        bench.hook(UP).ok();
        bench.assert_on(&format!("{UP} killed at {call}, then {UP}"));
        bench.hook(DOWN).ok();
        bench.assert_off(&format!("{UP} killed at {call}, then {UP} and {DOWN}"));
    }
    bench.hook(UP).ok();
    for call in sample.of(&bench.down_calls) {
        tally.points += 1;
        kill(&bench, DOWN, &call, &mut tally);
        bench.hook(UP).ok();
        bench.assert_on(&format!("{DOWN} killed at {call}, then {UP}"));
        kill(&bench, DOWN, &call, &mut tally);
        bench.hook(DOWN).ok();
        bench.assert_off(&format!("{DOWN} killed at {call}, then {DOWN}"));
        bench.hook(UP).ok();
        bench.assert_on(&format!("{DOWN} killed at {call}, then {DOWN} and {UP}"));
    }
    tally.conclude(network);
}

/// Several runs in a row are killed, each finding what the one before it left, until one is not.
#[track_caller]
fn survives_kills_in_a_row(network: Network) {
    let bench = Bench::new(network);
    let mut random = Random::new(0x6b76_6d6e_6574);
    let mut tally = Tally::default();
    for round in 0..if is_long() { 200 } else { 10 } {
        let mut story = format!("round {round}: ");
        for _ in 0..=random.below(5) {
            let (program, calls) = *random.pick(&[(UP, &bench.up_calls), (DOWN, &bench.down_calls)]);
            let changing: Vec<Call> =
                calls.iter().filter(|c| SPEAKING.contains(&c.name.as_str())).cloned().collect();
            let call = random.pick(&changing);
            story += &format!("{program} killed at {call}, ");
            kill(&bench, program, call, &mut tally);
        }
        if random.below(2) == 0 {
            bench.hook(UP).ok();
            bench.assert_on(&format!("{story}then {UP}"));
        } else {
            bench.hook(DOWN).ok();
            bench.assert_off(&format!("{story}then {DOWN}"));
        }
    }
    println!("{}: {} killed in a row, {} survivors", name(network), tally.killed, tally.survivors);
    assert!(tally.killed >= 10, "hooks are killed");
}

/// What a person at a terminal, and the end of a session, can send. While the kernel is changed they wait: the
/// change is complete, or none was begun.
#[track_caller]
fn holds_signals_off(network: Network) {
    let bench = Bench::new(network);
    let mut counts = [0, 0];
    for (number, signal) in ["INT", "TERM", "HUP"].into_iter().enumerate() {
        for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
            for (at, call) in calls.iter().enumerate() {
                // The last call does not return, and is too late for anything.
                let is_turn = call.number % 3 == number && (call.name == "sendto" || at % 8 == 0);
                if !(is_long() || is_turn) || call.name == "exit_group" {
                    continue;
                }
                counts[usize::from(is_complete(&bench, program, call, signal))] += 1;
                bench.hook(DOWN).ok();
                bench.assert_off("signals");
                if program == DOWN {
                    bench.hook(UP).ok();
                    bench.assert_on("signals");
                }
            }
            bench.hook(UP).ok();
            bench.assert_on("signals");
        }
        bench.hook(DOWN).ok();
        bench.assert_off("signals");
    }
    println!("{}: signals: {} complete, {} untouched", name(network), counts[1], counts[0]);
    assert!(counts[1] >= 10 && counts[0] > 0, "signals come before, while and after");
}

/// Whether the hook that gets a signal at this call did all its work. Else it did nothing, which it may only where
/// it has not begun.
#[track_caller]
fn is_complete(bench: &Bench, program: &str, call: &Call, signal: &'static str) -> bool {
    let what = format!("{program} with SIG{signal} at {call}");
    let traced: Traced = bench.hook_with(program, call, Fault::Signal(signal));
    assert!(traced.was_met(), "{what}: the signal comes");
    assert!(traced.was_ended_by(&format!("SIG{signal}")), "{what}: it is honoured: {:?}", traced.ran);
    let (before, after) = if program == UP { (&bench.off, &bench.on) } else { (&bench.on, &bench.off) };
    let complete = Snapshot::of(&bench.lab.host) != *before;
    assert!(complete || call.name != "sendto" && call.name != "write", "{what}: what was begun is finished");
    bench.assert_is(&what, if complete { after } else { before });
    complete
}

/// One test for each form of each mode, of each kind.
macro_rules! each_network {
    ($($name:ident: $network:expr, $sample:expr;)*) => {
        mod a_killed_hook_is_made_good_by_the_next {
            use super::*;

            $(#[test]
            fn $name() {
                survives_kills($network, $sample);
            })*
        }

        mod many_killed_hooks_are_made_good_by_the_next {
            use super::*;

            $(#[test]
            fn $name() {
                survives_kills_in_a_row($network);
            })*
        }
    };
}

each_network! {
    isolated: Network::ISOLATED, Sample::Sparse;
    host_only: Network::HOST_ONLY, Sample::Sparse;
    host_only_veth: Network::HOST_ONLY_VETH, Sample::Sparse;
    routed: Network::ROUTED, Sample::Sparse;
    nat: Network::NAT, Sample::Dense;
    bridged: Network::BRIDGED, Sample::Dense;
}

#[test]
fn ctrl_c_never_leaves_half_a_network() {
    holds_signals_off(Network::NAT);
}

#[test]
fn ctrl_c_never_leaves_half_a_takeover() {
    holds_signals_off(Network::BRIDGED);
}
