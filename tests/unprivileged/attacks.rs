//! What a user may try with a program that has more rights than they have. bob was not let on any network, alice on one.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;

use super::asking::{Asking, HELPER, install, write_as};
use super::helper::granted;
use super::kit::{ALICE, BOB};
use crate::lab::bench::settled;
use crate::lab::{Cli, eventually};

/// No variable changes anything.
#[test]
fn variables() {
    let lab = granted();
    write_as(
        &lab,
        "/run/lab/evil.conf",
        "644",
        "[network.lab]\nmode = \"nat\"\nbridge = \"br-evil\"\nusers = [\"bob\"]\n",
    );
    lab.host.run(&format!("chown {BOB} /run/lab/evil.conf"));
    let before = settled(&lab);
    for (name, value) in [
        ("KVMNET_CONFIG", "/run/lab/evil.conf"),
        ("KVMNET_NETWORK", "default"),
        ("KVMNET_MODE", "bridged"),
        ("KVMNET_USERS", "bob"),
        ("KVMNET_", ""),
    ] {
        Asking::bob(&lab, "lab").env(name, value).run().refused(name);
        Asking::alice(&lab, "lab").env(name, value).run().refused(name);
    }
    for (name, value) in [
        ("LD_PRELOAD", "/run/lab/evil.so"),
        ("LD_LIBRARY_PATH", "/run/lab"),
        ("LD_AUDIT", "/run/lab/evil.so"),
        ("GLIBC_TUNABLES", "glibc.malloc.mxfast=glibc.malloc.mxfast=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("LOCPATH", "/run/lab"),
        ("LC_ALL", "../../run/lab/evil"),
        ("TZ", ":/run/lab/evil"),
        ("RUST_BACKTRACE", "full"),
        ("MALLOC_CHECK_", "7"),
        ("PATH", "/run/lab"),
        ("HOME", "/run/lab"),
    ] {
        Asking::bob(&lab, "lab").env(name, value).run().refused("bob may not");
    }
    lab.assert_as_before("nothing was given", &before);
}

/// Nor do arguments, whatever is in them.
#[test]
fn arguments() {
    let lab = granted();
    let before = settled(&lab);
    let long = "x".repeat(100_000);
    for network in [
        "../../etc/passwd",
        "lab/../default",
        "lab\n",
        "\u{1b}[2Jlab",
        "%s%n",
        " lab",
        "Lab",
        "lab ",
        "lab\u{202e}",
        &long,
        "-",
        "*",
        "b\u{fc}",
    ] {
        Asking::alice(&lab, network).run().refused("");
    }
    for words in [
        &[][..],
        &["--br=lab"],
        &["--fd=FD"],
        &["--fd=0", "--br=lab"],
        &["--fd=2", "--br=lab"],
        &["--fd=4711", "--br=lab"],
        &["--fd=-1", "--br=lab"],
        &["--fd=2147483648", "--br=lab"],
        &["--fd=FD", "--br=lab", "--config=/run/lab/evil.conf"],
        &["--fd=FD", "--br=lab", "more"],
    ] {
        Asking::new(&lab, ALICE, &[ALICE], words).run().refused("");
    }
    // The last one counts, as with getopt: bob does not come by alice's.
    Asking::new(&lab, ALICE, &[ALICE], &["--fd=FD", "--br=lab", "--br=default"])
        .run()
        .refused("alice may not");
    lab.assert_as_before("nothing was given", &before);
}

/// A program that was started without any argument, not even its name.
#[test]
fn no_name() {
    let lab = granted();
    let script = format!(
        "import ctypes,os\nos.setgid({BOB}); os.setuid({BOB})\nlibc = ctypes.CDLL(None)\n\
         argv = (ctypes.c_char_p * 1)(None); envp = (ctypes.c_char_p * 1)(None)\n\
         libc.execve(b\"{HELPER}\", argv, envp)"
    );
    let output = lab.host.enter(|| Command::new("/usr/bin/python3").args(["-c", &script]).output());
    // Python is not of the tests' needs.
    let Ok(output) = output else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// Standard files that are closed: nothing is written into the socket or a network's file in their place.
#[test]
fn closed_files() {
    let lab = granted();
    for user in [ALICE, BOB] {
        let asking = Asking::new(&lab, user, &[user], &["--fd=FD", "--br=lab"]).before(|| {
            for file in 0..3 {
                // SAFETY: a bare system call.
                unsafe { libc::close(file) };
            }
            Ok(())
        });
        let answer = asking.run();
        assert_eq!((answer.status, answer.err.as_str()), (Some(i32::from(user == BOB)), ""));
        assert_eq!(answer.tap.is_some(), user == ALICE);
    }
}

/// Little of everything: it fails, or does what it was asked to, and leaves nothing half done.
#[test]
fn limits() {
    let lab = granted();
    let before = settled(&lab);
    for (limit, values) in [
        (libc::RLIMIT_FSIZE, &[0][..]),
        (libc::RLIMIT_NOFILE, &[0, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (libc::RLIMIT_AS, &[1 << 20, 4 << 20, 16 << 20]),
        (libc::RLIMIT_STACK, &[4096, 65536]),
        (libc::RLIMIT_MEMLOCK, &[0]),
        (libc::RLIMIT_NPROC, &[0]),
        (libc::RLIMIT_CORE, &[libc::RLIM_INFINITY]),
        (libc::RLIMIT_CPU, &[0]),
        (libc::RLIMIT_SIGPENDING, &[0]),
    ] {
        for &value in values {
            let restrict = move || {
                let limit_of = libc::rlimit { rlim_cur: value, rlim_max: value };
                // SAFETY: the pointer is to a value that outlives the call.
                unsafe { libc::setrlimit(limit, &raw const limit_of) };
                Ok(())
            };
            let answer = Asking::alice(&lab, "lab").before(restrict).run();
            assert_eq!(
                answer.tap.is_some(),
                answer.status == Some(0),
                "limit {limit} of {value}: {answer:?}"
            );
            drop(answer);
            Cli::new(&lab.host, &["gc"]).run().ok();
            lab.assert_as_before(&format!("limit {limit} of {value}"), &before);
        }
    }
}

/// Files in the place of those that it reads.
#[test]
fn files_in_the_way() {
    let lab = granted();
    let before = settled(&lab);
    let config = fs_read(&lab, "/etc/kvmnet.conf");
    // alice's own file decides nothing, though it is her process.
    lab.host.run(&format!("chown {ALICE} /etc/kvmnet.conf"));
    Asking::alice(&lab, "lab").run().refused("belongs to user");
    lab.host.run("chown 0 /etc/kvmnet.conf");
    lab.host.run("chmod 600 /etc/kvmnet.conf");
    let secret = Asking::alice(&lab, "lab").run();
    secret.refused("Permission denied");
    lab.host.run("chmod 666 /etc/kvmnet.conf");
    Asking::alice(&lab, "lab").run().refused("can write");
    lab.host.run("rm /etc/kvmnet.conf");
    lab.host.run("mkfifo -m 644 /etc/kvmnet.conf");
    Asking::alice(&lab, "lab").run().refused("not a regular file");
    lab.host.run("rm /etc/kvmnet.conf");
    // Nothing of a file that the user cannot read is shown.
    lab.host.enter(|| symlink("/etc/shadow", "/etc/kvmnet.conf").unwrap());
    let answer = Asking::alice(&lab, "lab").run();
    answer.refused("Permission denied");
    lab.host.run("rm /etc/kvmnet.conf");
    lab.write_config(&config);
    lab.host.run("chmod 644 /etc/kvmnet.conf");
    for made in
        ["install -m 666 /dev/null", "install -m 600 -o 1500 /dev/null", "mkfifo -m 600", "ln -s /etc/passwd"]
    {
        lab.host.run("rm -f /run/kvmnet.lock");
        lab.host.run(&format!("{made} /run/kvmnet.lock"));
        Asking::alice(&lab, "lab").run().refused("kvmnet.lock");
    }
    lab.host.run("rm -f /run/kvmnet.lock");
    Asking::alice(&lab, "lab").run().refused("there is no /run/kvmnet.lock");
    install(&lab);
    lab.assert_as_before("nothing was given", &before);
    Asking::alice(&lab, "lab").run().granted();
}

fn fs_read(lab: &crate::lab::Lab, path: &str) -> String {
    lab.host.enter(|| fs::read_to_string(path)).unwrap()
}

/// It cannot be looked into or taken over by its user, and its rights go to nobody.
#[test]
fn its_rights_are_its_own() {
    let lab = granted();
    // It waits for the lock, and has given up by then what it needs no longer.
    let _held = lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
    eventually("the lock is held", || !lab.host.try_run("flock -n /run/kvmnet.lock true").status.success());
    let mut asked = Asking::alice(&lab, "lab").start();
    let pid = asked.child.id();
    let status = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    // CAP_NET_ADMIN and CAP_NET_RAW.
    eventually("it waits", || status().contains("CapPrm:\t0000000000003000"));
    let said = status();
    for line in [
        "CapEff:\t0000000000003000",
        "CapInh:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let script = format!("cat /proc/{pid}/maps || ls /proc/{pid}/fd || readlink /proc/{pid}/exe");
    let alice = ALICE.to_string();
    let spy = lab.host.enter(|| {
        let words = ["--reuid", &alice, "--regid", &alice, "--clear-groups", "/bin/sh", "-c", &script];
        Command::new("setpriv").args(words).output().unwrap()
    });
    assert!(!spy.status.success() && spy.stdout.is_empty(), "{spy:?}");
    // SAFETY: attaching is a bare system call, made in a child that is alice's.
    let attach = move || match unsafe { libc::ptrace(libc::PTRACE_ATTACH, pid as libc::pid_t, 0, 0) } {
        0 => Err(std::io::Error::other("attached")),
        _ => Ok(()),
    };
    let mut command = Command::new("/bin/true");
    command.uid(ALICE).gid(ALICE);
    // SAFETY: between fork and exec only a bare system call is made.
    unsafe { command.pre_exec(attach) };
    assert!(lab.host.enter(|| command.status()).unwrap().success(), "a debugger came in");
    asked.child.kill().unwrap();
    let _ended = asked.child.wait();
}

/// In a user namespace, where anybody is root.
#[test]
fn a_root_of_ones_own() {
    let lab = granted();
    let before = settled(&lab);
    let bob = BOB.to_string();
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    for namespaces in [&["--user", "--map-root-user"][..], &["--user", "--map-root-user", "--net"]] {
        let number = far.as_raw_fd();
        let file = format!("--fd={number}");
        let words = [
            &["--reuid", &bob, "--regid", &bob, "--clear-groups", "unshare"][..],
            namespaces,
            &[HELPER, &file, "--br=lab"],
        ]
        .concat();
        let mut command = Command::new("setpriv");
        command.args(words);
        let inherit = move || {
            // SAFETY: a bare system call.
            unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
            Ok(())
        };
        // SAFETY: between fork and exec only a bare system call is made.
        unsafe { command.pre_exec(inherit) };
        let output = lab.host.enter(|| command.output()).unwrap();
        assert_ne!(output.status.code(), Some(0), "{output:?}");
    }
    drop(near);
    lab.assert_as_before("nothing was given", &before);
}

/// Killed anywhere: the next run converges.
#[test]
fn a_helper_that_is_killed() {
    let lab = granted();
    let before = settled(&lab);
    for delay in 0..30 {
        let mut asked = Asking::alice(&lab, "lab").start();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(delay * 300) {}
        let _over = asked.child.kill();
        let _ended = asked.child.wait();
        drop(asked);
        Cli::new(&lab.host, &["gc"]).run().ok();
        lab.assert_as_before(&format!("killed after {delay}"), &before);
    }
}

/// Without capabilities of its file it says what is missing.
#[test]
fn without_its_capabilities() {
    let lab = granted();
    lab.host.run(&format!("setcap -r {HELPER}"));
    Asking::alice(&lab, "lab").run().refused("");
    // Without the one that opens the lock.
    lab.host.run(&format!("setcap cap_net_admin+ep {HELPER}"));
    Asking::alice(&lab, "lab").run().refused("/run/kvmnet.lock");
    let _unused = File::open("/dev/null");
}

/// What a person is told to paste is what they have typed, whatever somebody has put into their environment.
#[test]
fn a_hint_is_safe_to_paste() {
    let lab = granted();
    // Where everybody reaches it.
    lab.has_kvmnet();
    let output = lab.host.enter(|| {
        let mut command = Command::new("/etc/kvmnet");
        command.args(["attach", "x$(reboot)"]).env_clear().uid(BOB).gid(BOB);
        command
            .env("KVMNET_MODE", "nat;reboot")
            .env("KVMNET_;reboot;", "x")
            .env("KVMNET_\u{1b}[2J", "x")
            .output()
    });
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).expect("there is a way out");
    assert_eq!(hint, "sudo KVMNET_MODE='nat;reboot' kvmnet attach 'x$(reboot)'");
}
