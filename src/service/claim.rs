//! Who serves a network: whoever has a lock on a byte of its own in the lock file. It goes with its process, however that
//! ends, and no user can take it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::libc;

use crate::lock::{self, byte, byte::Kind};

/// The byte of the bridge with this number. Bridges of other network namespaces, which may see the same file, have others.
fn byte_of(bridge: u32) -> libc::off_t {
    let namespace = fs::metadata("/proc/self/ns/net").map_or(0, |about| about.ino());
    ((namespace & 0xffff_ffff) << 31 | u64::from(bridge & 0x7fff_ffff)) as libc::off_t
}

/// The process that serves a bridge.
pub fn holder(file: &File, bridge: u32) -> io::Result<Option<u32>> {
    byte::holder(file, byte_of(bridge), 1)
}

/// Takes the byte of a bridge; false where another process has it. It is held until this process ends, or closes the file
/// under any number.
pub fn take(file: &File, bridge: u32) -> io::Result<bool> {
    byte::set(file, Kind::Alone, byte_of(bridge))
}

/// The same as [`holder`] for those who may not open the file, from /proc/locks (proc(5)):
/// `1: POSIX ADVISORY WRITE PID MAJOR:MINOR:INODE START END`.
pub fn holder_seen(bridge: u32) -> Option<u32> {
    let about = fs::metadata(lock::PATH).ok()?;
    let (major, minor) = (libc::major(about.dev()), libc::minor(about.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", about.ino());
    let start = byte_of(bridge).to_string();
    let locks: String = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "POSIX", _, _, pid, at, from, ..] if at == place && from == start => pid.parse().ok(),
        _ => None,
    })
}
