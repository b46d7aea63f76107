//! The whole machine, for a look at all of it: each thing in one dump, whatever the number of guests.

use std::io;
use std::net::IpAddr;

use neli::consts::rtnl::Ifla;

use super::{Rtnl, address, link, neighbour};
use crate::model::{Address, Link, Mac};
use crate::netlink::message::{Message, find, u64_at};

/// What an interface has counted (`struct rtnl_link_stats64`), as the host sees it: what a guest sends comes in by its
/// tap and is received here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Came in by the interface.
    pub received: u64,
    /// Went out by it.
    pub sent: u64,
}

/// An Ethernet address that a bridge knows behind one of its ports, its ports' own not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The port's number.
    pub port: u32,
    /// The address.
    pub mac: Mac,
}

/// A machine on the link of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// The interface's number.
    pub device: u32,
    /// The machine's address.
    pub address: IpAddr,
    /// Its Ethernet address.
    pub mac: Mac,
}

impl Rtnl {
    /// All interfaces, with what they have counted, as the kernel has them: the oldest first.
    pub fn all_links(&mut self) -> io::Result<Vec<(Link, Bytes)>> {
        self.dump(link::dump_all(), |reply| Some((link::parse(reply)?, bytes(reply))))
    }

    /// All addresses, each with the number of its interface.
    pub fn all_addresses(&mut self) -> io::Result<Vec<(u32, Address)>> {
        self.dump(address::dump(0), address::parse_any)
    }

    /// What all bridges know of who is behind which port.
    pub fn all_learned(&mut self) -> io::Result<Vec<Learned>> {
        self.dump(neighbour::dump_learned(), neighbour::parse_learned)
    }

    /// All neighbours of both families that have an Ethernet address.
    pub fn all_met(&mut self) -> io::Result<Vec<Met>> {
        self.dump(neighbour::dump_all(), neighbour::parse_met)
    }

    fn dump<T>(&mut self, request: Message, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        let outcome = self.0.exchange(&mut [request], &mut |_, reply| found.extend(read(reply)))?;
        match outcome.into_iter().flatten().next() {
            Some(error) => Err(io::Error::from_raw_os_error(error.errno)),
            None => Ok(found),
        }
    }
}

/// `rx_bytes` and `tx_bytes` are the third and the fourth number.
fn bytes(reply: &[u8]) -> Bytes {
    let stats = find(reply.get(link::BODY..).unwrap_or_default(), Ifla::Stats64).unwrap_or_default();
    let number = |place: usize| u64_at(stats, place * 8).unwrap_or_default();
    Bytes { received: number(2), sent: number(3) }
}
