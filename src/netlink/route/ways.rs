//! Dumps that are broken off once they have said enough, so that they cost the same however much there is: default routes,
//! guests.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::question::is_without_family;
use super::{Rtnl, link, nexthop, route};
use crate::model::facts::Way;
use crate::model::route::{MAIN, UNICAST};
use crate::model::{Link, Question};
use crate::netlink::message::Message;
use crate::netlink::socket::{KernelError, Socket, of_one_moment};

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
        let is_last = |way: &Way| !v6 && way.destination.is_some_and(|net| !net.addr().is_unspecified());
        dump_while(
            Socket::filter_dumps,
            || route::dump_table(v6, UNICAST, MAIN),
            is_absent,
            |found: &mut Vec<Way>, reply| {
                let Some(way) = route::parse_way(reply) else { return true };
                let goes_on = !is_last(&way);
                found.extend(Some(way).filter(Way::is_default));
                goes_on
            },
        )
    }

    /// Makes a dump of interfaces as far as `wants_more` says, and returns what that made of it.
    pub fn links_while<T: Default>(
        &mut self,
        question: &Question,
        mut wants_more: impl FnMut(&mut T, Link) -> bool,
    ) -> io::Result<T> {
        let is_absent = |errno| question.means_absent(errno);
        // Dumps of interfaces are filtered in any case.
        dump_while(
            |_| Ok(()),
            || question.message(),
            is_absent,
            |found, reply| link::parse(reply).is_none_or(|link| wants_more(found, link)),
        )
    }

    /// The default route of the main table, where the rules lead to it.
    fn way_to_nowhere(&mut self) -> io::Result<Option<Way>> {
        let mut found = None;
        let outcome = self.0.exchange(&mut [route::get(NOWHERE)], &mut |_, reply| {
            found = route::parse_way(reply).filter(|way| way.is_default() && way.table == MAIN);
        })?;
        let refused = |error: &KernelError| {
            error.errno() != Errno::EPERM && !Question::RouteTo(NOWHERE).means_absent(error.errno)
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

/// Makes a dump as far as `wants_more` says, and anew where a change cuts through it. The rest goes with its socket.
fn dump_while<T: Default>(
    prepare: impl Fn(&Socket) -> io::Result<()>,
    request: impl Fn() -> Message,
    is_absent: impl Fn(i32) -> bool,
    mut wants_more: impl FnMut(&mut T, &[u8]) -> bool,
) -> io::Result<T> {
    of_one_moment(|| {
        let mut found = T::default();
        let socket = Socket::bare(NlFamily::Route)?;
        prepare(&socket)?;
        match socket.dump_while(request(), |reply| wants_more(&mut found, reply)) {
            Err(error) if error.is_interrupted() => Ok(None),
            Err(error) if !is_absent(error.errno) => Err(error.into()),
            _ => Ok(Some(found)),
        }
    })
}

/// No such table; a kernel without the family.
fn is_absent(errno: i32) -> bool {
    let errno = Errno::from_raw(errno);
    errno == Errno::ENOENT || is_without_family(errno)
}
