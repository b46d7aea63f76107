//! Who holds a tap: which processes have its queue open.

mod all;

pub use all::{Holder, of_all};

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::model::IfName;

/// Whether a process has the tap open that has nothing to do with the start of this hook.
///
/// QEMU hands its hooks the open tap. A hook that has it was started by the tap's holder, its parent or, behind a
/// wrapper, an ancestor; one that has not (libvirt's) by its parent or by a person beside a running guest. When yet
/// another process has the tap by now, it was handed on, and the hook for its former guest must not touch it.
/// `carrier` is the tap's: without it nobody holds it. Where /proc cannot be read, the hook is believed.
pub fn is_anothers(tap: &IfName, carrier: bool) -> bool {
    carrier && find_another(tap).unwrap_or_default()
}

fn find_another(tap: &IfName) -> io::Result<bool> {
    let mut starters = ancestors(&std::process::id().to_string())?;
    if !holds("self", tap)? {
        starters.truncate(1);
    }
    let mut holder = None;
    for pid in &starters {
        if holds(pid, tap)? {
            holder = Some(pid.clone());
        }
    }
    let Some(holder) = holder else { return Ok(true) };
    // Names of taps are per network namespace: the vif0.0 of a container is another one.
    let here = fs::read_link("/proc/self/ns/net")?;
    let is_here =
        |pid: &String| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|there| there == here);
    // A child of the holder's, between its fork and its exec, has all of the holder's files.
    let is_ours =
        |pid: &String| starters.contains(pid) || ancestors(pid).is_ok_and(|all| all.contains(&holder));
    // Of other processes what cannot be read has ended meanwhile.
    Ok(processes().filter(is_here).any(|pid| holds(&pid, tap).unwrap_or_default() && !is_ours(&pid)))
}

/// The parent of a process, its parent, and so on.
fn ancestors(pid: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut next = parent(pid)?;
    while let Some(pid) = next {
        next = parent(&pid)?;
        found.push(pid);
    }
    Ok(found)
}

/// A process's parent; None for the first process.
fn parent(pid: &str) -> io::Result<Option<String>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
    Ok(parent.filter(|parent| *parent != "0").map(str::to_owned))
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a process has the tap open.
fn holds(process: &str, tap: &IfName) -> io::Result<bool> {
    for file in fs::read_dir(format!("/proc/{process}/fd"))? {
        let file = file?;
        // A file that was closed meanwhile, as the one that reads this directory, has no target.
        if !fs::read_link(file.path()).is_ok_and(|target| is_tun(&target)) {
            continue;
        }
        if interface(process, &file.file_name())?.as_deref() == Some(tap.as_str()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The tap or tun that an open file is a queue of: a file /dev/net/tun has a line `iff:` (`tun_chr_show_fdinfo`).
fn interface(process: &str, file: &OsStr) -> io::Result<Option<String>> {
    let bytes = read(&Path::new("/proc").join(process).join("fdinfo").join(file), FDINFO_SIZE)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().find_map(|line| line.strip_prefix("iff:")).map(|name| name.trim().to_owned()))
}

/// More than an fdinfo has.
const FDINFO_SIZE: usize = 1024;

/// What a file under /proc holds. With `usual` bytes of room the kernel gives all of it at once, so that no second read
/// has to find the end, as in a file of unknown kind.
fn read(path: &Path, usual: usize) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut bytes = vec![0; usual];
    let length = file.read(&mut bytes)?;
    bytes.truncate(length);
    if length == usual {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The device may have any name; its files are shown with the one it was opened by.
fn is_tun(target: &Path) -> bool {
    target.to_string_lossy().contains("tun")
}
