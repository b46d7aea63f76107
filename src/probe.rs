//! Asks a neighbour whether it is there, with ARP (RFC 826) or neighbour discovery (RFC 4861), by packets of its
//! own: the kernel's neighbour table may remember what is no longer true.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::model::Mac;

/// How long an answer may take before the question is put again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Who asks, and for whom: the number and the MAC of an interface, an address of the host on it, and the neighbour's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub link: u32,
    pub mac: Mac,
    pub source: IpAddr,
    pub target: IpAddr,
}

/// Whether the neighbour answers within `wait`.
pub fn answers(question: &Question, wait: Duration) -> io::Result<bool> {
    let socket = match question.target {
        IpAddr::V4(_) => packet_socket(question.link)?,
        IpAddr::V6(_) => icmpv6_socket(question.link)?,
    };
    let end = Instant::now() + wait;
    while Instant::now() < end {
        match (question.source, question.target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => ask_arp(&socket, question, source, target)?,
            (_, IpAddr::V6(target)) => ask_ndp(&socket, question, target)?,
            _ => return Ok(false),
        }
        let round = end.min(Instant::now() + PATIENCE);
        while let Some(message) = receive(&socket, round)? {
            if is_answer(&message, question.target) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_answer(message: &[u8], target: IpAddr) -> bool {
    match target {
        // Operation 2 is a reply; the sender's address is at 14.
        IpAddr::V4(v4) => message.get(6..8) == Some(&[0, 2]) && message.get(14..18) == Some(&v4.octets()),
        // Type 136 is a neighbour advertisement; the target is at 8.
        IpAddr::V6(v6) => message.first() == Some(&136) && message.get(8..24) == Some(&v6.octets()),
    }
}

fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed, and the descriptor that comes back is nobody else's.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn checked(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A socket for ARP on one interface (packet(7)).
fn packet_socket(link: u32) -> io::Result<OwnedFd> {
    let socket = socket(libc::AF_PACKET, libc::SOCK_DGRAM, i32::from(ETH_P_ARP.to_be()))?;
    let address = link_address(link);
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to an address of this length, which outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    checked(result as libc::ssize_t).map(|_| socket)
}

const ETH_P_ARP: u16 = 0x0806;

/// The broadcast address of an interface.
fn link_address(link: u32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ETH_P_ARP.to_be(),
        sll_ifindex: link as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [255, 255, 255, 255, 255, 255, 0, 0],
    }
}

fn ask_arp(socket: &OwnedFd, question: &Question, source: Ipv4Addr, target: Ipv4Addr) -> io::Result<()> {
    // Ethernet, IPv4, lengths, request.
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    let mac = question.mac.0;
    let message = [&head[..], &mac, &source.octets(), &[0; 6], &target.octets()].concat();
    send(socket, &message, &link_address(question.link))
}

/// A socket for ICMPv6, whose checksum the kernel makes (RFC 3542); neighbour discovery wants a hop limit of 255. It hears
/// advertisements of neighbours alone, and those of one interface: fe80::1 is a machine on each link.
fn icmpv6_socket(link: u32) -> io::Result<OwnedFd> {
    let socket = socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)?;
    // A bit for each type that is not to be heard.
    let mut filter = [u32::MAX; 8];
    filter[ADVERTISEMENT / 32] &= !(1 << (ADVERTISEMENT % 32));
    set_option(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &filter)?;
    set_option(&socket, libc::SOL_SOCKET, SO_BINDTOIFINDEX, &(link as libc::c_int))?;
    let hops: libc::c_int = 255;
    set_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &hops)?;
    // What came before it was bound.
    while receive(&socket, Instant::now())?.is_some() {}
    Ok(socket)
}

/// The ICMPv6 type of a neighbour advertisement.
const ADVERTISEMENT: usize = 136;
const ICMP6_FILTER: libc::c_int = 1;
/// Linux 5.1; libc has it for some of its targets only.
const SO_BINDTOIFINDEX: libc::c_int = 62;

fn set_option<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a value of this length, which outlives the call.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *value).cast(), length) };
    checked(result as libc::ssize_t).map(|_| ())
}

fn ask_ndp(socket: &OwnedFd, question: &Question, target: Ipv6Addr) -> io::Result<()> {
    // Neighbour solicitation with the target, and the option "source link-layer address".
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &question.mac.0].concat();
    let [.., x, y, z] = target.octets();
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z];
    let to = libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as u16,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: group },
        sin6_scope_id: question.link,
    };
    send(socket, &message, &to)
}

fn send<A>(socket: &OwnedFd, message: &[u8], to: &A) -> io::Result<()> {
    let length = mem::size_of::<A>() as libc::socklen_t;
    // SAFETY: both pointers are to values of the lengths given, which outlive the call.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
            (&raw const *to).cast(),
            length,
        )
    };
    checked(result).map(|_| ())
}

/// The next message; None at `end`.
fn receive(socket: &OwnedFd, end: Instant) -> io::Result<Option<Vec<u8>>> {
    use std::os::fd::AsFd;
    let ready = loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            ready => break ready?,
        }
    };
    if ready == 0 {
        return Ok(None);
    }
    let mut buffer = vec![0; 256];
    // SAFETY: the pointer is to a buffer of this length, which outlives the call.
    let result = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    buffer.truncate(checked(result)?);
    Ok(Some(buffer))
}
