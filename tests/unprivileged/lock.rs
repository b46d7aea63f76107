//! The lock that all programs of kvmnet's take, and users who have a program with rights of its own take it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc::{major, minor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::asking::{Asking, HELPER};
use super::helper::granted;
use super::kit::{BOB, VMS};
use crate::lab::bench::UP;
use crate::lab::{Cli, Hook, Lab, Tap, eventually};

/// A user can stop a process of theirs, whatever its rights, and this one has the lock at times. The others wait, but not for
/// long.
#[test]
fn a_helper_that_is_stopped() {
    let lab = granted();
    let mut stopped = 0;
    for delay in 0..40 {
        let mut asked = Asking::alice(&lab, "lab").start();
        let pid = Pid::from_raw(asked.child.id().try_into().unwrap());
        // Somewhere on its way, and not always at the same place.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(delay * 250) {}
        let _over = kill(pid, Signal::SIGSTOP);
        let is_its = |line: &str| line.contains(" FLOCK ") && line.contains(&format!(" {pid} "));
        let holds = || fs::read_to_string("/proc/locks").unwrap().lines().any(is_its);
        if holds() && asked.child.try_wait().unwrap().is_none() {
            stopped += 1;
            let one = lab.boot(1);
            lab.ifup(&one).ok();
            lab.detach(one);
            let _ended = asked.child.wait();
            break;
        }
        let _over = kill(pid, Signal::SIGKILL);
        let _ended = asked.child.wait();
    }
    assert_eq!(stopped, 1, "it was met with the lock in its hands");
    Cli::new(&lab.host, &["gc"]).run().ok();
}

/// Whoever was not let on cannot have the lock taken for them at all, nor open its file.
#[test]
fn the_lock() {
    let lab = granted();
    let trace = lab.host.enter(|| {
        let line = [
            "-f",
            "-o",
            "/run/lab/trace",
            "-e",
            "trace=flock,openat,open,ioctl,socket",
            HELPER,
            "--fd=0",
            "--br=lab",
        ];
        Command::new("strace").args(line).output().unwrap();
        fs::read_to_string("/run/lab/trace").unwrap()
    });
    assert!(!trace.contains("flock("), "{trace}");
    let _held = lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
    eventually("the lock is held", || !lab.host.try_run("flock -n /run/kvmnet.lock true").status.success());
    Asking::bob(&lab, "lab").run().refused("bob may not");
    Asking::alice(&lab, "lab").run().refused("has for 3 s");
}

/// However many helpers of users wait, root's program is next; and of one user's only the first tries, so that another user
/// does not wait for all of them.
#[test]
fn a_crowd_of_helpers() {
    let lab = granted();
    let mut held = lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "1000"]);
    let is_free = || lab.host.try_run("flock -n /run/kvmnet.lock true").status.success();
    eventually("the lock is held", || !is_free());
    // All of one user's others wait behind one that stands still.
    let mut first = Asking::alice(&lab, "lab").start();
    let waiting = |pid: u32, kind: &str| {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains(kind) && line.contains(&format!(" {pid} ")))
    };
    eventually("it waits", || waiting(first.child.id(), "POSIX"));
    let pid = Pid::from_raw(first.child.id().try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let crowd: Vec<_> = (0..20).map(|_| Asking::alice(&lab, "lab").start()).collect();
    let other = Asking::new(&lab, BOB, &[BOB, VMS], &["--fd=FD", "--br=vms"]).start();
    for one in crowd.iter().chain([&other]) {
        eventually("it waits", || waiting(one.child.id(), "POSIX"));
    }
    held.signal(Signal::SIGKILL);
    held.wait();
    other.answer().granted();
    for one in crowd {
        one.answer().refused("has for 3 s");
    }
    kill(pid, Signal::SIGKILL).unwrap();
    first.child.wait().unwrap();

    let mut held = lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "1000"]);
    eventually("the lock is held", || !is_free());
    let crowd: Vec<_> = (0..20).map(|_| Asking::alice(&lab, "lab").start()).collect();
    for one in &crowd {
        eventually("it waits", || waiting(one.child.id(), "POSIX"));
    }
    eventually("who waits has made no tap", || lab.host.ip("-o link show type tun").is_empty());
    let (tap, roots) = (Tap::open(&lab.host, "root0"), &lab);
    std::thread::scope(|scope| {
        let hook = scope.spawn(|| {
            Hook::new(&roots.host, UP, &["root0"]).tap(&tap).env("KVMNET_NETWORK", "lab").run().ok();
        });
        eventually("root's hook waits", || waiting_of_root(&lab));
        held.signal(Signal::SIGKILL);
        held.wait();
        hook.join().unwrap();
    });
    let port = lab.host.enter(|| fs::read_to_string("/sys/class/net/root0/brport/port_no")).unwrap();
    assert_eq!(port.trim(), "0x1", "the first on its network is root's");
    let granted = crowd.into_iter().map(|one| one.answer()).filter(|answer| answer.tap.is_some()).count();
    assert!(granted > 0, "users come next");
}

/// Whether a program of root's waits for the lock, and has said so.
fn waiting_of_root(lab: &Lab) -> bool {
    let file = lab.host.enter(|| fs::metadata("/run/kvmnet.lock")).unwrap();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let place = format!(" {:02x}:{:02x}:{} ", major(file.dev()), minor(file.dev()), file.ino());
    locks.lines().any(|line| line.contains(" -> FLOCK") && line.contains(&place))
}
