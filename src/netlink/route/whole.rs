//! The whole machine, for a look at all of it: each thing in one dump, whatever the number of guests.

use std::io;

use neli::consts::rtnl::Ifla;

use super::{Rtnl, address, link, neighbour};
use crate::model::facts::{Bytes, FdbEntry, NeighbourEntry};
use crate::model::{Address, Link};
use crate::netlink::message::{find, u64_at};

impl Rtnl {
    /// All interfaces, with what they have counted, as the kernel has them: the oldest first.
    pub fn all_links(&mut self) -> io::Result<Vec<(Link, Bytes)>> {
        self.0.dump(link::dump_all(), |reply| Some((link::parse(reply)?, bytes(reply))))
    }

    /// All addresses, each with the number of its interface.
    pub fn all_addresses(&mut self) -> io::Result<Vec<(u32, Address)>> {
        self.0.dump(address::dump(0), address::parse_any)
    }

    /// What all bridges know of who is behind which port, their ports' own addresses left out.
    pub fn all_fdb_entries(&mut self) -> io::Result<Vec<FdbEntry>> {
        self.0.dump(neighbour::dump_fdb(), neighbour::parse_fdb_entry)
    }

    /// All neighbours of both families that have an Ethernet address.
    pub fn all_neighbours(&mut self) -> io::Result<Vec<NeighbourEntry>> {
        self.0.dump(neighbour::dump_all(), neighbour::parse_neighbour_entry)
    }
}

/// `rx_bytes` and `tx_bytes` are the third and the fourth number.
pub(super) fn bytes(reply: &[u8]) -> Bytes {
    let stats = find(reply.get(link::BODY..).unwrap_or_default(), Ifla::Stats64).unwrap_or_default();
    let number = |place: usize| u64_at(stats, place * 8).unwrap_or_default();
    Bytes { received: number(2), sent: number(3) }
}
