//! Rights: what the kernel asks for is CAP_NET_ADMIN, and not who one is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::libc;

use lab::bench::{DOWN, NAME, UP};
use lab::{Bench, Hook, Machine, Network, Ran, Snapshot, Tap};

/// Runs a hook for the tap by way of setpriv(1).
fn with(host: &Machine, options: &[&str], program: &str, tap: &Tap) -> Ran {
    let words: Vec<&str> = options.iter().copied().chain([program, NAME]).collect();
    Hook::new(host, "setpriv", &words).tap(tap).run()
}

/// Root of a container that was not given the capability.
#[test]
fn root_without_the_capability() {
    let bench = Bench::new(Network::NAT);
    let host = &bench.lab.host;
    let without = ["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    let before = Snapshot::of(host);
    let ran = with(host, &without, UP, &bench.tap);
    let line = ran.complains(1);
    assert!(line.contains("CAP_NET_ADMIN") && ran.stderr.contains("--cap-add"), "{}", ran.stderr);
    bench.lab.assert_as_before("a refused hook", &before);
    bench.hook(UP).ok();
    bench.assert_on("with it");
    with(host, &without, DOWN, &bench.tap).ok();
    bench.assert_on("nothing is touched, and QEMU ends well");
    bench.hook(DOWN).ok();
    bench.assert_off("with it");
}

/// A user who was given it, and let in to the lock by its group.
#[test]
fn a_user_with_the_capability() {
    let bench = Bench::new(Network::NAT);
    let host = &bench.lab.host;
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let given = ["--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"];
    let options = [&user[..], &given[..]].concat();
    let ran = with(host, &options, UP, &bench.tap);
    let line = ran.complains(1);
    assert!(line.contains("/run/kvmnet.lock") && ran.stderr.contains("install -m 660"), "{}", ran.stderr);
    host.run("install -m 660 -g 65534 /dev/null /run/kvmnet.lock");
    let note = "qemu-ifup: guests are told no addresses until root has run `kvmnet gc`\n";
    let ran = with(host, &options, UP, &bench.tap);
    // What tells guests their addresses is root's.
    assert_eq!((ran.status, ran.stderr.as_str()), (0, note));
    bench.assert_on("by the user");
    with(host, &user, DOWN, &bench.tap).ok();
    bench.assert_on("not without it, which is no error");
    let line = with(host, &user, UP, &bench.tap);
    assert!(line.complains(1).contains("only root"), "{}", line.stderr);
    with(host, &options, DOWN, &bench.tap).ok();
    bench.assert_off("by the user");
}

/// How many links of open files an ifdown reads while it has the lock.
fn links_read(bench: &Bench) -> usize {
    let words = ["-f", "-o", "/run/lab/trace", "-e", "trace=readlinkat", DOWN, NAME];
    Hook::new(&bench.lab.host, "/usr/bin/strace", &words).tap(&bench.tap).run().ok();
    let trace = bench.lab.host.enter(|| std::fs::read_to_string("/run/lab/trace")).unwrap();
    trace.lines().filter(|line| line.contains("readlinkat(")).count()
}

/// A program of a user's without any rights, with so many open files.
fn with_open_files(count: usize) -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null());
    let open = move || {
        let most = count as libc::rlim_t + 100;
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the pointer is to a value that outlives the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
        for _ in 0..count {
            // SAFETY: a bare system call, whose result nobody uses.
            unsafe { libc::dup(0) };
        }
        nix::unistd::setuid(65534.into())?;
        Ok(())
    };
    // SAFETY: between fork and exec only bare system calls are made.
    unsafe { command.pre_exec(open) };
    command.spawn().expect("sleep can be started")
}

/// A user's open files are no work for the hooks of others: of one user's so many are looked at, and no more.
#[test]
fn open_files_of_a_user_hold_no_hook_up() {
    let bench = Bench::new(Network::NAT);
    bench.hook(UP).ok();
    let before = links_read(&bench);
    bench.assert_off("the guest left");
    bench.hook(UP).ok();
    let mut crowd: Vec<Child> = (0..10).map(|_| bench.lab.host.enter(|| with_open_files(20_000))).collect();
    let read = links_read(&bench);
    for child in &mut crowd {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The other programs of the machine come and go, other tests among them.
    assert!(read < before + 2 * 8192, "{read} links were read, and {before} without the crowd");
    bench.assert_off("the guest left");
}

/// Before a hook asks the kernel, or reads what another program has written, it has given up what it has no use for.
#[test]
fn a_hook_keeps_what_it_uses() {
    let plain = Network { keys: "dhcp = false\n", ..Network::NAT };
    for (network, kept) in [
        (plain, "1<<CAP_DAC_OVERRIDE|1<<CAP_NET_ADMIN|1<<CAP_NET_RAW|1<<CAP_SYS_PTRACE, "),
        // It starts what serves the network.
        (Network::NAT, "1<<CAP_SYS_PTRACE|1<<CAP_SYS_ADMIN, "),
    ] {
        let bench = Bench::new(network);
        for hook in [UP, DOWN] {
            let words = ["-f", "-o", "/run/lab/trace", hook, NAME];
            Hook::new(&bench.lab.host, "/usr/bin/strace", &words).tap(&bench.tap).run().ok();
            let trace = bench.lab.host.enter(|| std::fs::read_to_string("/run/lab/trace")).unwrap();
            let (before, _) = trace.split_once("sendto(").expect("it asks the kernel");
            let kept = if hook == DOWN { "CAP_NET_RAW|1<<CAP_SYS_PTRACE, " } else { kept };
            for words in [kept, "PR_SET_NO_NEW_PRIVS, 1"] {
                assert!(before.contains(words), "{hook}: {words}\n{before}");
            }
        }
    }
}
