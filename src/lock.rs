//! One kvmnet at a time: a lock on a file for the length of a run.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use crate::error::Error;
use crate::signals::{self, Hold};

/// The file. It stays: deleting it would let two processes hold two locks of one name.
pub const PATH: &str = "/run/kvmnet.lock";
/// The file that takes its place, while there is one that others may open.
const NEW: &str = "/run/kvmnet.lock.new";
/// How often that is tried; somebody would have to put files there all the while.
const TRIES: usize = 8;

/// The lock. It is held until the process ends, however that happens: nothing comes after the work, and unlocking
/// could fail.
pub struct Lock(#[allow(dead_code)] ManuallyDrop<Flock<File>>);

impl Lock {
    /// Takes the lock, or fails with the name of the process that holds it once [`signals::LOCK_WAIT`] of the run is
    /// over: QEMU stands still meanwhile.
    ///
    /// Whoever may open a file may lock it. One that was made by hand and is open to others gives way to a new one.
    pub fn take(hold: &Hold) -> Result<Self, Error> {
        for _ in 0..TRIES {
            if let Some(file) = open(PATH).map_err(failed(PATH))? {
                return lock(file, PATH, hold).map(|lock| Self(ManuallyDrop::new(lock)));
            }
            replace(hold)?;
        }
        Err(failed(PATH)(io::Error::other("it is open to others, again and again")))
    }
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("lock {path}");
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied if !nix::unistd::geteuid().is_root() => Error::LockClosed(source),
        _ => Error::System { doing, source },
    }
}

/// Opens a file that nobody but root may open, and makes it where there is none. None: it is no such file.
fn open(path: &str) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    // A link is not followed, and a FIFO not waited for.
    let file = match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => return Ok(None),
        file => file?,
    };
    let about = file.metadata()?;
    Ok(is_private(&about).then_some(file))
}

/// A group may be let in by whoever made the file: a user with CAP_NET_ADMIN is not root.
fn is_private(about: &Metadata) -> bool {
    let is_owned = about.uid() == 0 || about.uid() == nix::unistd::geteuid().as_raw();
    about.is_file() && is_owned && about.mode() & 0o007 == 0
}

/// Locks an open file.
fn lock(mut file: File, path: &str, hold: &Hold) -> Result<Flock<File>, Error> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return Ok(lock),
        Err((back, Errno::EWOULDBLOCK)) => file = back,
        Err((_, errno)) => return Err(failed(path)(errno.into())),
    }
    loop {
        match hold.lift(|| Flock::lock(file, FlockArg::LockExclusive)) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EINTR)) if !signals::is_wait_over() => file = back,
            Err((back, Errno::EINTR)) => {
                let seconds = signals::LOCK_WAIT.as_secs() as u32;
                return Err(Error::Locked { pid: holder(&back), seconds });
            }
            Err((_, errno)) => return Err(failed(path)(errno.into())),
        }
    }
}

/// Puts a file of root's alone in the place of one that is open to others.
///
/// One process at a time, by a lock on the new file: whoever has it and finds that it has that name still, and the old
/// one still open to others, may rename it. It holds the lock of the new name from its first moment on.
fn replace(hold: &Hold) -> Result<(), Error> {
    let Some(new) = open(NEW).map_err(failed(NEW))? else {
        return Err(failed(NEW)(io::Error::other("it is not a file of root's alone; delete it")));
    };
    let new = lock(new, NEW, hold)?;
    let is_named = |path: &str| -> io::Result<bool> {
        let (named, held) = (fs::symlink_metadata(path), new.metadata()?);
        Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())))
    };
    if !is_named(NEW).map_err(failed(NEW))? {
        return Ok(());
    }
    let is_good = fs::symlink_metadata(PATH).is_ok_and(|about| is_private(&about));
    if is_good { fs::remove_file(NEW) } else { fs::rename(NEW, PATH) }.map_err(failed(PATH))
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
