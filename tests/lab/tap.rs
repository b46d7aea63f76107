//! Tap interfaces: what QEMU opens, what the hooks are given.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use super::Machine;

/// `TUNSETIFF` and the flags of `<linux/if_tun.h>`; the ioctl is declared as taking an int, and takes an ifreq.
const TUNSETIFF: libc::c_ulong = nix::request_code_write!(b'T', 202, size_of::<libc::c_int>());
nix::ioctl_write_ptr_bad!(tunsetiff, TUNSETIFF, libc::ifreq);

/// An open tap: one `read` or `write` is one Ethernet frame. It vanishes from its machine when this is dropped.
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes a tap on a machine, or opens a persistent one.
    pub fn open(machine: &Machine, name: &str) -> Self {
        Self::open_as(machine, name, libc::IFF_TAP | libc::IFF_NO_PI)
    }

    /// The same as QEMU does: each frame has the header of a virtual NIC before it.
    pub fn open_with_headers(machine: &Machine, name: &str) -> Self {
        Self::open_as(machine, name, libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR)
    }

    fn open_as(machine: &Machine, name: &str, flags: i32) -> Self {
        let file = machine.enter(|| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/net/tun")
                .expect("the labs need /dev/net/tun");
            attach(&file, name, flags);
            file
        });
        Self { file }
    }

    /// Sends a frame into the machine that has the tap; one whose tap is down or gone is lost, as on a real wire.
    pub fn send(&self, frame: &[u8]) {
        let _lost = (&self.file).write(frame);
    }

    /// The next frame that the machine sent through the tap, if there is one.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; 65536];
        let length = (&self.file).read(&mut frame).ok()?;
        frame.truncate(length);
        Some(frame)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Makes `file`, a `/dev/net/tun`, the tap of this name, with these flags.
fn attach(file: &File, name: &str, flags: i32) {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: i16::try_from(flags).expect("tap flags fit a short"),
        },
    };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    // SAFETY: TUNSETIFF reads and writes one ifreq, which `request` is, for the time of the call.
    unsafe { tunsetiff(file.as_raw_fd(), &raw const request) }
        .unwrap_or_else(|error| panic!("a tap named {name} must be possible: {error}"));
}
