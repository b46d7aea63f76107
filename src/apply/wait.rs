//! What a takeover waits for and asks: a bridge that passes packets, addresses in use, a gateway that answers.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use super::Apply;
use crate::error::Error;
use crate::item::{AddressChange, Probe, ProbeTarget, Step, Wait};
use crate::model::{Facts, IfName, Question};
use crate::netlink::route::{LINK_EVENTS, ROUTE6_EVENTS, Rtnl};
use crate::probe;

/// How long a bridge may take until it passes packets; it takes some 50 µs.
const OPERATIONAL_WAIT: Duration = Duration::from_secs(1);
/// How long new IPv6 addresses may take until they are in use; they take some 50 µs, but the kernel serves all network
/// namespaces one after the other (`addrconf_wq`).
const ADDRESSES_WAIT: Duration = Duration::from_secs(5);
/// How long a neighbour may take to answer, before a takeover and after it; it takes some 100 µs.
const BEFORE_WAIT: Duration = Duration::from_millis(300);
const AFTER_WAIT: Duration = Duration::from_millis(600);

impl Apply<'_> {
    /// Does a step that changes nothing.
    pub(super) fn wait(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Wait(Wait::Operational { link }) => self.await_operational(step, link),
            Step::Wait(Wait::Addresses { link }) => self.await_addresses(step, link),
            Step::Probe(Probe::Before(neighbour)) => {
                self.ask(step, neighbour);
                Ok(())
            }
            Step::Probe(Probe::After(neighbour)) => self.confirm(step, neighbour),
            _ => Ok(()),
        }
    }

    /// A bridge without carrier never gets there, so the end of the wait is no error.
    fn await_operational(&mut self, step: &Step, name: &IfName) -> Result<(), Error> {
        self.wait_until(step, LINK_EVENTS, OPERATIONAL_WAIT, &mut |apply| {
            apply.kernel.rtnl.ask(&[Question::Link(*name)], &mut apply.facts)?;
            Ok(apply.facts.link(name).is_some_and(|link| link.operational))
        })
    }

    /// Where they do not come into use in time the takeover goes on: all else is there.
    fn await_addresses(&mut self, step: &Step, link: &IfName) -> Result<(), Error> {
        let added = |step: &Step| match step {
            Step::Address(AddressChange::Add { link: to, address }) if to == link && address.is_usable6() => {
                Some(address.net.addr())
            }
            _ => None,
        };
        let mut missing: Vec<IpAddr> = self.done.iter().filter_map(added).collect();
        let Some(device) = self.facts.link(link).map(|link| link.index).filter(|_| !missing.is_empty())
        else {
            return Ok(());
        };
        let question = [Question::Routes { v6: true, device, name: *link }];
        self.wait_until(step, ROUTE6_EVENTS, ADDRESSES_WAIT, &mut |apply| {
            let mut facts = Facts::default();
            apply.kernel.rtnl.ask(&question, &mut facts)?;
            missing.retain(|address| !facts.routes.iter().any(|route| route.is_local(address)));
            Ok(missing.is_empty())
        })
    }

    /// Waits until `is_over` says so, which is asked at once and with each event of the group, but no longer than `wait`.
    fn wait_until(
        &mut self,
        step: &Step,
        group: u32,
        wait: Duration,
        is_over: &mut dyn FnMut(&mut Self) -> io::Result<bool>,
    ) -> Result<(), Error> {
        let end = Instant::now() + wait;
        let mut run = || {
            let mut events = Rtnl::listen(&[group])?;
            let left = || PollTimeout::try_from(end.saturating_duration_since(Instant::now()));
            while !is_over(self)? && events.any_change(left().unwrap_or(PollTimeout::ZERO))? {}
            Ok(())
        };
        run().map_err(Error::system(step.deed()))
    }
}

/// The two questions of a takeover.
impl Apply<'_> {
    fn ask(&mut self, step: &Step, neighbour: &ProbeTarget) {
        // Where nobody can be asked (no CAP_NET_RAW), nobody's silence means anything.
        let answers = self.answers(step, neighbour, BEFORE_WAIT).unwrap_or_default();
        self.answered = Some(*neighbour).filter(|_| answers);
    }

    fn confirm(&mut self, step: &Step, neighbour: &ProbeTarget) -> Result<(), Error> {
        let Some(before) = self.answered else { return Ok(()) };
        if self.answers(step, neighbour, AFTER_WAIT)? {
            return Ok(());
        }
        Err(Error::Unconfirmed { target: neighbour.target, nic: before.link, bridge: neighbour.link })
    }

    fn answers(&mut self, step: &Step, neighbour: &ProbeTarget, wait: Duration) -> Result<bool, Error> {
        let ProbeTarget { link, source, target } = *neighbour;
        let mut run = || {
            self.kernel.rtnl.ask(&[Question::Link(link)], &mut self.facts)?;
            let found = self.facts.link(&link).and_then(|link| Some((link.index, link.mac?)));
            let Some((link, mac)) = found else { return Ok(false) };
            probe::answers(&probe::Question { link, mac, source, target }, wait)
        };
        run().map_err(Error::system(step.deed()))
    }
}
