//! rtnetlink: interfaces, addresses, routes, neighbours (rtnetlink(7)).

pub mod address;
pub mod link;
pub mod neighbour;
pub mod netconf;
pub mod nexthop;
#[allow(clippy::module_inception)]
pub mod route;
pub mod rule;
mod whole;

use std::io;

use neli::consts::socket::NlFamily;
use nix::poll::PollTimeout;

use super::message::Message;
use super::socket::{Broken, Outcome, Socket};
use crate::model::route::{LOCAL, UNICAST};
use crate::model::{Facts, IfName, Link};

/// RTNLGRP_LINK: what happens to interfaces.
const LINK_EVENTS: u32 = 1;
/// RTNLGRP_IPV6_ROUTE: what happens to IPv6 routes, those of the table `local` included.
const ROUTE6_EVENTS: u32 = 11;

/// Something to ask the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// An interface, by its name.
    Link(IfName),
    /// An interface, by its number.
    LinkIndex(u32),
    /// The machine-wide forwarding switch, of IPv6 or of IPv4.
    WideForwarding {
        /// Which of the two.
        v6: bool,
    },
    /// The route to an address.
    RouteTo(std::net::IpAddr),
    /// The ports of the bridge with this number, until one is found that is a guest's. A dump.
    Ports(u32),
    /// All bridges. A dump.
    Bridges,
    /// All taps and tuns. A dump.
    Taps,
    /// The addresses of an interface. A dump that the kernel answers from this interface alone.
    Addresses(u32),
    /// The unicast routes of a family. A dump.
    Ways {
        /// IPv6 or IPv4.
        v6: bool,
    },
    /// The host's own IPv4 addresses, as routes of the table `local`. A dump.
    Own,
    /// What a takeover carries from an interface: its routes of a family. A dump.
    Routes {
        /// IPv6 or IPv4.
        v6: bool,
        /// The interface.
        device: u32,
        /// Its name.
        name: IfName,
    },
    /// What a takeover carries from an interface: nexthop objects. A dump.
    Nexthops {
        /// The interface.
        device: u32,
        /// Its name.
        name: IfName,
    },
    /// What a takeover carries from an interface: the policy rules of a family that name it. A dump.
    Rules {
        /// IPv6 or IPv4.
        v6: bool,
        /// The interface's name.
        name: IfName,
    },
    /// What a takeover carries from an interface: its neighbours of a family. A dump.
    Neighbours {
        /// IPv6 or IPv4.
        v6: bool,
        /// The interface.
        device: u32,
        /// Its name.
        name: IfName,
    },
}

impl Question {
    fn message(&self) -> Message {
        match self {
            Question::Link(name) => link::get(name),
            Question::LinkIndex(index) => link::get_index(*index),
            Question::WideForwarding { v6 } => netconf::get_all(*v6),
            Question::RouteTo(address) => route::get(*address),
            Question::Ports(bridge) => link::dump_ports(*bridge),
            Question::Bridges => link::dump_kind("bridge"),
            Question::Taps => link::dump_kind("tun"),
            Question::Addresses(index) => address::dump(*index),
            Question::Ways { v6 } => route::dump(*v6, UNICAST),
            Question::Own => route::dump(false, LOCAL),
            Question::Routes { v6, device, .. } => route::dump_over(*v6, *device),
            Question::Nexthops { device, .. } => nexthop::dump(*device),
            Question::Rules { v6, .. } => rule::dump(*v6),
            Question::Neighbours { v6, device, .. } => neighbour::dump(*v6, *device),
        }
    }

    fn is_dump(&self) -> bool {
        !matches!(
            self,
            Question::Link(_)
                | Question::LinkIndex(_)
                | Question::WideForwarding { .. }
                | Question::RouteTo(_)
        )
    }
}

/// A route socket.
pub struct Rtnl(Socket);

