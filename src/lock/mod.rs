//! One kvmnet at a time: a lock on a file for the length of a run.

pub mod byte;
mod turn;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;

use crate::error::Error;
use crate::signals::{self, SignalsBlocked};
use turn::Turn;

/// The file. It stays: deleting it would let two processes hold two locks of one name.
pub const PATH: &str = "/run/kvmnet.lock";
/// The file that takes its place, while there is one that others may open.
const NEW: &str = "/run/kvmnet.lock.new";
/// How often that is tried; somebody would have to put files there all the while.
const TRIES: usize = 8;
/// How often a user's process looks whether its turn has come.
const PAUSE: Duration = Duration::from_millis(2);
/// The same where another one of the user's is first: there may be hundreds.
const LONG_PAUSE: Duration = Duration::from_millis(20);

/// The file, not yet locked: a process can open it before it gives up the right to.
pub struct LockFile(File);

impl LockFile {
    /// Opens the file for reading, which is enough to lock it. It is not made: it would be the wrong user's.
    pub fn open() -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        match options.open(PATH) {
            Ok(file) => Ok(Self(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoLock),
            Err(error) => Err(failed(PATH)(error)),
        }
    }
}

/// The lock. It is held until the process ends, however that happens, or until it is released: after most work nothing
/// comes, and unlocking could fail.
pub struct Lock(ManuallyDrop<Flock<File>>);

impl Lock {
    /// Takes the lock, or fails with the name of the process that holds it once [`signals::lock_wait`] of the run is
    /// over: QEMU stands still meanwhile.
    ///
    /// Whoever may open a file may lock it. One that was made by hand and is open to others gives way to a new one, unless
    /// it is root who holds its lock.
    pub fn take(hold: &SignalsBlocked) -> Result<Self, Error> {
        for _ in 0..TRIES {
            let file = open(PATH).map_err(failed(PATH))?;
            let lock = match file {
                Some(file) if is_private(&file.metadata().map_err(failed(PATH))?) => Some(lock(file, hold)?),
                file => replace(file, hold)?,
            };
            if let Some(lock) = lock {
                return Ok(Self(ManuallyDrop::new(lock)));
            }
        }
        Err(failed(PATH)(io::Error::other("it is open to others, again and again")))
    }

    /// The file, for locks on single bytes of it.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Gives the lock back, but not the file.
    pub fn into_file(self) -> Result<File, Error> {
        unlocked(ManuallyDrop::into_inner(self.0))
    }

    /// Takes the lock of a file that was opened before, if it is root's alone and still what others lock.
    pub fn take_of(file: LockFile, hold: &SignalsBlocked) -> Result<Self, Error> {
        let about = file.0.metadata().map_err(failed(PATH))?;
        let lock = lock(file.0, hold)?;
        if about.uid() != 0 || !is_private(&about) || !is_named(&lock, PATH).map_err(failed(PATH))? {
            return Err(failed(PATH)(io::Error::other(
                "it is not a file of root's alone; `kvmnet gc` makes a new one",
            )));
        }
        Ok(Self(ManuallyDrop::new(lock)))
    }

    /// Gives the lock back, before work that needs it no longer.
    pub fn release(self) {
        let _ = self.into_file();
    }
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("lock {path}");
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied if !nix::unistd::geteuid().is_root() => Error::LockClosed(source),
        io::ErrorKind::ReadOnlyFilesystem => Error::LockClosed(source),
        _ => Error::System { doing, source },
    }
}

/// Opens a file, and makes it where there is none. None: it is a link or a socket.
fn open(path: &str) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    // A link is not followed, and a FIFO not waited for.
    match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => Ok(None),
        file => file.map(Some),
    }
}

/// Whether nobody but root may open a file. A group may be let in by whoever made it: a user with CAP_NET_ADMIN is not
/// root.
fn is_private(about: &Metadata) -> bool {
    let is_owned = about.uid() == 0 || about.uid() == nix::unistd::geteuid().as_raw();
    about.is_file() && is_owned && about.mode() & 0o007 == 0
}

/// Whether an open file has this name still.
fn is_named(file: &File, path: &str) -> io::Result<bool> {
    let (named, held) = (fs::symlink_metadata(path), file.metadata()?);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())))
}

