//! What the kernel said of interfaces, addresses and routes: as much as was asked.

use std::net::IpAddr;

use ipnet::IpNet;

use super::route::{MULTICAST, THROW};
use super::{
    Address, Claim, IfName, Link, Mac, Neighbour, Nexthop, PolicyRule, Program, Question, Route, Setting,
};

/// What the kernel said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub asked: Vec<Question>,
    /// The interfaces that were asked for and are there.
    pub links: Vec<Link>,
    /// `net.ipv4.ip_forward`
    pub wide4: bool,
    /// `net.ipv6.conf.all.forwarding`
    pub wide6: bool,
    /// `net.ipv4.conf.default.forwarding`, where it was asked for.
    pub fresh4: Option<bool>,
    /// `net.ipv4.conf.all.rp_filter`, asked for with `wide4`.
    pub wide_rp_filter: u32,
    /// The filters that are there, of those that were asked for, and the places for them: the number of the interface,
    /// and which.
    pub filters: Vec<(u32, Setting)>,
    /// The filters of guests, each with the number of its interface.
    pub guest_filters: Vec<(u32, Program)>,
    /// Addresses, each with the number of its interface.
    pub addresses: Vec<(u32, Address)>,
    /// Unicast routes of all tables, as far as they were asked for.
    pub ways: Vec<Way>,
    /// The routes that single addresses match, those of the table `local` included.
    pub matched: Vec<Way>,
    pub routes: Vec<Route>,
    /// Routes that cannot be carried, with the interface.
    pub uncarriable: Vec<(IfName, Unmovable)>,
    pub neighbours: Vec<Neighbour>,
    pub nexthops: Vec<Nexthop>,
    pub rules: Vec<PolicyRule>,
    /// Who is behind the ports of bridges.
    pub stations: Vec<FdbEntry>,
}

impl Facts {
    /// `net.ipv4.ip_forward`, or `net.ipv6.conf.all.forwarding`.
    pub fn wide(&self, v6: bool) -> bool {
        self.must_know(&Question::WideForwarding { v6 });
        if v6 { self.wide6 } else { self.wide4 }
    }

    /// Fails a test where an answer is read to what was not asked: nobody can tell "no" from that.
    fn must_know(&self, question: &Question) {
        debug_assert!(self.knows(question), "{question:?} was not asked");
    }

    /// Whether this was answered, by itself or in an answer about all interfaces.
    pub fn knows(&self, question: &Question) -> bool {
        let in_all = match question {
            Question::Link(_) | Question::LinkIndex(_) | Question::Ports(_) | Question::Claim(_) => {
                Some(Question::Links)
            }
            Question::Bridges | Question::Taps => Some(Question::Links),
            Question::Addresses(_) => Some(Question::Addresses(0)),
            _ => None,
        };
        self.asked.contains(question) || in_all.is_some_and(|all| self.asked.contains(&all))
    }

    /// The same, or what was asked for came with another answer.
    pub fn has(&self, question: &Question) -> bool {
        let is_there = match question {
            Question::Link(name) => self.link(name).is_some(),
            Question::LinkIndex(index) => self.link_index(*index).is_some(),
            Question::Claim(claim) => self.claimant(claim).is_some(),
            _ => false,
        };
        is_there || self.knows(question)
    }

    /// The bridge of this name.
    pub fn bridge(&self, name: &IfName) -> Option<&Link> {
        self.links.iter().find(|link| link.is_bridge() && link.name == *name)
    }

    /// The interface of this name, or with this other name (`ip link property add … altname`).
    pub fn link(&self, name: &IfName) -> Option<&Link> {
        let named = self.links.iter().find(|link| link.name == *name);
        named.or_else(|| {
            self.links.iter().find(|link| link.altnames.iter().any(|other| other == name.as_str()))
        })
    }

    /// The interface of this number.
    pub fn link_index(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The guest's own filter on an interface.
    pub fn guest_filter(&self, index: u32) -> Option<&Program> {
        self.guest_filters.iter().find(|(of, _)| *of == index).map(|(_, program)| program)
    }

    /// The interface that has something for itself.
    pub fn claimant(&self, claim: &Claim) -> Option<&Link> {
        let name = claim.to_string();
        self.links.iter().find(|link| link.altnames.contains(&name))
    }

    /// The addresses of an interface.
    pub fn addresses_of(&self, index: u32) -> Vec<Address> {
        self.addresses.iter().filter(|(of, _)| *of == index).map(|(_, address)| address.clone()).collect()
    }

    /// Adds an interface, or what is new of it.
    pub fn add_link(&mut self, link: Link) {
        self.links.retain(|known| known.index != link.index);
        self.links.push(link);
    }
}

/// What a dump of routes says about one, enough to find default routes and collisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where to; None for a default route.
    pub destination: Option<IpNet>,
    pub v6: bool,
    pub table: u32,
    /// Its type (RTN_*).
    pub kind: u8,
    /// Who made it (RTPROT_*).
    pub protocol: u8,
    /// Lower wins.
    pub metric: u32,
    pub devices: Vec<u32>,
    pub nexthop: Option<u32>,
}

impl Way {
    /// Whether it leads everywhere.
    pub fn is_default(&self) -> bool {
        self.destination.is_none()
    }

    /// Whether it leads nowhere: unreachable, blackhole and the like.
    pub fn is_dead_end(&self) -> bool {
        (MULTICAST + 1..=THROW).contains(&self.kind)
    }

    /// Whether it is a default route, or one of the networks is a part of where it leads, or the other way round.
    pub fn concerns(&self, nets: &[IpNet]) -> bool {
        let touches = |to: IpNet| nets.iter().any(|net| to.contains(&net.addr()) || net.contains(&to.addr()));
        self.destination.is_none_or(touches)
    }
}

/// A machine that a bridge knows behind one of its ports: by its frames, or because somebody said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbEntry {
    pub port: u32,
    pub mac: Mac,
}

/// A machine that the host has met on the link of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourEntry {
    pub device: u32,
    pub address: IpAddr,
    pub mac: Mac,
}

/// What an interface has counted (`struct rtnl_link_stats64`), as the host sees it: what a guest sends comes in by its
/// tap and is received here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Came in by the interface.
    pub received: u64,
    /// Went out by it.
    pub sent: u64,
}

/// Why a route cannot be carried to another interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmovable {
    /// One of its several next hops is special (a tunnel, a router of the other family).
    SpecialHop,
    /// One of its several next hops goes by an interface that has no name any more.
    NamelessHop,
}