impl Rtnl {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::open(NlFamily::Route)?;
        socket.filter_dumps()?;
        Ok(Self(socket))
    }

    /// Asks, and adds the answers to `facts`. What is not there is no error: it is just not among the answers.
    ///
    /// All single questions go out in one send; a socket serves one dump at a time, so each further dump
    /// costs a send.
    pub fn ask(&mut self, questions: &[Question], facts: &mut Facts) -> io::Result<()> {
        let (dumps, mut round): (Vec<_>, Vec<_>) = questions.iter().partition(|question| question.is_dump());
        let mut dumps = dumps.into_iter();
        round.extend(dumps.next());
        while !round.is_empty() {
            let mut messages: Vec<Message> = round.iter().map(|question| question.message()).collect();
            self.0.exchange(&mut messages, &mut |number, reply| {
                if let Some(question) = round.get(number) {
                    read(facts, question, reply);
                }
            })?;
            round = dumps.next().into_iter().collect();
        }
        Ok(())
    }

    /// Sends changes in one message, which nothing can cut in half, and tells what the kernel said to each.
    pub fn change(&mut self, changes: &mut [Message]) -> Result<Outcome, Broken> {
        if let Some(last) = changes.last_mut() {
            last.add_flags(super::socket::ACK);
        }
        self.0.exchange(changes, &mut |_, _| {})
    }

    /// Opens a socket that hears when interfaces change.
    pub fn listen() -> io::Result<Self> {
        let socket = Socket::open(NlFamily::Route)?;
        socket.join(LINK_EVENTS)?;
        Ok(Self(socket))
    }

    /// Opens a socket that hears when IPv6 routes change.
    pub fn listen_to_routes6() -> io::Result<Self> {
        let socket = Socket::open(NlFamily::Route)?;
        socket.join(ROUTE6_EVENTS)?;
        Ok(Self(socket))
    }

    /// Waits for any event that the socket hears. False when `wait` is over.
    pub fn any_change(&mut self, wait: PollTimeout) -> io::Result<bool> {
        self.0.event(wait).map(|event| event.is_some())
    }

    /// Waits for a change of an interface, on a socket of [`Rtnl::listen`]. None when `wait` is over.
    pub fn next_change(&mut self, wait: PollTimeout) -> io::Result<Option<Link>> {
        loop {
            match self.0.event(wait)? {
                None => return Ok(None),
                Some((_, body)) => {
                    if let Some(link) = link::parse(body) {
                        return Ok(Some(link));
                    }
                }
            }
        }
    }
}

/// Adds what a reply says.
fn read(facts: &mut Facts, question: &Question, reply: &[u8]) {
    match question {
        Question::Link(_)
        | Question::LinkIndex(_)
        | Question::Ports(_)
        | Question::Bridges
        | Question::Taps => {
            if let Some(link) = link::parse(reply) {
                facts.add_link(link);
            }
        }
        Question::WideForwarding { v6: false } => {
            facts.wide4 = netconf::forwarding(reply);
            facts.wide_rp_filter = netconf::rp_filter(reply);
        }
        Question::WideForwarding { v6: true } => facts.wide6 = netconf::forwarding(reply),
        Question::RouteTo(_) => facts.matched.extend(route::parse_way(reply)),
        Question::Addresses(index) => {
            facts.addresses.extend(address::parse(reply, *index).map(|address| (*index, address)));
        }
        Question::Ways { .. } | Question::Own => facts.ways.extend(route::parse_way(reply)),
        Question::Routes { name, device, .. } => match route::parse(reply, *device, name) {
            Some(Ok(route)) => facts.routes.push(route),
            Some(Err(why)) => facts.uncarriable.push((*name, why)),
            None => {}
        },
        Question::Nexthops { name, .. } => facts.nexthops.extend(nexthop::parse(reply, name)),
        Question::Rules { name, .. } => facts.rules.extend(rule::parse(reply, name)),
        Question::Neighbours { device, name, .. } => {
            facts.neighbours.extend(neighbour::parse(reply, *device, name));
        }
    }
}
