//! What serves a network outlives whoever started it, and holds the namespaces that it is in: it ends with its machine.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The processes in a network namespace.
pub fn processes(namespace: u64) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_here =
        |pid: &i32| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|about| about.ino() == namespace);
    pids.filter(is_here).collect()
}

/// What a process calls itself.
pub fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// The namespace's own number.
pub fn number(namespace: &File) -> u64 {
    namespace.metadata().map_or(0, |about| about.ino())
}

/// Ends all that serves in a network namespace.
pub fn end(namespace: u64) {
    for _ in 0..100 {
        let is_server = |pid: &i32| matches!(name(*pid).as_str(), "kvmnet" | "dnsmasq");
        let servers: Vec<i32> = processes(namespace).into_iter().filter(is_server).collect();
        if servers.is_empty() {
            break;
        }
        for pid in servers {
            let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}
