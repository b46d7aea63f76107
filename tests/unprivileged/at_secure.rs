//! Hooks, and `kvmnet`, that somebody has made setuid or given capabilities by their files: what is theirs to decide is root's.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use nix::libc;

use super::asking::{CAPABILITIES, write_as};
use super::helper::granted;
use super::kit::{ALICE, BOB, ports};
use crate::lab::bench::settled;
use crate::lab::{Lab, hooks_dir};

/// A copy of a program, which has rights that its user has not.
#[derive(Clone, Copy)]
enum By {
    FileCapabilities,
    Setuid,
}

fn install(lab: &Lab, program: &str, by: By) -> String {
    let path = format!("/run/lab/own-{program}");
    lab.host.run(&format!("install -m 755 {} {path}", hooks_dir().join(program).display()));
    match by {
        By::FileCapabilities => lab.host.run(&format!("setcap {CAPABILITIES} {path}")),
        By::Setuid => lab.host.run(&format!("chmod u+s {path}")),
    };
    path
}

/// Runs a program as a user, who may call it what they like.
fn run_as(lab: &Lab, user: u32, line: &[&str], name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(line[0]);
    command.arg0(name).args(&line[1..]).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    let become_user = move || {
        // SAFETY: bare system calls.
        let result = unsafe {
            libc::setgroups(1, &raw const user)
                | libc::setresgid(user, user, user)
                | libc::setresuid(user, user, user)
        };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec only bare system calls are made.
    unsafe { command.pre_exec(become_user) };
    lab.host.enter(|| command.output()).expect("the program can be run")
}

#[track_caller]
fn refused(output: &Output, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it must refuse: {said}");
    assert!(said.lines().next().is_some_and(|line| line.contains(word)), "{word}: {said}");
}

#[track_caller]
fn done(output: &Output) {
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const UP: &str = "qemu-ifup";

/// No variable of a user's decides anything, but that of a network that root lets them on.
#[test]
fn variables() {
    let lab = granted();
    lab.host.ip(&format!("tuntap add vif0.0 mode tap user {ALICE}"));
    write_as(
        &lab,
        "/run/lab/evil.conf",
        "644",
        "mode = \"isolated\"\nbridge = \"br-evil\"\nusers = [\"alice\"]\n",
    );
    lab.host.run(&format!("chown {ALICE} /run/lab/evil.conf"));
    for by in [By::FileCapabilities, By::Setuid] {
        let programs = [UP, "qemu-ifdown", "kvmnet"].map(|program| install(&lab, program, by));
        let before = settled(&lab);
        for (name, value) in [
            ("KVMNET_CONFIG", "/run/lab/evil.conf"),
            ("KVMNET_MODE", "bridged"),
            ("KVMNET_BRIDGE", "br-evil"),
            ("KVMNET_UPLINK", "eth4"),
            ("KVMNET_ADDRESS", "10.9.9.9/24"),
            ("KVMNET_FORWARD", "22:22"),
            ("KVMNET_GUEST_MAC", "52:54:00:00:00:01"),
            ("KVMNET_GUEST_ADDRESS", "10.0.200.77"),
            ("KVMNET_USERS", "alice"),
            ("KVMNET_", ""),
        ] {
            for program in &programs[..2] {
                let output = run_as(
                    &lab,
                    ALICE,
                    &[program, "vif0.0"],
                    UP,
                    &[("KVMNET_NETWORK", "lab"), (name, value)],
                );
                refused(&output, &format!("{name}: a user's variables are not heeded"));
            }
            let output = run_as(&lab, ALICE, &[&programs[2], "gc"], "kvmnet", &[(name, value)]);
            refused(&output, "works for root alone");
        }
        lab.assert_as_before("nothing was done", &before);
        for command in ["status", "check", "apply", "gc", "config show", "serve br0", "down --force lab"] {
            let line: Vec<&str> = [programs[2].as_str()].into_iter().chain(command.split(' ')).collect();
            refused(&run_as(&lab, ALICE, &line, "kvmnet", &[]), "works for root alone");
        }
        lab.assert_as_before("nothing was done", &before);

        let lab_network = [("KVMNET_NETWORK", "lab")];
        done(&run_as(&lab, ALICE, &[&programs[0], "vif0.0"], UP, &lab_network));
        assert_eq!(ports(&lab, "br-lab"), ["vif0.0"]);
        done(&run_as(&lab, ALICE, &[&programs[1], "vif0.0"], UP, &[]));
        lab.assert_as_before("the guest came and went", &before);
    }
}

/// Nor do arguments, nor the name that it is called by: a network that is not theirs, somebody else's tap, an interface of the
/// host's.
#[test]
fn names() {
    let lab = granted();
    for (tap, user) in [("vif0.0", Some(ALICE)), ("vif1.0", Some(BOB)), ("vif2.0", None)] {
        let user = user.map(|user| format!(" user {user}")).unwrap_or_default();
        lab.host.ip(&format!("tuntap add {tap} mode tap{user}"));
    }
    for by in [By::FileCapabilities, By::Setuid] {
        let [up, down] = [UP, "qemu-ifdown"].map(|program| install(&lab, program, by));
        let before = settled(&lab);
        let (to_lab, to_vms) = ([("KVMNET_NETWORK", "lab")], [("KVMNET_NETWORK", "vms")]);
        refused(
            &run_as(&lab, ALICE, &[&up, "vif0.0"], UP, &[]),
            "alice may not put guests on the network default",
        );
        refused(&run_as(&lab, BOB, &[&up, "vif1.0"], UP, &to_lab), "bob may not");
        refused(&run_as(&lab, BOB, &[&up, "vif1.0"], "qemu-ifup-lab", &[]), "bob may not");
        refused(&run_as(&lab, BOB, &[&up, "vif1.0"], UP, &to_vms), "bob may not");
        for tap in ["vif1.0", "vif2.0"] {
            refused(&run_as(&lab, ALICE, &[&up, tap], "qemu-ifup-lab", &[]), "not a tap of the user");
            refused(&run_as(&lab, ALICE, &[&down, tap], UP, &[]), "not a tap of the user");
        }
        for tap in ["eth3", "lo", "../eth3", "vif0.0\n", "nothing"] {
            refused(&run_as(&lab, ALICE, &[&up, tap], UP, &to_lab), "");
        }
        lab.assert_as_before("nothing was done", &before);
        done(&run_as(&lab, ALICE, &[&up, "vif0.0"], "qemu-ifup-lab", &[]));
        let on = settled(&lab);
        refused(&run_as(&lab, BOB, &[&down, "vif0.0"], UP, &[]), "not a tap of the user");
        lab.assert_as_before("the guest of another user stays", &on);
        done(&run_as(&lab, ALICE, &[&down, "vif0.0"], UP, &[]));
        lab.assert_as_before("the guest came and went", &before);
    }
}
