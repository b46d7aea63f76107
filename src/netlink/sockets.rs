//! Sockets that listen: SOCK_DIAG_BY_FAMILY (`include/uapi/linux/inet_diag.h`).

use std::io;
use std::net::IpAddr;

use neli::consts::socket::NlFamily;
use nix::libc;

use super::message::{DUMP, Message, attributes, ip, u32_at};
use super::socket::Socket;
use crate::model::{Listener, Protocol};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// TCPF_LISTEN, and what an unconnected UDP socket is (TCPF_CLOSE).
const TCP_LISTEN: u32 = 1 << 10;
const UNCONNECTED: u32 = 1 << 7;
/// INET_DIAG_SKV6ONLY.
const V6_ONLY: u16 = 11;

/// Asks for sockets of programs.
pub struct Sockets(Socket);

impl Sockets {
    pub fn open() -> io::Result<Self> {
        Socket::bare(NlFamily::SockOrInetDiag).map(Self)
    }

    /// Those of one protocol that are bound to a port that `is_wanted` wants. A dump for each family.
    pub fn listening(
        &mut self,
        protocol: Protocol,
        is_wanted: impl Fn(u16) -> bool,
    ) -> io::Result<Vec<Listener>> {
        let mut found = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            found.extend(self.0.dump(request(family as u8, protocol), |reply| {
                parse(reply, protocol).filter(|listener| is_wanted(listener.address.port()))
            })?);
        }
        Ok(found)
    }
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and a `struct inet_diag_sockid` of zeros.
fn request(family: u8, protocol: Protocol) -> Message {
    let states = if protocol == Protocol::Tcp { TCP_LISTEN } else { UNCONNECTED };
    let mut body = vec![family, protocol as u8, 0, 0];
    body.extend_from_slice(&states.to_ne_bytes());
    body.resize(body.len() + 48, 0);
    Message::new(SOCK_DIAG_BY_FAMILY, DUMP, &body)
}

/// `struct inet_diag_msg`: family, state, timer, retransmissions, the sockid (ports, addresses, interface, cookie), expires,
/// two queues, user, inode.
fn parse(reply: &[u8], protocol: Protocol) -> Option<Listener> {
    let length = if i32::from(*reply.first()?) == libc::AF_INET6 { 16 } else { 4 };
    let port = u16::from_be_bytes(reply.get(4..6)?.try_into().ok()?);
    let address: IpAddr = ip(reply.get(8..8 + length)?)?;
    let flag = attributes(reply.get(72..)?).find(|(kind, _)| *kind == V6_ONLY);
    Some(Listener {
        protocol,
        address: (address, port).into(),
        v6_only: flag.is_some_and(|(_, value)| value.first() == Some(&1)),
        inode: u32_at(reply, 68)?,
        program: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    /// The kernel's own word for sockets that this test has opened.
    #[test]
    fn finds_sockets_of_both_protocols_and_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (tcp, udp) = (TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
            let addresses =
                [(Protocol::Tcp, tcp.local_addr().unwrap()), (Protocol::Udp, udp.local_addr().unwrap())];
            for (protocol, address) in addresses {
                let found =
                    Sockets::open().unwrap().listening(protocol, |port| port == address.port()).unwrap();
                assert!(found.iter().any(|listener| listener.address == address && listener.inode != 0));
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_no_socket() {
        for end in 0..72 {
            assert_eq!(parse(&vec![libc::AF_INET6 as u8; end], Protocol::Tcp), None);
        }
    }
}
