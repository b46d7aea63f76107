//! Who serves a network: whoever has a lock on a byte of its own in the lock file. It goes with its process, however that
//! ends, and no user can take it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::libc;

use crate::lock;

/// The byte of the bridge with this number. Bridges of other network namespaces, which may see the same file, have others.
fn byte(bridge: u32) -> libc::off_t {
    let namespace = fs::metadata("/proc/self/ns/net").map_or(0, |about| about.ino());
    ((namespace & 0xffff_ffff) << 31 | u64::from(bridge & 0x7fff_ffff)) as libc::off_t
}

fn request(bridge: u32) -> libc::flock {
    // SAFETY: every field of it may be zero.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = libc::F_WRLCK as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    request.l_start = byte(bridge);
    request.l_len = 1;
    request
}

/// The process that serves a bridge.
pub fn holder(file: &File, bridge: u32) -> io::Result<Option<u32>> {
    let mut request = request(bridge);
    // SAFETY: the pointer is to a value that outlives the call.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut request) })?;
    let is_free = request.l_type == libc::F_UNLCK as libc::c_short;
    Ok((!is_free).then_some(request.l_pid.unsigned_abs()))
}

/// Takes the byte of a bridge; false where another process has it. It is held until this process ends, or closes the file
/// under any number.
pub fn take(file: &File, bridge: u32) -> io::Result<bool> {
    let request = request(bridge);
    // SAFETY: the pointer is to a value that outlives the call.
    match Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const request) }) {
        Ok(_) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
/// The same as [`holder`] for those who may not open the file, from /proc/locks (proc(5)):
/// `1: POSIX ADVISORY WRITE PID MAJOR:MINOR:INODE START END`.
pub fn holder_seen(bridge: u32) -> Option<u32> {
    let about = fs::metadata(lock::PATH).ok()?;
    let (major, minor) = (libc::major(about.dev()), libc::minor(about.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", about.ino());
    let start = byte(bridge).to_string();
    let locks: String = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, "POSIX", _, _, pid, at, from, ..] if at == place && from == start => pid.parse().ok(),
        _ => None,
    })
}
