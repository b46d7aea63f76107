//! Whose turn it is, among those who found the lock taken: root's programs come first, and of each user's only the first one
//! tries. So root waits for the process alone that has the lock, and another user for at most one of each of the others, however
//! many they start.
//!
//! Each says by a byte of the file that it waits (the bytes that say who serves a network are far behind these). A user's process
//! can stand still at any moment; it has an end of its own.

use std::fs::File;
use std::io;
use std::process;

use nix::libc;
use nix::unistd::getuid;

use super::byte::{self, Kind};

/// One of root's waits.
const ROOT: libc::off_t = 1 << 61;
/// From here on each user has a byte for each process.
const USERS: libc::off_t = 1 << 60;
/// Behind the largest number of a process (PID_MAX_LIMIT).
const PROCESSES: libc::off_t = 1 << 22;

/// Says that one of root's programs waits, or does so no longer. Without it, it waits as others do.
pub fn announce(file: &File, waits: bool) {
    let _ = byte::set(file, if waits { Kind::Shared } else { Kind::Free }, ROOT);
}

/// A user's process that waits.
pub struct Turn {
    /// Of the bytes of this user's processes.
    first: libc::off_t,
    own: libc::off_t,
}

impl Turn {
    /// Begins to wait.
    pub fn begin(file: &File) -> io::Result<Self> {
        let first = USERS + libc::off_t::from(getuid().as_raw()) * PROCESSES;
        let own = libc::off_t::from(process::id()) % PROCESSES;
        byte::set(file, Kind::Shared, first + own)?;
        Ok(Self { first, own })
    }

    /// Whether no other process of this user's with a lower number waits.
    pub fn is_first(&self, file: &File) -> io::Result<bool> {
        Ok(self.own == 0 || byte::holder(file, self.first, self.own)?.is_none())
    }
}

/// Whether another process of root's waits.
pub fn does_root_wait(file: &File) -> io::Result<bool> {
    byte::holder(file, ROOT, 1).map(|holder| holder.is_some())
}
