//! rtnetlink: interfaces, addresses, routes, neighbours (rtnetlink(7)).

pub mod address;
pub mod altname;
pub mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod link;
pub mod neighbour;
pub mod netconf;
pub mod nexthop;
mod question;
#[allow(clippy::module_inception)]
pub mod route;
pub mod rule;
#[cfg(test)]
mod tests;
mod ways;
mod whole;

use std::io;
use std::os::fd::BorrowedFd;

use neli::consts::socket::NlFamily;
use nix::libc;
use nix::poll::PollTimeout;

use super::message::{ACK, Message};
use super::socket::{Broken, Outcome, Socket, of_one_moment};
use crate::model::{Facts, Question};

/// How many requests go out in one send: so many replies (a link has some 2 KiB of the receive buffer) or refusals find
/// room even in a small buffer. 93 links are more than the usual one takes.
const AT_ONCE: usize = 48;
/// RTNLGRP_LINK: what happens to interfaces.
pub const LINK_EVENTS: u32 = 1;
/// RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR: what happens to addresses.
pub const ADDRESS4_EVENTS: u32 = 5;
pub const ADDRESS6_EVENTS: u32 = 9;
/// RTNLGRP_IPV6_ROUTE: what happens to IPv6 routes, those of the table `local` included.
pub const ROUTE6_EVENTS: u32 = 11;

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
                    question.read(facts, reply);
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
        })?;
        facts.asked.extend(round.iter().copied().cloned());
        Ok(())
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
                last.add_flags(ACK);
            }
            outcome.extend(self.0.exchange(part, &mut |_, _| {})?);
        }
        Ok(outcome)
    }

    /// Opens a socket that hears what happens to the things of these groups (RTNLGRP_*).
    pub fn listen(groups: &[u32]) -> io::Result<Self> {
        let socket = Socket::open(NlFamily::Route)?;
        socket.join(groups)?;
        Ok(Self(socket))
    }

    /// Its descriptor, for who waits for several things.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Waits for any event that the socket hears, of which there may be more than it has room for. False when `wait` is
    /// over.
    pub fn any_change(&mut self, wait: PollTimeout) -> io::Result<bool> {
        match self.0.event(wait) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EINTR)) => Ok(true),
            event => event,
        }
    }
}
