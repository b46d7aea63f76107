//! Taps that outlive the process that makes them (`Documentation/networking/tuntap.rst`).

use std::fs::{File, OpenOptions, read_to_string};
use std::io;
use std::os::fd::AsRawFd;

use nix::libc;

use crate::model::IfName;

/// The device.
const DEVICE: &str = "/dev/net/tun";

/// A persistent tap that this process holds until the value goes.
pub struct Tap(File);

impl Tap {
    /// Makes the tap, or takes the persistent one of that name; EBUSY where a process has it. `owner` is the number of
    /// a user who may open it without rights over the network.
    pub fn make(name: &IfName, owner: Option<u32>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
        // SAFETY: all bytes zero is a request without a name and without flags.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name.iter_mut().zip(name.as_bytes()).for_each(|(to, from)| *to = *from as _);
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF takes a pointer to a request, and this one outlives the call.
        checked(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
        let tap = Self(file);
        if let Some(owner) = owner {
            // SAFETY: TUNSETOWNER takes a number.
            checked(unsafe {
                libc::ioctl(tap.0.as_raw_fd(), libc::TUNSETOWNER, libc::c_ulong::from(owner))
            })?;
        }
        tap.set_persistent(true)?;
        Ok(tap)
    }

    /// Has the tap go with this value.
    pub fn unmake(self) -> io::Result<()> {
        self.set_persistent(false)
    }

    fn set_persistent(&self, on: bool) -> io::Result<()> {
        // SAFETY: TUNSETPERSIST takes a number.
        checked(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TUNSETPERSIST, libc::c_ulong::from(on)) })
    }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of a user: itself, or that of a name in /etc/passwd. Users of a directory service are given by number,
/// because a static program cannot load its modules (nsswitch.conf(5)).
pub fn user(name: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let users = read_to_string("/etc/passwd")?;
    Ok(users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    }))
}
