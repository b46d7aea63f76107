//! `kvmnet` beside a hook that is at work: what is half done is neither found nor acted upon.

use std::thread;

use super::{eventually, holder, waiters};
use crate::lab::bench::{DOWN, UP};
use crate::lab::{Bench, Call, Cli, Network, Said};

/// Runs `kvmnet` while a hook stands still after `call`, which goes on when kvmnet waits for it or has ended.
#[track_caller]
fn beside(bench: &Bench, hook: &str, call: &Call, arguments: &[&str]) -> Said {
    thread::scope(|scope| {
        let mut kvmnet = None;
        let ran = bench.hook_standing(hook, call, || {
            let started = scope.spawn(|| Cli::new(&bench.lab.host, arguments).run());
            eventually("kvmnet waits or has ended", || waiters(&bench.lab) == 1 || started.is_finished());
            kvmnet = Some(started);
        });
        ran.expect("the hook stood still").ok();
        kvmnet.expect("it was started").join().unwrap()
    })
}

/// What speaks to the kernel about interfaces and tables, of all calls of a hook.
fn changes(calls: &[Call]) -> impl Iterator<Item = &Call> {
    calls.iter().filter(|call| call.changes && call.name == "sendto")
}

#[test]
fn a_check_beside_a_hook_finds_nothing_wrong() {
    let keys = "veth = \"veth1\"\ndhcp = false\n";
    let bench = Bench::new(Network { keys, ..Network::NAT_VETH });
    let check = |hook: &str, call: &Call| {
        let said = beside(&bench, hook, call, &["check"]);
        assert!(said.clone().ok().starts_with("All right."), "{hook}, {call}: {said:?}");
    };
    for call in changes(&bench.up_calls) {
        check(UP, call);
        bench.hook(DOWN).ok();
    }
    for call in changes(&bench.down_calls) {
        bench.hook(UP).ok();
        check(DOWN, call);
    }
}

/// A lock that is not to be had in time: it looks all the same, and says so.
#[test]
fn a_check_that_has_waited_looks_all_the_same() {
    let bench = Bench::new(Network::NAT);
    let process = bench.lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
    eventually("the lock is held", || holder(&bench.lab) == Some(process.pid()));
    let said =
        Cli::new(&bench.lab.host, &["check"]).run().ok().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("process {} holds /run/kvmnet.lock", process.pid())), "{said}");
    assert!(said.contains("No problem, 1 note."), "{said}");
}

/// Nobody was shown a difference that is another one by now.
#[test]
fn apply_without_a_question_looks_once() {
    let bench = Bench::new(Network::NAT);
    for call in changes(&bench.up_calls) {
        let said = beside(&bench, UP, call, &["apply", "--yes"]);
        assert_eq!(said.clone().ok(), "# every network is as configured\n", "{call}: {said:?}");
        bench.assert_on("nothing was taken away from the guest");
        bench.hook(DOWN).ok();
    }
}
