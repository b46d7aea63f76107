//! Any system call of a hook may fail, and anything may change between what a hook has read and what it writes: it
//! then either has done all its work all the same, or fails with one line and leaves the host as it was.
//!
//! By default an error at each call that changes something, and at a sample of the others; all errors at all of them
//! with `KVMNET_TEST_LONG`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, UP, is_long, settled};
use lab::{Bench, Call, Fault, Lab, Network, SPEAKING, Snapshot, eventually, sample};

const ERRORS: [&str; 5] = ["ENOBUFS", "ENOMEM", "EPERM", "EBUSY", "EINTR"];

/// Calls that cannot fail, or in which a process begins, ends and gets its memory: there it can but end, and what is
/// then is in kill.rs.
const CANNOT_FAIL: [&str; 22] = [
    "arch_prctl",
    "brk",
    "capget",
    "close",
    "execve",
    "exit_group",
    "geteuid",
    "getpid",
    "getppid",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prlimit64",
    "readlink",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "set_robust_list",
    "set_tid_address",
];

/// The calls by which the configuration is read, too: it is wrong (2) where it cannot be read.
const READING: [&str; 5] = ["openat", "newfstatat", "statx", "read", "lseek"];

/// What became of the runs with an error in them.
#[derive(Default)]
struct Tally {
    points: usize,
    failed: usize,
    survivors: usize,
    /// Of the survivors those that did not make a call that speaks to the kernel: of answers there may be fewer.
    missed: usize,
}

impl Tally {
    fn count(&mut self, succeeded: bool) {
        self.points += 1;
        *if succeeded { &mut self.survivors } else { &mut self.failed } += 1;
    }

    /// Prints the counts; fails the test where too little was tried.
    #[track_caller]
    fn conclude(&self, what: &str) {
        let Self { points, failed, survivors, missed } = self;
        println!("{what}: {points} points, {failed} hooks failed, {survivors} survivors");
        // A hook that waits asks more or less often.
        assert!(*points >= 4 && missed * 4 <= *points, "{what}: hooks are met at work");
    }
}

fn name(network: Network) -> String {
    format!("{}{}", network.mode, if network.keys.is_empty() { "" } else { ", veth" })
}

/// The state before a hook, and the one it makes.
fn states<'a>(bench: &'a Bench, program: &str) -> [&'a Snapshot; 2] {
    if program == UP { [&bench.off, &bench.on] } else { [&bench.on, &bench.off] }
}

/// From the state with no guest on to the one before the hook.
#[track_caller]
fn prepare(bench: &Bench, program: &str) {
    if program == DOWN {
        bench.hook(UP).ok();
        bench.assert_on("the guest is on");
    }
}

/// To the state with no guest on.
#[track_caller]
fn clear(bench: &Bench) {
    bench.hook(DOWN).ok();
    bench.assert_off("the guest is off");
}

/// A call fails. A clean run succeeds afterwards.
#[track_caller]
fn fail_at(bench: &Bench, program: &str, call: &Call, error: &'static str, tally: &mut Tally) {
    let what = format!("{program} with {error} at {call}");
    prepare(bench, program);
    let [before, after] = states(bench, program);
    let traced = bench.hook_with(program, call, Fault::Error(error));
    tally.missed += usize::from(SPEAKING.contains(&call.name.as_str()) && !traced.was_met());
    let succeeded = traced.ran.status == 0;
    if succeeded {
        assert_eq!(traced.ran.stderr, "", "{what}: success is silent");
        bench.assert_is(&what, after);
    } else {
        let wrong_configuration =
            traced.ran.status == 2 && program == UP && READING.contains(&call.name.as_str());
        traced.ran.says(if wrong_configuration { 2 } else { 1 });
        bench.assert_is(&format!("{what}: {}", traced.ran.stderr), before);
    }
    tally.count(succeeded);
    bench.hook(program).ok();
    bench.assert_is(&format!("{what}, and again without"), after);
    clear(bench);
}

