//! rtnetlink: interfaces, addresses, routes, neighbours (rtnetlink(7)).

pub mod address;
pub mod filter;
pub mod link;
pub mod neighbour;
pub mod netconf;
pub mod nexthop;
#[allow(clippy::module_inception)]
pub mod route;
pub mod rule;
mod ways;
mod whole;

use std::io;

use ipnet::IpNet;
use neli::consts::socket::NlFamily;
use nix::errno::Errno;
use nix::poll::PollTimeout;

use super::message::Message;
use super::socket::{Broken, Outcome, Socket, of_one_moment};
use crate::model::route::{LOCAL, UNICAST};
use crate::model::{Facts, Filter, IfName, Link, Setting};

/// How many requests go out in one send: so many replies (a link has some 2 KiB of the receive buffer) or refusals find
/// room even in a small buffer. 93 links are more than the usual one takes.
const AT_ONCE: usize = 48;
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
    /// Whether IPv4 interfaces to come will forward.
    FreshForwarding,
    /// The route to an address.
    RouteTo(std::net::IpAddr),
    /// The ports of the bridge with this number, until one is found that is a guest's. A dump.
    Ports(u32),
    /// Whether the interface with this number has a place for filters.
    Clsact(u32),
    /// Whether the interface with this number has a filter.
    Filter(u32, Filter),
    /// All bridges. A dump.
    Bridges,
    /// All interfaces. A dump.
    Links,
    /// All taps and tuns. A dump.
    Taps,
    /// The addresses of an interface. A dump that the kernel answers from this interface alone.
    Addresses(u32),
    /// The unicast routes of a family that lead into one of these networks, or past all of it, and the default ones. A
    /// dump; what it says of others is forgotten at once.
    Ways {
        /// IPv6 or IPv4.
        v6: bool,
        /// The networks.
        nets: Vec<IpNet>,
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
    /// What a takeover carries from an interface: the addresses of a family that the host answers for on it. A dump.
    Proxies {
        /// IPv6 or IPv4.
        v6: bool,
        /// The interface.
        device: u32,
        /// Its name.
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
            Question::FreshForwarding => netconf::get_default(),
            Question::RouteTo(address) => route::get(*address),
            Question::Ports(bridge) => link::dump_ports(*bridge),
            Question::Clsact(index) => filter::get_clsact(*index),
            Question::Filter(index, filter) => filter::get(*index, *filter),
            Question::Bridges => link::dump_kind("bridge"),
            Question::Links => link::dump_lean(),
            Question::Taps => link::dump_kind("tun"),
            Question::Addresses(index) => address::dump(*index),
            Question::Ways { v6, .. } => route::dump(*v6, UNICAST),
            Question::Own => route::dump(false, LOCAL),
            Question::Routes { v6, device, .. } => route::dump_over(*v6, *device),
            Question::Nexthops { device, .. } => nexthop::dump(*device),
            Question::Rules { v6, .. } => rule::dump(*v6),
            Question::Neighbours { v6, device, .. } => neighbour::dump(*v6, *device),
            Question::Proxies { v6, device, .. } => neighbour::dump_proxies(*v6, *device),
        }
    }

    /// Whether an error says that what was asked for is not there. Every other one leaves the question open, and whoever
    /// asked it must not go on as if there were nothing.
    fn means_absent(&self, errno: i32) -> bool {
        let errno = Errno::from_raw(errno);
        match self {
            Question::Link(_) | Question::LinkIndex(_) => errno == Errno::ENODEV,
            // No route matches, or one that refuses: prohibit, blackhole (`fib_props`). And see below of IPv6.
            Question::RouteTo(address) => match errno {
                Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL => true,
                _ => address.is_ipv6() && is_without_family(errno),
            },
            // No such filter; no place for one (EINVAL); nothing of the kind in this kernel; the interface has gone.
            Question::Clsact(_) | Question::Filter(..) => {
                matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENODEV)
            }
            // A kernel without IPv6 knows none of its requests.
            Question::WideForwarding { v6 } | Question::Ways { v6, .. } => *v6 && is_without_family(errno),
            // The interface that a dump is restricted to has gone meanwhile.
            Question::Ports(_) | Question::Addresses(_) => errno == Errno::ENODEV,
            Question::Routes { v6, .. } | Question::Neighbours { v6, .. } | Question::Proxies { v6, .. } => {
                errno == Errno::ENODEV || *v6 && is_without_family(errno)
            }
            // Linux 5.3.
            Question::Nexthops { .. } => matches!(errno, Errno::ENODEV | Errno::EOPNOTSUPP),
            // CONFIG_IP_MULTIPLE_TABLES, of either family.
            Question::Rules { .. } => is_without_family(errno),
            Question::Bridges
            | Question::Taps
            | Question::Links
            | Question::FreshForwarding
            | Question::Own => false,
        }
    }

    fn is_dump(&self) -> bool {
        !matches!(
            self,
            Question::Link(_)
                | Question::LinkIndex(_)
                | Question::Clsact(_)
                | Question::Filter(..)
                | Question::WideForwarding { .. }
                | Question::FreshForwarding
                | Question::RouteTo(_)
        )
    }
}

