//! All taps at once: one walk over /proc.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use super::{interface, is_tun, processes, read};

/// A process that has a tap open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line; that of a program which wiped it out is its name alone.
    pub command: Vec<String>,
    /// Whether it lives in another network namespace than this process. Names of taps are per namespace, so it may
    /// have another tap of the same name open.
    pub elsewhere: bool,
}

/// Who has which tap open, by the tap's name; the processes in the order of their numbers. What this user may not look
/// into is left out.
pub fn of_all() -> HashMap<String, Vec<Holder>> {
    let here = namespace("self");
    let mut found: HashMap<String, Vec<Holder>> = HashMap::new();
    for pid in processes() {
        let taps = taps(&pid);
        let (false, Ok(number)) = (taps.is_empty(), pid.parse()) else { continue };
        let holder = Holder { pid: number, command: command(&pid), elsewhere: namespace(&pid) != here };
        for tap in taps {
            found.entry(tap).or_default().push(holder.clone());
        }
    }
    for holders in found.values_mut() {
        holders.sort_by_key(|holder| holder.pid);
        // One that is elsewhere is only taken for a tap's holder where nobody here is.
        if holders.iter().any(|holder| !holder.elsewhere) {
            holders.retain(|holder| !holder.elsewhere);
        }
    }
    found
}

fn namespace(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// The taps that a process has open, each once; a tap may have several queues.
///
/// On a machine with many processes this is most of the work, so the links are read relative to their directory.
fn taps(pid: &str) -> Vec<String> {
    let mut taps = Vec::new();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut directory) = Dir::open(&Path::new("/proc").join(pid).join("fd"), flags, Mode::empty()) else {
        return taps;
    };
    let names = directory.iter().flatten().map(|file| file.file_name().to_owned());
    let files: Vec<CString> = names.filter(|name| !name.to_bytes().starts_with(b".")).collect();
    for file in &files {
        if readlinkat(&directory, file.as_c_str()).is_ok_and(|target| is_tun(Path::new(&target))) {
            taps.extend(interface(pid, OsStr::from_bytes(file.to_bytes())).ok().flatten());
        }
    }
    taps.sort_unstable();
    taps.dedup();
    taps
}

/// Most command lines are shorter.
const COMMAND_SIZE: usize = 8 * 1024;

fn command(pid: &str) -> Vec<String> {
    let read = |file: &str| read(&Path::new("/proc").join(pid).join(file), COMMAND_SIZE).unwrap_or_default();
    let line = read("cmdline");
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        return vec![String::from_utf8_lossy(&read("comm")).trim_end().to_owned()];
    }
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