/// A call fails: in a sample with one error, the next one at the next call.
#[track_caller]
fn survives_errors(network: Network) {
    let bench = Bench::new(network);
    let mut tally = Tally::default();
    for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
        let calls = calls.iter().filter(|call| !CANNOT_FAIL.contains(&call.name.as_str()));
        for (at, call) in sample(calls, 6).iter().enumerate() {
            let errors = if is_long() { &ERRORS[..] } else { &ERRORS[at % ERRORS.len()..][..1] };
            errors.iter().for_each(|error| fail_at(&bench, program, call, error, &mut tally));
        }
    }
    tally.conclude(&name(network));
    assert!(tally.failed >= 4, "an error that matters makes a hook fail");
}

/// One test for each form of each mode.
macro_rules! a_failed_call_is_all_or_nothing {
    ($($name:ident: $network:expr;)*) => {
        mod a_failed_call_is_all_or_nothing {
            use super::*;

            $(#[test]
            fn $name() {
                survives_errors($network);
            })*
        }
    };
}

a_failed_call_is_all_or_nothing! {
    isolated: Network::ISOLATED;
    host_only: Network::HOST_ONLY;
    host_only_veth: Network::HOST_ONLY_VETH;
    routed: Network::ROUTED;
    nat: Network::NAT;
    bridged: Network::BRIDGED;
}

/// What somebody does to the host while a hook is at work.
struct Meanwhile {
    network: Network,
    /// Command lines; one that is impossible at the moment does nothing.
    deed: &'static [&'static str],
    /// Undo them, whatever came of them.
    undo: &'static [&'static str],
    /// What it does to kvmnet's own hides it from kvmnet: only after `undo` the host is as it should be.
    hides: bool,
}

/// A NIC that can go and come back, as the same: marks name its number, and a host is compared with what it was.
const NIC: [&str; 7] = [
    "ip link add eth5 index 55 address 02:00:00:00:05:05 type veth peer name eth6 address 02:00:00:00:05:06",
    "ip link set eth5 addrgenmode none",
    "ip link set eth6 addrgenmode none",
    "ip link set eth6 up",
    "ip addr add 192.168.5.230/24 dev eth5",
    "ip link set eth5 up",
    "ip route add 172.28.0.0/16 via 192.168.5.1 dev eth5",
];

impl Meanwhile {
    fn uplink_vanishes(network: Network) -> Self {
        let network = Network { uplink: "uplink  = \"eth5\"\n", ..network };
        Self { network, deed: &["ip link del eth5"], undo: &NIC, hides: false }
    }

    fn bridge_is_deleted(network: Network) -> Self {
        Self { network, deed: &["ip link del br0"], undo: &[], hides: false }
    }

    fn bridge_is_renamed(network: Network) -> Self {
        let (deed, undo) = (&["ip link set br0 name brx"], &["ip link set brx name br0"]);
        Self { network, deed, undo, hides: true }
    }

    fn address_appears_on_bridge(network: Network) -> Self {
        let deed =
            &["ip addr add 10.0.100.3/24 brd + dev br0", "ip -6 addr add fd00:100::3/64 dev br0 nodad"];
        Self { network, deed, undo: &[], hides: false }
    }

    fn address_appears_on_nic(network: Network) -> Self {
        let deed = &["ip addr add 192.168.1.77/32 dev eth3"];
        let undo = &["ip addr del 192.168.1.77/32 dev eth3", "ip addr del 192.168.1.77/32 dev br0"];
        Self { network, deed, undo, hides: false }
    }

    fn rules_are_flushed(network: Network) -> Self {
        Self { network, deed: &["nft flush ruleset"], undo: &[], hides: false }
    }

    fn happens(&self, bench: &Bench) {
        self.deed.iter().for_each(|command| drop(bench.lab.host.try_run(command)));
    }

    fn is_undone(&self, bench: &Bench) {
        self.undo.iter().for_each(|command| drop(bench.lab.host.try_run(command)));
    }

