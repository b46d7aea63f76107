//! Default routes, found at the same price on a host with many routes.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::{Rtnl, is_without_family, nexthop, route};
use crate::model::facts::Way;
use crate::model::route::{MAIN, UNICAST};
use crate::netlink::message::Message;
use crate::netlink::socket::{Socket, of_one_moment};

/// An address of which no route but a default one is known to lead there: the block is assigned to nobody (IANA).
const NOWHERE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x4000, 0, 0, 0, 0, 0, 0, 1));

impl Rtnl {
    /// The default routes of a family: those of the main table, or, if it has none, of all.
    ///
    /// IPv4 tells a table's routes by their addresses, the lowest first (`fib_table_dump`), so the dump is broken off behind
    /// 0.0.0.0. IPv6 tells the default ones last; there the kernel is asked for the way to nowhere, and for all only where
    /// a rule leads it past the main table.
    pub fn defaults(&mut self, v6: bool) -> io::Result<Vec<Way>> {
        if v6 {
            let found = self.way_to_nowhere()?;
            if found.is_some() {
                return Ok(found.into_iter().collect());
            }
        }
        let mut found = self.all_defaults(v6)?;
        if found.is_empty() {
            let all = route::dump(v6, UNICAST);
            let result = self.0.dump(all, |reply| route::parse_way(reply).filter(Way::is_default));
            match result {
                Err(error) if !error.raw_os_error().is_some_and(is_absent) => return Err(error),
                result => found = result.unwrap_or_default(),
            }
        }
        Ok(found)
    }

    /// All default routes that the main table has of a family.
    pub fn all_defaults(&mut self, v6: bool) -> io::Result<Vec<Way>> {
        let mut found = Vec::new();
        of_one_moment(|| {
            found.clear();
            // The rest of the dump goes with this socket.
            let socket = Socket::open(NlFamily::Route)?;
            socket.filter_dumps()?;
            let is_last = |way: &Way| !v6 && way.destination.is_some_and(|net| !net.addr().is_unspecified());
            let result = socket.dump_while(route::dump_table(v6, UNICAST, MAIN), |reply| {
                let Some(way) = route::parse_way(reply) else { return true };
                let goes_on = !is_last(&way);
                found.extend(Some(way).filter(Way::is_default));
                goes_on
            });
            match result {
                Err(error) if error.is_interrupted() => Ok(None),
                Err(error) if !is_absent(error.errno) => Err(error.into()),
                _ => Ok(Some(())),
            }
        })?;
        Ok(found)
    }

    /// The default route of the main table, where the rules lead to it.
    fn way_to_nowhere(&mut self) -> io::Result<Option<Way>> {
        let mut found = None;
        let outcome = self.0.exchange(&mut [route::get(NOWHERE)], &mut |_, reply| {
            found = route::parse_way(reply).filter(|way| way.is_default() && way.table == MAIN);
        })?;
        let refused = |error: &crate::netlink::KernelError| {
            let errno = Errno::from_raw(error.errno);
            !matches!(
                errno,
                Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL | Errno::EPERM
            ) && !is_without_family(errno)
        };
        match outcome.into_iter().flatten().find(refused) {
            Some(error) => Err(error.into()),
            None => Ok(found),
        }
    }

    /// Finds the interfaces of those that only name a nexthop object (`net.ipv4.nexthop_compat_mode` 0).
    pub fn resolve_nexthops(&mut self, ways: &mut [Way]) -> io::Result<()> {
        for way in ways.iter_mut().filter(|way| way.devices.is_empty()) {
            let mut ids: Vec<u32> = way.nexthop.into_iter().collect();
            // A group has members, which are no groups.
            for _ in 0..2 {
                let mut requests: Vec<Message> = ids.drain(..).map(nexthop::get).collect();
                if !requests.is_empty() {
                    self.0.exchange(&mut requests, &mut |_, reply| {
                        way.devices.extend(nexthop::device(reply));
                        ids.extend(nexthop::members(reply));
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// No such table; a kernel without the family.
fn is_absent(errno: i32) -> bool {
    let errno = Errno::from_raw(errno);
    errno == Errno::ENOENT || is_without_family(errno)
}
