//! A lab for one tap whose two states are known, before its `qemu-ifup` and after it: what a run that something
//! happened to is measured by.

use std::env;
use std::time::Duration;

use super::strace::{self, Call, Fault, Traced};
use super::{Hook, Lab, Network, Ran, Snapshot, Tap, assert_same, eventually};

pub const UP: &str = "/etc/qemu-ifup";
pub const DOWN: &str = "/etc/qemu-ifdown";
/// The tap.
pub const NAME: &str = "vif0.0";

/// A lab with one tap, and its known states.
pub struct Bench {
    pub lab: Lab,
    pub tap: Tap,
    /// No guest is on.
    pub off: Snapshot,
    /// The tap's guest is on.
    pub on: Snapshot,
    /// The calls of a first `qemu-ifup`.
    pub up_calls: Vec<Call>,
    /// The calls of a last `qemu-ifdown`.
    pub down_calls: Vec<Call>,
}

impl Bench {
    /// Lets the tap come and go once, to learn both states, and the calls of both hooks. It is off then.
    #[track_caller]
    pub fn new(network: Network) -> Self {
        Self::of(Lab::new(network))
    }

    /// The same for a lab that something was done to.
    #[track_caller]
    pub fn of(lab: Lab) -> Self {
        // Duplicate detection would only make each comparison wait for it.
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        let tap = Tap::open(&lab.host, NAME);
        let off = settled(&lab);
        let up = Traced::run(&lab.host, UP, (NAME, &tap), None);
        up.ran.clone().ok();
        lab.settle();
        let on = settled(&lab);
        let down = Traced::run(&lab.host, DOWN, (NAME, &tap), None);
        down.ran.clone().ok();
        let bench = Self { lab, tap, off, on, up_calls: up.calls(), down_calls: down.calls() };
        bench.assert_off("a guest came and went");
        bench.hook(UP).ok();
        bench.assert_on("it came again");
        bench.hook(DOWN).ok();
        bench.assert_off("it went again");
        bench
    }

    /// Runs a hook for the tap.
    pub fn hook(&self, program: &str) -> Ran {
        Hook::new(&self.lab.host, program, &[NAME]).tap(&self.tap).run()
    }

    /// Runs a hook for the tap with `fault` at `call`.
    pub fn hook_with(&self, program: &str, call: &Call, fault: Fault) -> Traced {
        Traced::run(&self.lab.host, program, (NAME, &self.tap), Some((call, fault)))
    }

    /// Runs a hook for the tap that stands still after `call`, while something else happens.
    pub fn hook_standing(&self, program: &str, call: &Call, meanwhile: impl FnOnce()) -> Option<Ran> {
        strace::standing_still(&self.lab.host, program, (NAME, &self.tap), call, meanwhile)
    }

    /// Whether a signal at `call` stops a hook for the tap; it goes on then.
    pub fn is_stopped(&self, program: &str, call: &Call, signal: &'static str) -> bool {
        strace::stopped_by(signal, &self.lab.host, program, (NAME, &self.tap), call, || ()).is_some()
    }

    /// Fails the test unless no guest is on.
    #[track_caller]
    pub fn assert_off(&self, what: &str) {
        self.assert_is(what, &self.off);
    }

    /// Fails the test unless the tap's guest is on: the host is as it should be, and the tap is a live port.
    #[track_caller]
    pub fn assert_on(&self, what: &str) {
        self.assert_is(what, &self.on);
        let tap = self.lab.host.ip(&format!("link show dev {NAME}"));
        assert!(tap.contains("master br0") && tap.contains(",UP"), "{what}: {tap}");
    }

    /// Fails the test unless the host is, or within seconds comes to be, in this state.
    #[track_caller]
    pub fn assert_is(&self, what: &str, wanted: &Snapshot) {
        self.lab.assert_is_one_of(what, &[wanted]);
    }
}

impl Lab {
    /// Fails the test unless the host is, or within seconds comes to be, in one of these states. The first is told
    /// where it is in none.
    #[track_caller]
    pub fn assert_is_one_of(&self, what: &str, wanted: &[&Snapshot]) {
        let mut now = Snapshot::of(&self.host);
        super::within(Duration::from_secs(10), || {
            wanted.contains(&&now) || {
                now = Snapshot::of(&self.host);
                wanted.contains(&&now)
            }
        });
        if !wanted.contains(&&now) {
            assert_same(what, wanted[0], &now);
        }
    }
}

/// The state of a lab's host once it no longer changes by itself: three looks in a row see the same.
#[track_caller]
pub fn settled(lab: &Lab) -> Snapshot {
    lab.wait_for_addresses();
    let mut last = Snapshot::of(&lab.host);
    let mut same = 1;
    eventually("the host has settled", || {
        let now = Snapshot::of(&lab.host);
        same = if now == last { same + 1 } else { 1 };
        last = now;
        same == 3
    });
    last
}

/// Whether everything is to be tried, and not only a sample.
pub fn is_long() -> bool {
    env::var_os("KVMNET_TEST_LONG").is_some()
}