/// What a kernel says to the request of a family that it does not have.
fn is_without_family(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT)
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

    /// Asks, and adds the answers to `facts`. What is not there is not an error: it is just not among the answers.
    ///
    /// All single questions go out in one send, as long as the receive buffer surely holds the answers; a socket serves
    /// one dump at a time, so each further dump costs a send.
    pub fn ask(&mut self, questions: &[Question], facts: &mut Facts) -> io::Result<()> {
        let (dumps, gets): (Vec<_>, Vec<_>) = questions.iter().partition(|question| question.is_dump());
        let mut rounds: Vec<Vec<&Question>> = gets.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
        let mut dumps = dumps.into_iter();
        if let (Some(last), Some(dump)) =
            (rounds.last_mut(), (!gets.is_empty()).then(|| dumps.next()).flatten())
        {
            last.push(dump);
        }
        rounds.extend(dumps.map(|dump| vec![dump]));
        rounds.iter().try_for_each(|round| self.ask_at_once(round, facts))
    }

    fn ask_at_once(&mut self, round: &[&Question], facts: &mut Facts) -> io::Result<()> {
        // Only a dump can come apart; what it said until then is forgotten.
        let before = round.iter().any(|question| question.is_dump()).then(|| facts.clone());
        of_one_moment(|| {
            let mut messages: Vec<Message> = round.iter().map(|question| question.message()).collect();
            let outcome = self.0.exchange(&mut messages, &mut |number, reply| {
                if let Some(question) = round.get(number) {
                    read(facts, question, reply);
                }
            })?;
            let errors: Vec<_> =
                round.iter().zip(outcome).filter_map(|(question, error)| Some((*question, error?))).collect();
            if let (Some(before), true) = (&before, errors.iter().any(|(_, error)| error.is_interrupted())) {
                facts.clone_from(before);
                return Ok(None);
            }
            match errors.into_iter().find(|(question, error)| !question.means_absent(error.errno)) {
                Some((_, error)) => Err(error.into()),
                None => Ok(Some(())),
            }
        })
    }

    /// Sends changes in one message, which nothing can cut in half, and tells what the kernel said to each.
    ///
    /// The kernel tells each refusal, and where one finds no room in the receive buffer, that one was lost. So there is
    /// room for all; where it cannot be had, as in a user namespace, the changes go out in several messages.
    pub fn change(&mut self, changes: &mut [Message]) -> Result<Outcome, Broken> {
        let count = changes.len();
        let at_once = if count <= AT_ONCE || self.0.make_room(count) { count.max(1) } else { AT_ONCE };
        let mut outcome = Outcome::with_capacity(count);
        for part in changes.chunks_mut(at_once) {
            if let Some(last) = part.last_mut() {
                last.add_flags(super::socket::ACK);
            }
            outcome.extend(self.0.exchange(part, &mut |_, _| {})?);
        }
        Ok(outcome)
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
        | Question::Links
        | Question::Taps => {
            if let Some(link) = link::parse(reply) {
                facts.add_link(link);
            }
        }
        Question::WideForwarding { v6: false } => {
            facts.wide4 = netconf::forwarding(reply);
            facts.wide_rp_filter = netconf::rp_filter(reply);
        }
        Question::FreshForwarding => facts.fresh4 = Some(netconf::forwarding(reply)),
        Question::WideForwarding { v6: true } => facts.wide6 = netconf::forwarding(reply),
        Question::Clsact(index) => facts.filters.push((*index, Setting::Clsact)),
        Question::Filter(index, filter) if filter::is(reply, *filter) => {
            let found = [Setting::Clsact, Setting::Filter(*filter)];
            facts.filters.extend(found.map(|setting| (*index, setting)));
        }
        Question::Filter(..) => {}
        Question::RouteTo(_) => facts.matched.extend(route::parse_way(reply)),
        Question::Addresses(index) => {
            facts.addresses.extend(address::parse(reply, *index).map(|address| (*index, address)));
        }
        Question::Ways { nets, .. } => {
            facts.ways.extend(route::parse_way(reply).filter(|way| way.concerns(nets)));
        }
        Question::Own => facts.ways.extend(route::parse_way(reply)),
        Question::Routes { name, device, .. } => match route::parse(reply, *device, name) {
            Some(Ok(route)) => facts.routes.push(route),
            Some(Err(why)) => facts.uncarriable.push((*name, why)),
            None => {}
        },
        Question::Nexthops { name, .. } => facts.nexthops.extend(nexthop::parse(reply, name)),
        Question::Rules { name, .. } => facts.rules.extend(rule::parse(reply, name)),
        Question::Neighbours { device, name, .. } | Question::Proxies { device, name, .. } => {
            facts.neighbours.extend(neighbour::parse(reply, *device, name));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every error of a question is one, but for those few that say "not there".
    #[test]
    fn only_what_says_so_is_absence() {
        let name = IfName::new("eth0").unwrap();
        let (device, of) =
            (7, |v6| [Question::Ways { v6, nets: Vec::new() }, Question::Routes { v6, device: 7, name }]);
        let mut all = vec![Question::Link(name), Question::LinkIndex(device), Question::Ports(device)];
        all.extend([
            Question::Bridges,
            Question::Links,
            Question::Taps,
            Question::Addresses(device),
            Question::Own,
        ]);
        all.push(Question::Nexthops { device, name });
        all.extend([false, true].into_iter().flat_map(of));
        all.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
        all.extend([false, true].map(|v6| Question::Rules { v6, name }));
        all.extend([false, true].map(|v6| Question::Neighbours { v6, device, name }));
        all.extend([false, true].map(|v6| Question::Proxies { v6, device, name }));
        all.extend(["10.0.0.1", "fd00::1"].map(|address| Question::RouteTo(address.parse().unwrap())));
        for question in &all {
            for errno in [Errno::ENOMEM, Errno::ENOBUFS, Errno::EBUSY, Errno::EPERM, Errno::EINTR, Errno::EIO]
            {
                assert!(!question.means_absent(errno as i32), "{question:?} {errno}");
            }
        }
        let absent = |question: Question, errno: Errno| question.means_absent(errno as i32);
        assert!(absent(Question::Link(name), Errno::ENODEV));
        assert!(!absent(Question::Link(name), Errno::EINVAL));
        assert!(absent(Question::Nexthops { device, name }, Errno::EOPNOTSUPP));
        assert!(absent(Question::WideForwarding { v6: true }, Errno::EOPNOTSUPP));
        assert!(!absent(Question::WideForwarding { v6: false }, Errno::EOPNOTSUPP));
        assert!(absent(Question::RouteTo("10.0.0.1".parse().unwrap()), Errno::ENETUNREACH));
        assert!(!absent(Question::Bridges, Errno::ENODEV));
    }
}
