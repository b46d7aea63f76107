//! A hook may be killed at any of its system calls: the next run, up or down, makes of what it left the very state
//! that a run makes that nobody killed, and the host is on its LAN all the while.
//!
//! By default those calls that change something, and a sample of the others; all of them with `KVMNET_TEST_LONG`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::process::Command;
use std::time::Duration;

use lab::bench::{DOWN, NAME, UP, is_long};
use lab::{Bench, Call, Fault, Lab, Network, Random, SPEAKING, Snapshot, Traced, each_mode, sample, within};

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
        assert!(*points >= 10 && *killed >= *points, "hooks are killed at many calls");
        assert!(survivors * 10 <= *killed, "a hook is killed where it makes the call");
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

/// The host has its addresses, and answers, also to a machine that has not spoken with it yet; and it finds a machine
/// that it has spoken with.
#[track_caller]
fn host_is_on_its_lan(bench: &Bench, what: &str) {
    // No other interface of the host than eth3 and br0 ever has these.
    let addresses = bench.lab.host.ip("addr show");
    for address in ["inet 192.168.1.230/24", "inet6 fd00:1::230/64"] {
        assert!(addresses.contains(address), "{what}: the host has lost {address}:\n{addresses}");
    }
    for (from, to) in [
        (&bench.lab.outside, "192.168.1.230"),
        (&bench.lab.outside, "fd00:1::230"),
        (&bench.lab.host, "192.168.1.25"),
        (&bench.lab.host, "fd00:1::25"),
    ] {
        let answers = || {
            bench.lab.outside.ip("neigh flush dev eth0");
            from.pings(to)
        };
        // A bridge becomes operational by itself, and is in no hurry when nobody waits for it.
        assert!(within(Duration::from_secs(10), answers), "{what}: {to} does not answer");
    }
}

/// Both hooks are killed at each call, and each time both hooks put it right; in a sample, at a call that changes
/// nothing, one of them in turn.
#[track_caller]
fn a_killed_hook_is_made_good_by_the_next(network: Network) {
    is_made_good(Bench::new(network));
}

#[track_caller]
fn is_made_good(bench: Bench) {
    const OTHERS: usize = 6;
    let network = bench.lab.network;
    host_is_on_its_lan(&bench, "undisturbed");
    let mut tally = Tally::default();
    let is_tried = |call: &Call, turn: bool| is_long() || call.changes || (call.number % 2 == 0) == turn;
    for call in sample(&bench.up_calls, OTHERS) {
        tally.points += 1;
        if is_tried(&call, true) {
            kill(&bench, UP, &call, &mut tally);
            bench.hook(DOWN).ok();
            bench.assert_off(&format!("{UP} killed at {call}, then {DOWN}"));
        }
        if is_tried(&call, false) {
            kill(&bench, UP, &call, &mut tally);
            bench.hook(UP).ok();
            bench.assert_on(&format!("{UP} killed at {call}, then {UP}"));
            bench.hook(DOWN).ok();
            bench.assert_off(&format!("{UP} killed at {call}, then {UP} and {DOWN}"));
        }
    }
    bench.hook(UP).ok();
    for call in sample(&bench.down_calls, OTHERS) {
        tally.points += 1;
        if is_tried(&call, true) {
            kill(&bench, DOWN, &call, &mut tally);
            bench.hook(UP).ok();
            bench.assert_on(&format!("{DOWN} killed at {call}, then {UP}"));
        }
        if is_tried(&call, false) {
            kill(&bench, DOWN, &call, &mut tally);
            bench.hook(DOWN).ok();
            bench.assert_off(&format!("{DOWN} killed at {call}, then {DOWN}"));
            bench.hook(UP).ok();
            bench.assert_on(&format!("{DOWN} killed at {call}, then {DOWN} and {UP}"));
        }
    }
    tally.conclude(network);
}

