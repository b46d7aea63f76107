//! What a running server may still do, and with it dnsmasq, which it starts: dnsmasq reads what guests send.
//!
//! In: its folder and its leases. Out: what could not be taken away. Never: comes before what needs more: that, and the sweep, which
//! needs to change networks, are begun first.

use std::io;
use std::path::Path;

use super::landlock::{self, Allowed, KEEP, READ, REMOVE_DIR, RUN, USE};
use super::place::Place;
use crate::error::Error;
use crate::rights::{self, CHOWN, DAC_OVERRIDE, KILL, NET_ADMIN, NET_BIND_SERVICE, NET_RAW, SETGID, SETUID};
use crate::seccomp::{self, NEVER, PLACES};

/// To start dnsmasq as another user, with three of them, to end it, and to give it its leases.
const KEPT: [u32; 8] = [NET_ADMIN, NET_BIND_SERVICE, NET_RAW, SETUID, SETGID, KILL, CHOWN, DAC_OVERRIDE];

/// Where programs and their libraries are, and what else can be read: not what is people's.
const PROGRAMS: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix", "/gnu"];
const READABLE: [&str; 4] = ["/etc", "/run", "/proc", "/sys"];
/// Devices that programs expect; the others are behind rights of their own.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"];
const DNS: u16 = 53;
/// Whichever is free: where a question by TCP comes from.
const ANY: u16 = 0;

/// Takes all else away, as far as the kernel can.
pub fn confine(place: &Place, leases: &Path) -> Vec<Error> {
    let done: [(&str, io::Result<()>); 3] = [
        ("give up rights", rights::keep(&KEPT)),
        ("close files to itself", files(place, leases)),
        ("close system calls to itself", seccomp::refuse(&[NEVER, PLACES])),
    ];
    done.into_iter().filter_map(|(doing, done)| done.map_err(Error::system(doing)).err()).collect()
}

fn files(place: &Place, leases: &Path) -> io::Result<()> {
    let at = |paths: &[&'static str], rights| {
        paths.iter().map(|path| (Path::new(*path), rights)).collect::<Vec<_>>()
    };
    let mut files = [at(&PROGRAMS, RUN), at(&READABLE, READ), at(&DEVICES, USE)].concat();
    // Where it is a link, whatever keeps its target keeps others beside it.
    let resolvers = std::fs::canonicalize("/etc/resolv.conf").ok();
    files.extend(resolvers.as_deref().and_then(Path::parent).map(|path| (path, READ)));
    files.extend([Some(place.path()), leases.parent()].into_iter().flatten().map(|path| (path, KEEP)));
    files.extend(place.deleted_from().map(|path| (path, REMOVE_DIR)));
    landlock::allow_only(&Allowed { files: &files, listened: &[DNS, ANY], connected: &[DNS] })
}
