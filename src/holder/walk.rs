//! A walk over all processes, with an end: a user may have as many of them, and of open files, as the machine takes.
//!
//! Of each process, of each user and of all together so many open files are looked at and no more. What one user's are too many
//! for is only that user's own: a tap that is hidden among them has no holder, and whoever hides it does not keep it. QEMU opens
//! its taps first, with low numbers.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use super::{is_tun, tap};
use crate::model::IfName;

/// How many open files are looked at: of one process, of one user's, of all.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    process: usize,
    user: usize,
    all: usize,
}

impl Limits {
    /// While all other hooks wait.
    pub const LOCKED: Self = Self { process: 2048, user: 8 * 1024, all: 32 * 1024 };
    /// While only a person waits.
    pub const FREE: Self = Self { process: 4096, user: 64 * 1024, all: 256 * 1024 };
}

/// What a process costs at least.
const PROCESS: usize = 8;

pub struct Walk {
    /// What is left of them, `user` apart.
    limits: Limits,
    /// What is left to each user.
    users: BTreeMap<u32, usize>,
}

impl Walk {
    pub fn new(limits: Limits) -> Self {
        Self { limits, users: BTreeMap::new() }
    }

    /// Whether a process has the tap open.
    pub fn holds(&mut self, pid: &str, tap: &IfName) -> io::Result<bool> {
        self.taps(pid).map(|taps| taps.iter().any(|(_, name)| name == tap))
    }

    /// The taps and tuns that a process has open, each with the number of the file, as far as it is looked at.
    ///
    /// On a machine with many processes this is most of the work, so the links are read relative to their directory.
    pub fn taps(&mut self, pid: &str) -> io::Result<Vec<(u32, IfName)>> {
        let process = Path::new("/proc").join(pid);
        let user = fs::metadata(&process)?.uid();
        let left = self.users.entry(user).or_insert(self.limits.user);
        let room = self.limits.process.min(*left).min(self.limits.all);
        if room == 0 {
            return Ok(Vec::new());
        }
        let (looked_at, taps) = taps(pid, room)?;
        let cost = looked_at.max(PROCESS);
        *left = left.saturating_sub(cost);
        self.limits.all = self.limits.all.saturating_sub(cost);
        Ok(taps)
    }
}

/// How many open files were looked at, and the taps among them.
fn taps(pid: &str, most: usize) -> io::Result<(usize, Vec<(u32, IfName)>)> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::open(&Path::new("/proc").join(pid).join("fd"), flags, Mode::empty())?;
    let names = directory.iter().take(most).map(|file| file.map(|file| file.file_name().to_owned()));
    let files: Vec<CString> = names.collect::<Result<_, _>>()?;
    // A file that was closed meanwhile, as the one that reads this directory, has no target.
    let is_tun = |file: &&CString| readlinkat(&directory, file.as_c_str()).is_ok_and(|to| is_tun(&to));
    let taps = files.iter().filter(is_tun).filter_map(|file| tap(pid, file).transpose());
    Ok((files.len(), taps.collect::<io::Result<_>>()?))
}

/// The processes, the newest first: who has got a tap just now is one of them.
pub fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // /proc lists them by their numbers (`proc_pid_readdir`).
    found.reverse();
    found
}
