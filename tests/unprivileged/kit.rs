//! A host with people on it.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::lab::{Lab, Network, Process, eventually, hooks_dir};

/// alice is in the group vms, bob is not.
pub const ALICE: u32 = 1500;
pub const BOB: u32 = 1501;
pub const VMS: u32 = 1600;

/// Nobody tells the guests their addresses: these tests do.
pub fn config(network: Network) -> String {
    network.config() + "dhcp = false\n"
}

/// A lab whose host has users.
pub fn lab(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.write_config(&config(network));
    let add = |file: &str, text: String| {
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    lab.host.enter(|| {
        let user = |name, number| format!("{name}:x:{number}:{number}::/home/{name}:/bin/sh\n");
        add("/etc/passwd", user("alice", ALICE) + &user("bob", BOB));
        add("/etc/group", format!("alice:x:{ALICE}:\nbob:x:{BOB}:\nvms:x:{VMS}:carol,alice\n"));
        fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap();
    });
    lab
}

/// `kvmnet` as a program to start.
pub fn kvmnet() -> String {
    hooks_dir().join("kvmnet").display().to_string()
}

/// The taps that are on a bridge.
pub fn ports(lab: &Lab, bridge: &str) -> Vec<String> {
    let links = lab.host.try_run(&format!("ip -o link show master {bridge}"));
    let text = String::from_utf8(links.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split(": ").nth(1)?.to_owned())).collect()
}

/// A line of /proc/PID/status.
pub fn status(process: &Process, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.expect("status has this line").trim().to_owned()
}

/// Waits until the process is this program.
pub fn becomes(process: &Process, program: &str) {
    eventually(&format!("{program} runs: {}", process.printed()), || {
        process.has_ended() || status(process, "Name").starts_with(program)
    });
    assert!(!process.has_ended(), "{}", process.printed());
}

/// What the files of a process are, by their numbers.
pub fn files(process: &Process) -> Vec<(u32, String)> {
    let folder = fs::read_dir(format!("/proc/{}/fd", process.pid())).expect("the process runs");
    let files = folder.filter_map(|file| {
        let file = file.ok()?;
        let target = fs::read_link(file.path()).ok()?;
        Some((file.file_name().to_str()?.parse().ok()?, target.display().to_string()))
    });
    let mut files: Vec<(u32, String)> = files.collect();
    files.sort();
    files
}
