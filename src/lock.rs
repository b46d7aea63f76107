//! One kvmnet at a time: a lock on a file for the length of a run.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use crate::error::Error;
use crate::signals;

/// The file. It stays: deleting it would let two processes hold two locks of one name.
pub const PATH: &str = "/run/kvmnet.lock";
/// The lock. It is held until the process ends, however that happens: nothing comes after the work, and unlocking
/// could fail.
pub struct Lock(#[allow(dead_code)] ManuallyDrop<Flock<File>>);

impl Lock {
    /// Takes the lock, or fails with the name of the process that holds it once [`signals::LOCK_WAIT`] of the run is
    /// over: QEMU stands still meanwhile.
    pub fn take() -> Result<Self, Error> {
        let failed = || Error::system(format!("lock {PATH}"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(PATH);
        let mut file = file.map_err(failed())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Self(ManuallyDrop::new(lock))),
            Err((back, Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => return Err(failed()(errno.into())),
        }
        loop {
            match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(lock) => return Ok(Self(ManuallyDrop::new(lock))),
                Err((back, Errno::EINTR)) if !signals::is_wait_over() => file = back,
                Err((back, Errno::EINTR)) => {
                    let seconds = signals::LOCK_WAIT.as_secs() as u32;
                    return Err(Error::Locked { pid: holder(&back), seconds });
                }
                Err((_, errno)) => return Err(failed()(errno.into())),
            }
        }
    }
}

/// Who holds the lock, from /proc/locks (proc(5)): `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`.
fn holder(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let (major, minor) = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks: io::Result<String> = fs::read_to_string("/proc/locks");
    let locks = locks.ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "FLOCK", _, _, pid, at, ..] if *at == place => pid.parse().ok(),
            _ => None,
        }
    })
}