/// Locks a file, if that needs no wait.
fn try_lock(file: File) -> Result<Result<Flock<File>, File>, Error> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Ok(lock)),
        Err((back, Errno::EWOULDBLOCK)) => Ok(Err(back)),
        Err((_, errno)) => Err(failed(PATH)(errno.into())),
    }
}

/// Locks a file, and waits for it.
fn lock(file: File, hold: &SignalsBlocked) -> Result<Flock<File>, Error> {
    if signals::is_users() {
        return lock_in_turn(file, hold);
    }
    let mut file = match try_lock(file)? {
        Ok(lock) => return Ok(lock),
        Err(back) => back,
    };
    turn::announce(&file, true);
    loop {
        match hold.lift(|| Flock::lock(file, FlockArg::LockExclusive)) {
            Ok(lock) => {
                turn::announce(&lock, false);
                return Ok(lock);
            }
            Err((back, Errno::EINTR)) if !signals::is_wait_over() => file = back,
            Err((back, Errno::EINTR)) => return Err(taken(&back)),
            Err((_, errno)) => return Err(failed(PATH)(errno.into())),
        }
    }
}

/// The same for a user's process, whose turn may not have come although nobody has the lock.
fn lock_in_turn(mut file: File, hold: &SignalsBlocked) -> Result<Flock<File>, Error> {
    let turn = Turn::begin(&file).map_err(failed(PATH))?;
    loop {
        let is_first = turn.is_first(&file).map_err(failed(PATH))?;
        if is_first && !turn::does_root_wait(&file).map_err(failed(PATH))? {
            file = match try_lock(file)? {
                // One of root's may have come in between.
                Ok(lock) if turn::does_root_wait(&lock).map_err(failed(PATH))? => unlocked(lock)?,
                Ok(lock) => return Ok(lock),
                Err(back) => back,
            };
        }
        if signals::is_wait_over() {
            return Err(taken(&file));
        }
        hold.lift(|| thread::sleep(if is_first { PAUSE } else { LONG_PAUSE }));
    }
}

fn unlocked(lock: Flock<File>) -> Result<File, Error> {
    lock.unlock().map_err(|(lock, errno)| {
        // Its file would panic; it is closed with the process.
        std::mem::forget(lock);
        failed(PATH)(errno.into())
    })
}

fn taken(file: &File) -> Error {
    Error::Locked { pid: holder(file), seconds: signals::lock_wait().as_secs() as u32 }
}

/// Puts a file of root's alone in the place of one that is open to others, or takes its lock where root has it. None: what
/// is in its place now is to be looked at.
///
/// One process at a time, by a lock on the new file: whoever has it, and finds that it has that name still and the old one
/// is not good yet, may rename it.
fn replace(old: Option<File>, hold: &SignalsBlocked) -> Result<Option<Flock<File>>, Error> {
    let new = open(NEW).map_err(failed(NEW))?;
    let Some(new) = new.filter(|new| new.metadata().is_ok_and(|about| is_private(&about))) else {
        return Err(failed(NEW)(io::Error::other("it is not a file of root's alone; delete it")));
    };
    let new = lock(new, hold)?;
    if !is_named(&new, NEW).map_err(failed(NEW))? {
        return Ok(None);
    }
    // Nobody gets the old one before the new one is there.
    let _old = match old.map(try_lock).transpose()? {
        Some(Err(old)) if holder(&old).is_some_and(is_roots) => {
            fs::remove_file(NEW).map_err(failed(NEW))?;
            drop(new);
            let lock = lock(old, hold)?;
            return Ok(is_named(&lock, PATH).map_err(failed(PATH))?.then_some(lock));
        }
        other => other,
    };
    let is_good = fs::symlink_metadata(PATH).is_ok_and(|about| is_private(&about));
    if is_good { fs::remove_file(NEW) } else { fs::rename(NEW, PATH) }.map_err(failed(PATH))?;
    Ok(None)
}

/// Whether a process is root's, and not a user's that only runs as root (proc_pid_status(5)).
fn is_roots(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_whitespace().all(|user| user == "0"))
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
