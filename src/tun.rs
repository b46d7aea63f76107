//! Taps that kvmnet makes (`Documentation/networking/tuntap.rst`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use nix::libc;

use crate::model::IfName;

/// The device.
const DEVICE: &str = "/dev/net/tun";
/// A tap that is there already is not taken (`include/uapi/linux/if_tun.h`).
const IFF_TUN_EXCL: libc::c_int = 0x8000;
/// The most queues that a tap can have (MAX_TAP_QUEUES).
pub const MOST_QUEUES: u16 = 256;

/// What a new tap is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub queues: u16,
    /// A frame has a header in front, with which the guest leaves checksums and segments to others (virtio).
    pub vnet_hdr: bool,
}

/// A tap that this process holds until the value goes.
pub struct Tap {
    pub name: IfName,
    /// Its queues, each an open file.
    pub queues: Vec<File>,
}

impl Tap {
    /// Makes a tap that goes with its last process, of this name or, with `%d` in it, of the first one that is free. EBUSY
    /// where there is one of that name already.
    pub fn new(pattern: &IfName, Shape { queues, vnet_hdr }: Shape) -> io::Result<Self> {
        let flags = kind(queues > 1) | if vnet_hdr { libc::IFF_VNET_HDR } else { 0 };
        let (name, first) = queue(pattern, flags | IFF_TUN_EXCL)?;
        let mut tap = Self { name, queues: vec![first] };
        for _ in 1..queues {
            tap.queues.push(queue(&name, flags)?.1);
        }
        Ok(tap)
    }

    /// Makes a persistent tap, or takes the one of that name; EBUSY where a process has it. `owner` is the number of a user
    /// who may open it without rights over the network.
    pub fn make(name: &IfName, multi_queue: bool, owner: Option<u32>) -> io::Result<Self> {
        let (name, file) = queue(name, kind(multi_queue))?;
        let tap = Self { name, queues: vec![file] };
        if let Some(owner) = owner {
            tap.set(libc::TUNSETOWNER, libc::c_ulong::from(owner))?;
        }
        tap.set_persistent(true)?;
        Ok(tap)
    }

    /// Has the tap go with this value.
    pub fn unmake(self) -> io::Result<()> {
        self.set_persistent(false)
    }

    fn set_persistent(&self, on: bool) -> io::Result<()> {
        self.set(libc::TUNSETPERSIST, libc::c_ulong::from(on))
    }

    fn set(&self, request: libc::Ioctl, value: libc::c_ulong) -> io::Result<()> {
        let Some(file) = self.queues.first() else { return Ok(()) };
        // SAFETY: the requests that are made take a number.
        checked(unsafe { libc::ioctl(file.as_raw_fd(), request, value) })
    }
}

/// What a tap is: Ethernet frames and nothing before them.
fn kind(multi_queue: bool) -> libc::c_int {
    libc::IFF_TAP | libc::IFF_NO_PI | if multi_queue { libc::IFF_MULTI_QUEUE } else { 0 }
}

/// A queue of a tap, and the name that the kernel has given it.
fn queue(name: &IfName, flags: libc::c_int) -> io::Result<(IfName, File)> {
    let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    // SAFETY: all bytes zero is a request without a name and without flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(name.as_bytes()).for_each(|(to, from)| *to = *from as _);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF takes a pointer to a request, and this one outlives the call.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    let name = request.ifr_name.map(|letter| letter as u8);
    let name = IfName::of_kernel(&name).ok_or_else(|| io::Error::other("the kernel gave it no name"))?;
    Ok((name, file))
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
