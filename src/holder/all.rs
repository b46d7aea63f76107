//! All holders at once: one walk over /proc.

use std::path::Path;

use super::{namespace, processes, read, taps};
use crate::model::IfName;

/// A process that has taps open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line, the program first; that of a program which wiped it out is its name alone.
    pub arguments: Vec<String>,
    /// Its taps, each with the number of the open file, in that order; one with several queues has several files.
    pub taps: Vec<(u32, IfName)>,
    /// Whether it lives in another network namespace than this process. Names of taps are per namespace, so it may
    /// have another tap of the same name open.
    pub elsewhere: bool,
}

/// All of them, in the order of their numbers. What this user may not look into is left out.
pub fn all() -> Vec<Holder> {
    let here = namespace("self").ok();
    let holder = |pid: String| {
        let mut taps: Vec<(u32, IfName)> = taps(&pid).ok()?.filter_map(Result::ok).collect();
        if taps.is_empty() {
            return None;
        }
        taps.sort_unstable();
        let elsewhere = namespace(&pid).ok() != here;
        Some(Holder { pid: pid.parse().ok()?, arguments: arguments(&pid), taps, elsewhere })
    };
    let mut found: Vec<Holder> = processes().filter_map(holder).collect();
    found.sort_unstable_by_key(|holder| holder.pid);
    found
}

/// Most command lines are shorter.
const COMMAND_SIZE: usize = 8 * 1024;

fn arguments(pid: &str) -> Vec<String> {
    let read = |file: &str| read(&Path::new("/proc").join(pid).join(file), COMMAND_SIZE).unwrap_or_default();
    let line = read("cmdline");
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        return vec![String::from_utf8_lossy(&read("comm")).trim_end().to_owned()];
    }
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
