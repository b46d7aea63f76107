//! Who holds a tap: which processes have its queue open.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::IfName;

/// Whether a process has the tap open that has nothing to do with the start of this hook.
///
/// QEMU hands its hooks the open tap. A hook that has it was started by the tap's holder, its parent or, behind a
/// wrapper, an ancestor; one that has not (libvirt's) by its parent or by a person beside a running guest. When yet
/// another process has the tap by now, it was handed on, and the hook for its former guest must not touch it.
/// `carrier` is the tap's: without it nobody holds it. Where /proc cannot be read, the hook is believed.
pub fn is_anothers(tap: &IfName, carrier: bool) -> bool {
    if !carrier || !Path::new("/proc/self/fdinfo").exists() {
        return false;
    }
    let mut starters = ancestors(&std::process::id().to_string());
    if !holds("self", tap) {
        starters.truncate(1);
    }
    let Some(holder) = starters.iter().rev().find(|pid| holds(pid, tap)).cloned() else { return true };
    let here = fs::read_link("/proc/self/ns/net").ok();
    // Names of taps are per network namespace: the vif0.0 of a container is another one.
    let is_here = |pid: &String| fs::read_link(format!("/proc/{pid}/ns/net")).ok() == here;
    // A child of the holder's, between its fork and its exec, has all of the holder's files.
    let is_ours = |pid: &String| starters.contains(pid) || ancestors(pid).contains(&holder);
    processes().filter(is_here).any(|pid| holds(&pid, tap) && !is_ours(&pid))
}

/// The parent of a process, its parent, and so on.
fn ancestors(pid: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = parent(pid);
    while let Some(pid) = next {
        next = parent(&pid);
        found.push(pid);
    }
    found
}

/// A process's parent; None for the first process, and where it cannot be seen.
fn parent(pid: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim();
    (parent != "0").then(|| parent.to_owned())
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a process has the tap open: a file /dev/net/tun with a line `iff:` (`tun_chr_show_fdinfo`).
fn holds(process: &str, tap: &IfName) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let mut taps = files.filter(|file| fs::read_link(file.path()).is_ok_and(|to| is_tun(&to)));
    taps.any(|file| {
        let info: PathBuf = Path::new("/proc").join(process).join("fdinfo").join(file.file_name());
        let text = fs::read_to_string(info).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("iff:").is_some_and(|name| name.trim() == tap.as_str()))
    })
}

/// The device may have any name; its files are shown with the one it was opened by.
fn is_tun(target: &Path) -> bool {
    target.to_string_lossy().contains("tun")
}
