//! Locks on bytes of the lock's file (fcntl(2)). Each says something by its place; they go with their process, however that
//! ends, or once it closes the file under any number.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;

/// How a byte is locked. Whoever may only read the file can share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Alone = libc::F_WRLCK as isize,
    Shared = libc::F_RDLCK as isize,
    Free = libc::F_UNLCK as isize,
}

fn request(kind: Kind, start: libc::off_t, length: libc::off_t) -> libc::flock {
    // SAFETY: every field of it may be zero.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    request.l_start = start;
    request.l_len = length;
    request
}

/// Another process that has one of these bytes.
pub fn holder(file: &File, start: libc::off_t, length: libc::off_t) -> io::Result<Option<u32>> {
    let mut request = request(Kind::Alone, start, length);
    // SAFETY: the pointer is to a value that outlives the call.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut request) })?;
    let is_free = request.l_type == libc::F_UNLCK as libc::c_short;
    Ok((!is_free).then_some(request.l_pid.unsigned_abs()))
}

/// Takes a byte, or gives it back; false where another process has it.
pub fn set(file: &File, kind: Kind, byte: libc::off_t) -> io::Result<bool> {
    let request = request(kind, byte, 1);
    // SAFETY: the pointer is to a value that outlives the call.
    match Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const request) }) {
        Ok(_) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
