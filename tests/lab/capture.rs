//! What arrives at a machine, seen below its IP stack.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{LinkAddr, recvfrom, setsockopt, sockopt};

use super::{Machine, frame};

/// For what has come and is not read yet.
const ROOM: usize = 64 << 20;

/// One packet that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub target: IpAddr,
}

/// A packet socket on all interfaces of a machine; it collects from the moment it is opened.
pub struct Capture {
    socket: OwnedFd,
    frames: Vec<Vec<u8>>,
    /// The interface that each of them came in by, in the same order.
    interfaces: Vec<usize>,
}

impl Capture {
    /// Everything that arrives at the machine, whatever its firewall does with it then.
    pub fn of_wire(machine: &Machine) -> Self {
        Self::of_stack(machine, libc::ETH_P_ALL as u16)
    }

    /// The frames of one ethertype that the stack of the machine is given to handle: what a chain on the interface
    /// drops does not count.
    pub fn of_stack(machine: &Machine, ethertype: u16) -> Self {
        let socket = machine.enter(|| packet_socket(ethertype));
        Self {
            socket: socket.expect("a packet socket needs root"),
            frames: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    /// The frames that came in until now (those the machine sent itself left out).
    pub fn frames(&mut self) -> &[Vec<u8>] {
        let mut bytes = [0; 65536];
        while let Ok((length, Some(from))) = recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut bytes) {
            if from.pkttype() != libc::PACKET_OUTGOING {
                self.frames.push(bytes[..length].to_vec());
                self.interfaces.push(from.ifindex());
            }
        }
        &self.frames
    }

    /// Those that came in by one interface, by its number.
    pub fn frames_by(&mut self, interface: usize) -> Vec<Vec<u8>> {
        self.frames();
        let both = self.frames.iter().zip(&self.interfaces);
        both.filter(|(_, by)| **by == interface).map(|(frame, _)| frame.clone()).collect()
    }

    /// The same, each with the number of the interface that it came in by.
    pub fn both(&mut self) -> impl Iterator<Item = (&Vec<u8>, &usize)> {
        self.frames();
        self.frames.iter().zip(&self.interfaces)
    }

    /// How many came while nobody read, and are lost: since this was asked last.
    pub fn missed(&self) -> u32 {
        let mut counts: libc::tpacket_stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of::<libc::tpacket_stats>() as u32;
        // SAFETY: both pointers are to values that outlive the call, and the length is that of the first.
        let got = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        Errno::result(got).expect("a packet socket counts");
        counts.tp_drops
    }

    /// The IP packets among them.
    pub fn packets(&mut self) -> Vec<Packet> {
        let addresses = self.frames().iter().filter_map(|bytes| frame::addresses(bytes));
        addresses.map(|(source, target)| Packet { source, target }).collect()
    }

    /// The sources of the IP packets that came for `target`.
    pub fn sources_towards(&mut self, target: &str) -> Vec<String> {
        let target: IpAddr = target.parse().expect("an address");
        let mut sources: Vec<String> =
            self.packets().iter().filter(|p| p.target == target).map(|p| p.source.to_string()).collect();
        sources.sort();
        sources.dedup();
        sources
    }
}

/// Sends a frame made by hand out by an interface of a machine: one that is an attacker's.
pub fn inject(machine: &Machine, interface: &str, bytes: &[u8]) {
    machine.enter(|| {
        let sent = send_here(interface, [bytes]);
        assert_eq!(sent, 1, "the frame is sent");
    });
}

/// Sends many of them. Those that the interface does not take, as they are too long, are lost.
pub fn inject_all<'a>(
    machine: &Machine,
    interface: &str,
    frames: impl IntoIterator<Item = &'a [u8]> + Send,
) -> usize {
    machine.enter(|| send_here(interface, frames))
}

/// The same on the machine that the calling thread is on; returns how many were taken.
pub fn send_here<'a>(interface: &str, frames: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let socket = packet_socket(0).expect("a packet socket needs root");
    let number = nix::net::if_::if_nametoindex(interface).expect("the interface");
    let send = |bytes: &&[u8]| {
        // SAFETY: every field of a sockaddr_ll may be zero.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = i32::try_from(number).expect("a number");
        // SAFETY: both pointers are to values that outlive the call, with their lengths.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const to).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        Errno::result(sent).is_ok()
    };
    frames.into_iter().filter(send).count()
}

/// A packet socket on every interface; nix knows only some ethertypes.
fn packet_socket(ethertype: u16) -> nix::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket() takes no pointer.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(ethertype.to_be())) })?;
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    setsockopt(&socket, sockopt::RcvBufForce, &ROOM)?;
    Ok(socket)
}
