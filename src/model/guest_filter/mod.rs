//! What a guest may send, as its own filter on its tap: frames from its MACs alone, with its addresses, that nobody takes for a
//! server's or a router's. A program of classic BPF is made of that, which knows no other frame and keeps no state.
//!
//! In: MACs and addresses. Out: a [`Program`]. What it does with a frame is in docs/security.md.

mod arp;
mod assembler;
mod filtering;
#[cfg(any(test, fuzzing))]
pub(crate) mod interpreter;
mod ipv4;
mod ipv6;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Instruction, Mac};
pub use filtering::Filtering;

use assembler::{Assembler, Jumps, address_at};

/// A filter as the kernel has it.
pub type Program = Vec<Instruction>;

/// More addresses that are not to be taken have no room in a program.
pub const MOST_TAKEN: usize = 32;

/// Where the source is in a frame, and what it carries.
const SOURCE: u32 = 6;
const ETHERTYPE: u32 = 12;
/// What is behind the header of Ethernet.
const PAYLOAD: u32 = 14;
const ARP: u32 = 0x0806;
/// What QEMU itself sends in a guest's name where it goes on after a migration.
const RARP: u32 = 0x8035;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;

/// What one guest may send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuestFilter {
    /// At least one.
    pub macs: Vec<Mac>,
    pub v4: Sources,
    pub v6: Sources,
    /// Whether a frame may have one VLAN tag; what is in it is looked at all the same.
    pub tags: bool,
}

/// The addresses of one family that a guest may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// One of these; any where there is none.
    pub within: Vec<IpNet>,
    /// And none of these, which are others'.
    pub taken: Vec<IpAddr>,
}

impl GuestFilter {
    /// What it does with a frame. The outer tag is not in the frame any more when the program sees it; a second one is, and
    /// is no kind of frame that passes.
    pub fn program(&self) -> Program {
        let mut it = Assembler::default();
        if !self.tags {
            it.load_tag_present().require_equal(0);
        }
        it.at_least(PAYLOAD + 20);
        it.one_of(self.macs.iter().map(|mac| assembler::mac_at(SOURCE, *mac)).collect());
        it.load_half(ETHERTYPE);
        it.when_equal(IPV4, |it| ipv4::put(it, &self.v4));
        it.when_equal(IPV6, |it| ipv6::put(it, self));
        let mut arp = Jumps::new();
        it.go_if(ARP, &mut arp);
        it.require_equal(RARP);
        it.here(arp);
        arp::put(&mut it, self);
        it.finish()
    }
}

impl Sources {
    /// The address at a place of a frame is one of these; where any may be, it is none of those that are nobody's.
    fn put(&self, it: &mut Assembler, at: u32, nobodys: &[IpNet]) {
        let at_place = |net: &IpNet| address_at(at, *net);
        if self.within.is_empty() {
            it.none_of(nobodys.iter().map(at_place));
        } else {
            it.one_of(self.within.iter().map(at_place).collect());
        }
        it.none_of(self.taken.iter().take(MOST_TAKEN).map(|taken| address_at(at, (*taken).into())));
    }
}
