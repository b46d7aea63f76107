//! `kvmnet` beside a hook that is at work: what is half done is neither found nor acted upon.

use std::thread;

use super::{eventually, waiters};
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
