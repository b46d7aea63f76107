//! Raw sockets for every protocol: what they hear has passed all rules of the host for what comes in.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};

use crate::lab::Machine;
use crate::packets;

pub struct Ears(Vec<OwnedFd>);

impl Ears {
    pub fn of(machine: &Machine) -> Self {
        let protocols = [libc::AF_INET, libc::AF_INET6]
            .into_iter()
            .flat_map(|family| (1..255).map(move |of| (family, of)));
        let sockets: Vec<OwnedFd> =
            machine.enter(|| protocols.filter_map(|(family, of)| raw(family, of)).collect());
        assert!(sockets.len() > 480, "{} raw sockets", sockets.len());
        Self(sockets)
    }

    /// The numbers of the packets that were heard.
    pub fn heard(&mut self) -> BTreeSet<usize> {
        let mut heard = BTreeSet::new();
        let mut bytes = [0; 4096];
        for socket in &self.0 {
            while let Ok(length) = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                heard.extend(packets::number(&bytes[..length]));
            }
        }
        heard
    }
}

fn raw(family: i32, protocol: i32) -> Option<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket() takes no pointer.
    let fd = Errno::result(unsafe { libc::socket(family, kind, protocol) }).ok()?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).expect("root may have a large buffer");
    Some(socket)
}