    /// It happens during each of a hook's sends in turn.
    #[track_caller]
    fn is_survived(&self) {
        let lab = Lab::new(self.network);
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        NIC.iter().for_each(|command| drop(lab.host.run(command)));
        eventually("the NIC carries", || lab.host.ip("link show").matches("state UP").count() == 4);
        let bench = Bench::of(lab);
        let mut tally = Tally::default();
        for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
            let outcomes = self.outcomes(&bench, program);
            for call in sample(calls.iter().filter(|call| call.name == "sendto"), 1) {
                self.is_survived_at(&bench, program, &call, &outcomes, &mut tally);
            }
        }
        tally.conclude(&format!("{}: `{}` meanwhile", name(self.network), self.deed[0]));
    }

    /// The states that a hook which fails may leave, and those that one which succeeds may: the deed came before it,
    /// after it, or to nothing.
    #[track_caller]
    fn outcomes(&self, bench: &Bench, program: &str) -> [Vec<Snapshot>; 2] {
        let [before, after] = states(bench, program);
        let mut outcomes = [vec![before.clone()], vec![after.clone()]];
        prepare(bench, program);
        self.happens(bench);
        outcomes[0].push(settled(&bench.lab));
        if bench.hook(program).status == 0 {
            outcomes[1].push(settled(&bench.lab));
        }
        self.is_undone(bench);
        clear(bench);
        prepare(bench, program);
        bench.hook(program).ok();
        bench.assert_is("undisturbed", after);
        self.happens(bench);
        outcomes[1].push(settled(&bench.lab));
        self.is_undone(bench);
        clear(bench);
        outcomes
    }

    #[track_caller]
    fn is_survived_at(
        &self,
        bench: &Bench,
        program: &str,
        call: &Call,
        outcomes: &[Vec<Snapshot>; 2],
        tally: &mut Tally,
    ) {
        let what = format!("{program}, and during {call} `{}`", self.deed[0]);
        prepare(bench, program);
        let ran = bench.hook_standing(program, call, || self.happens(bench));
        let Some(ran) = ran else {
            // It was over before. Of questions that are put again there may be fewer.
            tally.count(true);
            tally.missed += 1;
            bench.assert_is(&what, states(bench, program)[1]);
            return clear(bench);
        };
        let succeeded = ran.status == 0;
        if succeeded {
            assert_eq!(ran.stderr, "", "{what}: success is silent");
        } else {
            ran.says(1);
        }
        if !self.hides {
            let wanted: Vec<&Snapshot> = outcomes[usize::from(succeeded)].iter().collect();
            bench.lab.assert_is_one_of(&format!("{what}, exit {}: {}", ran.status, ran.stderr), &wanted);
        }
        tally.count(succeeded);
        self.is_undone(bench);
        bench.hook(UP).ok();
        bench.assert_on(&format!("{what}, and that undone, then {UP}"));
        clear(bench);
    }
}

/// One test for each thing that may happen, with the forms of modes that it can hit: in a sample the first of them.
macro_rules! what_happens_meanwhile_is_survived {
    ($($name:ident: $($network:ident),*;)*) => {
        mod what_happens_meanwhile_is_survived {
            use super::*;

            $(#[test]
            fn $name() {
                let networks = [$(Network::$network),*];
                for network in &networks[..if is_long() { networks.len() } else { 1 }] {
                    Meanwhile::$name(*network).is_survived();
                }
            })*
        }
    };
}

what_happens_meanwhile_is_survived! {
    uplink_vanishes: BRIDGED, NAT, ROUTED;
    bridge_is_deleted: NAT, ISOLATED, HOST_ONLY_VETH;
    bridge_is_renamed: ISOLATED, NAT;
    address_appears_on_bridge: HOST_ONLY, NAT;
    address_appears_on_nic: BRIDGED, NAT;
    rules_are_flushed: ROUTED, ISOLATED;
}
