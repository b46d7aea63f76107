//! All holders at once: one walk over /proc.

use std::path::Path;

use super::walk::{Limits, Walk, processes};
use super::{namespace, read};
use crate::model::IfName;

/// A process that has taps open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its command line, the program first; that of a program which wiped it out is its name alone.
    pub arguments: Vec<String>,
    /// Whether its command line is longer than what is read of one.
    pub is_cut: bool,
    /// Its taps, each with the number of the open file, in that order; one with several queues has several files.
    pub taps: Vec<(u32, IfName)>,
    /// Whether it lives in another network namespace than this process. Names of taps are per namespace, so it may
    /// have another tap of the same name open.
    pub other_netns: bool,
}

/// All of them, in the order of their numbers. What this user may not look into is left out.
pub fn all() -> Vec<Holder> {
    let here = namespace("self").ok();
    let mut walk = Walk::new(Limits::FREE);
    let holder = |number: u32| {
        let pid = number.to_string();
        let mut taps = walk.taps(&pid).ok().filter(|taps| !taps.is_empty())?;
        taps.sort_unstable();
        let other_netns = namespace(&pid).ok() != here;
        let (arguments, is_cut) = arguments(&pid);
        Some(Holder { pid: number, arguments, is_cut, taps, other_netns })
    };
    let mut found: Vec<Holder> = processes().into_iter().filter_map(holder).collect();
    found.sort_unstable_by_key(|holder| holder.pid);
    found
}

/// Most command lines are shorter, and those of VMs with many disks and NICs shorter than the second.
const COMMAND_SIZE: usize = 8 * 1024;
const COMMAND_MAX: usize = 256 * 1024;

/// The words of a command line, and whether there is more of it than is read.
pub(super) fn arguments(pid: &str) -> (Vec<String>, bool) {
    let read = |file: &str, most: usize| {
        read(&Path::new("/proc").join(pid).join(file), COMMAND_SIZE, most).unwrap_or_default()
    };
    let mut line = read("cmdline", COMMAND_MAX);
    let is_cut = line.len() >= COMMAND_MAX;
    if is_cut {
        // The last word may be half a word.
        line.truncate(line.iter().rposition(|byte| *byte == 0).unwrap_or_default());
    }
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        let name = read("comm", COMMAND_SIZE);
        return (vec![String::from_utf8_lossy(&name).trim_end().to_owned()], is_cut);
    }
    (line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect(), is_cut)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn of_a_command_line_without_end_the_beginning_is_read() {
        let long = |words: usize| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "read nothing"]).args(vec!["x".repeat(999); words]).stdin(Stdio::piped());
            let mut child = shell.spawn().unwrap();
            let pid = child.id().to_string();
            // Until exec(2) it is this program's own.
            let mut read = arguments(&pid);
            while read.0.len() == 1 || read.0[0] != "sh" {
                std::thread::yield_now();
                read = arguments(&pid);
            }
            child.kill().unwrap();
            child.wait().unwrap();
            read
        };
        let (words, is_cut) = long(100);
        assert_eq!((words.len(), is_cut), (103, false));
        let (words, is_cut) = long(1000);
        assert_eq!((words.len(), is_cut), (3 + 262, true));
        assert!(words.iter().skip(3).all(|word| word.len() == 999), "no word is cut in half");
    }
}
