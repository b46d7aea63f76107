//! What this process, and all that it starts, may do with files and TCP from now on (landlock(7)).
//!
//! In: folders and files, with what may be done there. Out: nothing, or why not. Never: decides which.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

/// `include/uapi/linux/landlock.h`; 444 to 446 on all architectures.
const CREATE_RULESET: libc::c_long = 444;
const ADD_RULE: libc::c_long = 445;
const RESTRICT_SELF: libc::c_long = 446;
const VERSION: libc::c_uint = 1;
const PATH_BENEATH: libc::c_uint = 1;
const NET_PORT: libc::c_uint = 2;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_REG: u64 = 1 << 8;
const TRUNCATE: u64 = 1 << 14;
/// Of a file that is no folder, only these can be allowed.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

/// To read what is there.
pub const READ: u64 = READ_FILE | READ_DIR;
/// To run it, too.
pub const RUN: u64 = READ | EXECUTE;
/// To delete a folder there.
pub const REMOVE_DIR: u64 = 1 << 4;
/// To keep files there.
pub const KEEP: u64 = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_REG;
/// To write to a device.
pub const USE: u64 = READ_FILE | WRITE_FILE;

const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 2;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    files: u64,
    ports: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: libc::c_int,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct Port {
    allowed: u64,
    number: u64,
}

/// What shall be allowed. All else that the kernel knows to ask about is not.
pub struct Allowed<'a> {
    pub files: &'a [(&'a Path, u64)],
    /// TCP ports that may be listened on, and that may be connected to.
    pub listened: &'a [u16],
    pub connected: &'a [u16],
}

/// Allows that, and nothing else any more. Only who can gain no rights ([`crate::rights::keep`]) may say so. A kernel that has no such thing, or has not been told to, allows all.
pub fn allow_only(allowed: &Allowed) -> io::Result<()> {
    // SAFETY: with this flag nothing is read.
    let version = unsafe { libc::syscall(CREATE_RULESET, std::ptr::null::<Ruleset>(), 0, VERSION) };
    if version < 1 {
        return match Errno::last() {
            Errno::ENOSYS | Errno::EOPNOTSUPP => Ok(()),
            errno => Err(errno.into()),
        };
    }
    let attributes = known_to(version);
    let ruleset = create(&attributes, version)?;
    for (path, rights) in allowed.files {
        allow_beneath(&ruleset, path, rights & attributes.files)?;
    }
    if attributes.ports != 0 {
        for (ports, what) in [(allowed.listened, BIND_TCP), (allowed.connected, CONNECT_TCP)] {
            ports.iter().try_for_each(|port| allow_port(&ruleset, *port, what))?;
        }
    }
    // SAFETY: the file is a ruleset, and there are no flags.
    checked(unsafe { libc::syscall(RESTRICT_SELF, ruleset.as_raw_fd(), 0) }).map(drop)
}

/// All that a kernel with this version of the interface can ask about.
fn known_to(version: libc::c_long) -> Ruleset {
    // Renames across folders since 2, TRUNCATE since 3, and devices' own requests since 5, which are left alone.
    let files =
        (1 << match version {
            1 => 13,
            2 => 14,
            _ => 15,
        }) - 1;
    let ports = if version >= 4 { BIND_TCP | CONNECT_TCP } else { 0 };
    // Abstract sockets and signals of processes outside.
    let scoped = if version >= 6 { 3 } else { 0 };
    Ruleset { files, ports, scoped }
}

fn create(attributes: &Ruleset, version: libc::c_long) -> io::Result<OwnedFd> {
    // An older kernel takes what is longer only where the rest is zero.
    let size = match version {
        1..=3 => 8,
        4..=5 => 16,
        _ => size_of::<Ruleset>(),
    };
    // SAFETY: the pointer is to a value of at least this size that outlives the call.
    let file = checked(unsafe { libc::syscall(CREATE_RULESET, &raw const *attributes, size, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(file as libc::c_int) })
}

/// Allows it at a path, and below. One that is not there is none that could be opened.
fn allow_beneath(ruleset: &OwnedFd, path: &Path, rights: u64) -> io::Result<()> {
    let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path) else { return Ok(()) };
    let rights = if file.metadata()?.is_dir() { rights } else { rights & OF_FILES };
    let rule = Beneath { allowed: rights, parent: file.as_raw_fd() };
    // SAFETY: the pointer is to a value that outlives the call.
    checked(unsafe { libc::syscall(ADD_RULE, ruleset.as_raw_fd(), PATH_BENEATH, &raw const rule, 0) })
        .map(drop)
}

fn allow_port(ruleset: &OwnedFd, port: u16, rights: u64) -> io::Result<()> {
    let rule = Port { allowed: rights, number: port.into() };
    // SAFETY: the pointer is to a value that outlives the call.
    checked(unsafe { libc::syscall(ADD_RULE, ruleset.as_raw_fd(), NET_PORT, &raw const rule, 0) }).map(drop)
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
