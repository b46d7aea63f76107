//! What is left to whoever takes over the programs that read what guests send.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use nix::unistd::Pid;

use super::kit::Serving;
use crate::lab::{Network, eventually};

/// Stands for a dnsmasq that a guest has taken over: it tries what it likes, and writes down what it could do where it may write.
const TAKEN_OVER: &str = r#"#!/bin/sh
could() { if "$@" >/dev/null 2>&1; then echo "could: $*" >>/var/lib/kvmnet/br0.leases; fi; }
try() { could sh -c "$1"; }
try 'echo x >/run/lab/everybody/file'
try 'rm /run/lab/everybody/other'
try 'mkdir /run/lab/everybody/folder'
try 'cat /run/lab/readable'
try 'ls /home'
try 'ls /var/log'
try '/run/lab/program'
try 'unshare --net true'
try 'unshare --user true'
try 'mount -t tmpfs none /tmp'
try 'strace -o /dev/null true'
try 'kill -0 $(cat /run/lab/neighbour)'
try 'chroot / true'
exec sleep 1000
"#;

/// What it can do, or the test would say nothing.
const HARMLESS: [&str; 1] = ["cat /run/lab/readable"];

fn status(pid: Pid) -> HashMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let pairs = text.lines().filter_map(|line| line.split_once(":\t"));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

fn bits(numbers: &[u32]) -> u64 {
    numbers.iter().fold(0, |set, number| set | 1 << number)
}

#[track_caller]
fn assert_confined(pid: Pid, capabilities: &[u32]) {
    let status = status(pid);
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(
            u64::from_str_radix(&status[set], 16),
            Ok(bits(capabilities)),
            "{set} of {}",
            status["Name"]
        );
    }
    assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("1", "2"), "{}", status["Name"]);
}

#[test]
fn servers_have_no_rights_but_those_they_use() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    let dnsmasq = serving.dnsmasq();
    // By their numbers in capability.h: chown, dac_override, kill, setgid, setuid, net_bind_service, net_admin, net_raw.
    eventually("dnsmasq is another user's", || status(dnsmasq)["Uid"].split('\t').all(|uid| uid != "0"));
    assert_confined(serving.kvmnet(), &[0, 1, 5, 6, 7, 10, 12, 13]);
    assert_confined(dnsmasq, &[10, 12, 13]);
    serving.lease(&one, "one");
}

#[test]
fn whoever_takes_dnsmasq_over_gets_no_further() {
    let serving = Serving::configured(&Network::NAT.config());
    let host = &serving.lab.host;
    let neighbour = host.start("sleep", &["1000"]);
    host.enter(|| {
        fs::create_dir("/run/lab/everybody").unwrap();
        fs::set_permissions("/run/lab/everybody", Permissions::from_mode(0o777)).unwrap();
        for (file, text) in [
            ("everybody/other", "x"),
            ("readable", "x"),
            ("program", "#!/bin/sh\nexit 0\n"),
            ("taken-over", TAKEN_OVER),
            ("neighbour", &neighbour.pid().to_string()),
        ] {
            fs::write(format!("/run/lab/{file}"), text).unwrap();
            fs::set_permissions(format!("/run/lab/{file}"), Permissions::from_mode(0o777)).unwrap();
        }
    });
    host.run("mount --bind /run/lab/taken-over /usr/sbin/dnsmasq");
    let _one = serving.attach(1);
    let mut sleeps = Vec::new();
    eventually("all was tried", || {
        sleeps = serving.processes("sleep");
        sleeps.len() == 2
    });
    let told = host.enter(|| fs::read_to_string("/var/lib/kvmnet/br0.leases")).unwrap();
    let could: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("could: sh -c ")).collect();
    assert_eq!(could, HARMLESS, "of all that it tried");
}