/// Several runs in a row are killed, each finding what the one before it left, until one is not.
#[track_caller]
fn many_killed_hooks_are_made_good_by_the_next(network: Network) {
    let bench = Bench::new(network);
    host_is_on_its_lan(&bench, "undisturbed");
    let mut random = Random::new(0x6b76_6d6e_6574);
    let mut tally = Tally::default();
    for round in 0..if is_long() { 200 } else { 6 } {
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

/// A hook that follows an edit is killed at each call that changes something, and then one place of the record is lost,
/// the bridge's alias or all tables: the other has what there is to undo.
#[track_caller]
fn survives_kills_and_losses(network: Network, edited: Network) {
    let bench = Bench::new(network);
    let host = &bench.lab.host;
    let begin = || {
        bench.lab.write_config(&network.config());
        bench.hook(UP).ok();
        bench.lab.write_config(&edited.config());
    };
    begin();
    let calls = Traced::run(host, UP, (NAME, &bench.tap), None).calls();
    bench.hook(DOWN).ok();
    bench.assert_off("the guest of an edited network came and went");
    let mut tally = Tally::default();
    for call in calls.iter().filter(|call| call.changes) {
        tally.points += 1;
        for loss in ["ip link set br0 alias \"\"", "nft flush ruleset"] {
            begin();
            kill(&bench, UP, call, &mut tally);
            let mut shell = Command::new("sh");
            assert!(host.enter(|| shell.args(["-c", loss]).status().unwrap()).success());
            bench.hook(DOWN).ok();
            bench.assert_off(&format!("{UP} killed at {call}, and {loss}"));
        }
    }
    println!("{}: {} kills and losses, {} survivors", name(network), tally.killed, tally.survivors);
    assert!(tally.points >= 3 && tally.killed >= 6, "hooks are killed at calls that change something");
}

/// What a person at a terminal, and the end of a session, can send. While the kernel is changed they wait: the
/// change is complete, or none was begun.
#[track_caller]
fn holds_signals_off(network: Network) {
    let bench = Bench::new(network);
    let mut counts = [0, 0];
    for (number, signal) in ["INT", "TERM", "HUP", "QUIT"].into_iter().enumerate() {
        for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
            // The last call does not return, and is too late for anything.
            let calls = sample(calls.iter().filter(|call| call.name != "exit_group"), 6);
            for (_, call) in calls.iter().enumerate().filter(|(at, _)| is_long() || at % 4 == number) {
                if let Some(complete) = is_complete(&bench, program, call, signal) {
                    counts[usize::from(complete)] += 1;
                }
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
    assert!(counts[1] >= 5 && counts[0] > 0, "signals come before, while and after");
}

/// Whether the hook that gets a signal at this call did all its work. Else it did nothing, which it may only where
/// it has not begun. None: it did not make the call this time, as of answers there may be fewer.
#[track_caller]
fn is_complete(bench: &Bench, program: &str, call: &Call, signal: &'static str) -> Option<bool> {
    let what = format!("{program} with SIG{signal} at {call}");
    let traced: Traced = bench.hook_with(program, call, Fault::Signal(signal));
    if !traced.was_met() {
        traced.ran.ok();
        return None;
    }
    assert!(traced.was_ended_by(&format!("SIG{signal}")), "{what}: it is honoured: {:?}", traced.ran);
    let (before, after) = if program == UP { (&bench.off, &bench.on) } else { (&bench.on, &bench.off) };
    let complete = Snapshot::of(&bench.lab.host) != *before;
    assert!(complete || call.name != "sendto" && call.name != "write", "{what}: what was begun is finished");
    bench.assert_is(&what, if complete { after } else { before });
    Some(complete)
}

/// What is built in: the subnets are chosen, and every interface is set.
#[test]
fn a_killed_hook_that_chooses() {
    let lab = Lab::new(Network::NAT_BY_ROUTES);
    lab.write_config("dhcp = false\n");
    is_made_good(Bench::of(lab));
}

/// A port of a bridge that is there, and has had others.
#[test]
fn a_killed_hook_that_only_makes_a_port() {
    let lab = Lab::new(Network::BRIDGED);
    lab.write_config("mode = \"bridged\"\nuplink = \"none\"\nbridge = \"br0\"\n");
    lab.host.ip("link add br0 address 02:00:00:00:00:b0 type bridge");
    lab.host.ip("link set br0 up");
    lab.host.ip("link add vnet0 type veth peer name far");
    lab.host.ip("link set far up");
    lab.host.ip("link set vnet0 master br0 up");
    lab.settle();
    lab.host.ip("link del vnet0");
    is_made_good(Bench::of(lab));
}

/// What a guest with a filter has besides: on its tap, on record, and in the rules.
const FILTERED: &str = "filter = true\nguest_mac = \"52:54:00:12:34:57\"\n";

#[test]
fn a_killed_hook_of_a_guest_with_a_filter() {
    for network in [Network::ISOLATED, Network::HOST_ONLY] {
        is_made_good(Bench::new(Network { keys: FILTERED, ..network }));
    }
}

each_mode!(a_killed_hook_is_made_good_by_the_next: isolated host_only host_only_veth routed nat bridged);
each_mode!(many_killed_hooks_are_made_good_by_the_next: isolated host_only host_only_veth routed nat bridged);

#[test]
fn a_record_is_whole_after_a_kill_and_a_loss() {
    let two = Network { uplink: "uplink = [\"eth3\", \"eth4\"]\n", ..Network::NAT };
    for (network, edited) in
        [(Network::NAT, two), (two, Network::HOST_ONLY), (Network::ISOLATED, Network::NAT)]
    {
        survives_kills_and_losses(network, edited);
    }
}

#[test]
fn ctrl_c_never_leaves_half_a_network() {
    holds_signals_off(Network::NAT);
}

#[test]
fn ctrl_c_never_leaves_half_a_takeover() {
    holds_signals_off(Network::BRIDGED);
}

/// Ctrl-Z at the terminal that QEMU was started in. A hook that stood still would keep the lock from all others.
#[test]
fn ctrl_z_never_stops_a_hook_that_has_the_lock() {
    let bench = Bench::new(Network::NAT);
    for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
        let calls = sample(calls.iter().filter(|call| call.name == "sendto"), 2);
        assert!(calls.len() >= 2, "{program} speaks to the kernel");
        for call in calls {
            for signal in ["TSTP", "TTOU"] {
                assert!(!bench.is_stopped(program, &call, signal), "{program} by SIG{signal} at {call}");
            }
            if program == UP {
                bench.assert_on("it went on");
            }
            bench.hook(DOWN).ok();
            bench.hook(if program == UP { DOWN } else { UP }).ok();
        }
        bench.hook(UP).ok();
    }
}
