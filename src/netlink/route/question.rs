//! Each question as a request: how it is asked, which errors mean "not there", what a reply adds to the facts.

use nix::errno::Errno;

use super::route::ANY;
use super::{address, altname, filter, link, neighbour, netconf, nexthop, route, rule};
use crate::model::facts::Way;
use crate::model::route::{LOCAL, UNICAST};
use crate::model::{Facts, Question, Setting};
use crate::netlink::message::Message;

impl Question {
    pub(super) fn message(&self) -> Message {
        match self {
            Question::Link(name) => link::get(name),
            Question::LinkIndex(index) => link::get_index(*index),
            Question::Claim(claim) => altname::get(&claim.to_string()),
            Question::WideForwarding { v6 } => netconf::get_all(*v6),
            Question::FreshForwarding => netconf::get_default(),
            Question::RouteTo(address) => route::get(*address),
            Question::Ports(bridge) => link::dump_ports(*bridge),
            Question::Clsact(index) => filter::get_clsact(*index),
            Question::Filter(index, filter) => filter::get(*index, *filter),
            Question::GuestFilter(index) => filter::dump(*index),
            Question::Bridges => link::dump_kind("bridge"),
            Question::Links => link::dump_lean(),
            Question::Taps => link::dump_kind("tun"),
            Question::Addresses(index) => address::dump(*index),
            Question::Ways { v6, .. } => route::dump(*v6, ANY),
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
    pub(super) fn means_absent(&self, errno: i32) -> bool {
        let errno = Errno::from_raw(errno);
        match self {
            Question::Link(_) | Question::LinkIndex(_) => errno == Errno::ENODEV,
            // Before Linux 5.5 the name counts for nothing, and the request is for nothing at all.
            Question::Claim(_) => matches!(errno, Errno::ENODEV | Errno::EINVAL | Errno::EOPNOTSUPP),
            // No route matches, or one that refuses: prohibit, blackhole (`fib_props`). And see below of IPv6.
            Question::RouteTo(address) => match errno {
                Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL => true,
                _ => address.is_ipv6() && is_without_family(errno),
            },
            // No such filter; no place for one (EINVAL); nothing of the kind in this kernel; the interface has gone.
            Question::Clsact(_) | Question::Filter(..) | Question::GuestFilter(_) => {
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

    pub(super) fn is_dump(&self) -> bool {
        self.message().is_dump()
    }

    /// Adds what a reply says.
    pub(super) fn read(&self, facts: &mut Facts, reply: &[u8]) {
        match self {
            Question::Link(_)
            | Question::LinkIndex(_)
            | Question::Claim(_)
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
            Question::GuestFilter(index) => {
                facts.guest_filters.extend(filter::parse_guest(reply).map(|program| (*index, program)));
            }
            Question::RouteTo(_) => facts.matched.extend(route::parse_way(reply)),
            Question::Addresses(index) => {
                facts.addresses.extend(address::parse(reply, *index).map(|address| (*index, address)));
            }
            Question::Ways { nets, .. } => {
                let is_way = |way: &Way| match way.kind {
                    UNICAST => way.concerns(nets),
                    _ => way.is_dead_end() && !way.is_default() && way.concerns(nets),
                };
                facts.ways.extend(route::parse_way(reply).filter(is_way));
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
}

/// What a kernel says to the request of a family that it does not have.
pub(super) fn is_without_family(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::IfName;

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
