//! Who holds a tap: which processes have its queue open.

mod all;
mod socket;
mod walk;

pub use all::{Holder, all};
pub use socket::of_socket;

use std::ffi::{CStr, OsStr};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::getppid;
use walk::{Limits, Walk};

use crate::model::IfName;

/// Whether a process has the tap open that has nothing to do with the start of this hook.
///
/// QEMU hands its hooks the open tap. A hook that has it was started by the tap's holder, its parent or, behind a
/// wrapper, an ancestor; one that has not (libvirt's) by its parent or by a person beside a running guest. When yet
/// another process has the tap by now, it was handed on, and the hook for its former guest must not touch it.
/// `carrier` is the tap's: without it nobody holds it. Where /proc cannot be read, or does not end, the hook is believed.
pub fn is_anothers(tap: &IfName, carrier: bool) -> bool {
    carrier && find_another(tap).unwrap_or_default()
}

/// How many processes are looked at while all other hooks wait, the newest first.
const MOST_PROCESSES: usize = 16 * 1024;

fn find_another(tap: &IfName) -> io::Result<bool> {
    let mut walk = Walk::new(Limits::LOCKED);
    let mut starters = ancestors("self")?;
    if !walk.holds("self", tap)? {
        starters.truncate(1);
    }
    let mut holder = None;
    for pid in &starters {
        if walk.holds(pid, tap)? {
            holder = Some(pid.clone());
        }
    }
    let Some(holder) = holder else { return Ok(true) };
    // Names of taps are per network namespace: the vif0.0 of a container is another one.
    let here = namespace("self")?;
    let is_here = |pid: &str| namespace(pid).is_ok_and(|there| there == here);
    // A child of the holder's, between its fork and its exec, has all of the holder's files.
    let is_ours = |pid: &str| ancestors(pid).is_ok_and(|all| all.contains(&holder));
    let others = walk::processes().into_iter().take(MOST_PROCESSES).map(|pid| pid.to_string());
    let mut others = others.filter(|pid| !starters.contains(pid) && is_here(pid));
    // Of other processes what cannot be read has ended meanwhile.
    Ok(others.any(|pid| walk.holds(&pid, tap).unwrap_or_default() && !is_ours(&pid)))
}

/// The processes that led to this one, the parent first, each with the words of its command line. What cannot be read ends it.
pub fn starters() -> impl Iterator<Item = (String, Vec<String>)> {
    let mut next = Some(getppid().to_string()).filter(|parent| parent != "0");
    let mut is_first = true;
    std::iter::from_fn(move || {
        if !std::mem::take(&mut is_first) {
            next = next.take().and_then(|pid| parent(&pid).ok()?);
        }
        let pid = next.clone()?;
        let (words, _) = all::arguments(&pid);
        Some((pid, words))
    })
}

/// The taps that a process has open, each with the number of the file, in that order.
pub fn taps(pid: &str) -> Vec<(u32, IfName)> {
    let mut taps = Walk::new(Limits::LOCKED).taps(pid).unwrap_or_default();
    taps.sort_unstable();
    taps
}

/// Whether one process has both taps open: the VM that started this hook, or whoever it is.
pub fn is_one_vm(one: &IfName, other: &IfName) -> bool {
    let mut walk = Walk::new(Limits::LOCKED);
    let starters = ancestors("self").unwrap_or_default();
    let others = walk::processes().into_iter().take(MOST_PROCESSES).map(|pid| pid.to_string());
    let here = namespace("self").ok();
    let mut all = starters.into_iter().chain(others);
    all.any(|pid| {
        let taps = walk.taps(&pid).unwrap_or_default();
        let has = |tap: &IfName| taps.iter().any(|(_, name)| name == tap);
        has(one) && has(other) && namespace(&pid).ok() == here
    })
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
    let status = read(&Path::new("/proc").join(pid).join("status"), STATUS_SIZE, STATUS_SIZE)?;
    let status = String::from_utf8_lossy(&status);
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
    Ok(parent.filter(|parent| *parent != "0").map(str::to_owned))
}

/// What tells a process's network namespace from others.
fn namespace(process: &str) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/net"))
}

/// The tap or tun that an open file is a queue of, with the file's number: a file /dev/net/tun has a line `iff:`
/// (`tun_chr_show_fdinfo`).
fn tap(process: &str, file: &CStr) -> io::Result<Option<(u32, IfName)>> {
    let file = OsStr::from_bytes(file.to_bytes());
    let path = Path::new("/proc").join(process).join("fdinfo").join(file);
    let bytes = read(&path, FDINFO_SIZE, FDINFO_SIZE)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = text.lines().find_map(|line| line.strip_prefix("iff:")).map(str::trim);
    let number = file.to_str().and_then(|number| number.parse().ok());
    Ok(number.zip(name.and_then(|name| IfName::new(name).ok())))
}

/// More than a status has.
const STATUS_SIZE: usize = 4096;

/// More than an fdinfo has.
const FDINFO_SIZE: usize = 1024;

/// What a file under /proc holds, up to `most` bytes. With `usual` bytes of room the kernel gives all of it at once, so
/// that no second read has to find the end, as in a file of unknown kind.
fn read(path: &Path, usual: usize, most: usize) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut bytes = vec![0; usual];
    let length = file.read(&mut bytes)?;
    bytes.truncate(length);
    if length == usual && most > usual {
        file.take((most - usual) as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The device may have any name; its files are shown with the one it was opened by.
fn is_tun(target: &OsStr) -> bool {
    target.to_string_lossy().contains("tun")
}
