//! Steps → the kernel: the only writer.
//!
//! In: steps. Out: nothing, or the first step that failed, with all that was done before it taken back.
//! Never: decides anything.
//!
//! Steps of one kind that follow each other go out in one send. rtnetlink handles every message of one send
//! before it returns, so a signal cannot cut it in half; an nf_tables batch is one transaction.

mod wait;

use std::fs;
use std::io;

use nix::errno::Errno;

use crate::error::Error;
use crate::item::{
    AcceptRulesChange, CutFlows, Ipv6IdentityChange, ProbeTarget, SettingChange, Step, Transport, secret_key,
};
use crate::model::{Facts, IfName, Question, Setting};
use crate::netlink::message::Message;
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::netlink::{Broken, KernelError};
use crate::plan::{Plan, Transaction};
use crate::signals;

/// The two ways to the kernel.
pub struct Kernel {
    /// Interfaces, addresses, routes.
    pub rtnl: Rtnl,
    /// nf_tables; None where the kernel has none.
    pub nft: Option<Nft>,
}

impl Kernel {
    /// Opens both.
    pub fn open() -> Result<Self, Error> {
        let rtnl = Rtnl::open().map_err(Error::system("open a route socket (netlink)"))?;
        let nft = match Nft::open() {
            Ok(nft) => Some(nft),
            Err(error) if error.raw_os_error() == Some(Errno::EPROTONOSUPPORT as i32) => None,
            Err(error) => return Err(Error::system("open a netfilter socket (netlink)")(error)),
        };
        Ok(Self { rtnl, nft })
    }
}

/// A network that could not be cleaned up and is left standing, by its bridge, and why.
#[derive(Debug)]
pub struct Left {
    pub bridge: IfName,
    pub error: Error,
}

/// Does `plan`, transaction by transaction, up to the first that must succeed and fails, which is taken back. Clean-ups
/// that fail are taken back, too, and returned; they stop nothing but the rest of their own network's. `seen` is called
/// with each step once it is done.
pub fn apply(
    kernel: &mut Kernel,
    facts: &Facts,
    plan: &Plan,
    seen: &mut dyn FnMut(&Step),
) -> Result<Vec<Left>, Error> {
    let mut apply = Apply {
        kernel,
        facts: facts.clone(),
        done: Vec::new(),
        undoing: false,
        without_filters: false,
        answered: None,
        seen,
    };
    let mut left: Vec<Left> = Vec::new();
    for transaction in &plan.0 {
        if left.iter().any(|left| Some(left.bridge) == transaction.cleans) {
            continue;
        }
        match (apply.transaction(transaction), transaction.cleans) {
            (Ok(()), _) => {}
            (Err(error), Some(bridge)) => left.push(Left { bridge, error }),
            (Err(error), None) => return Err(error),
        }
    }
    Ok(left)
}

struct Apply<'a> {
    kernel: &'a mut Kernel,
    facts: Facts,
    done: Vec<Step>,
    /// What was done is being taken back.
    undoing: bool,
    /// The kernel has no filters of the kind (`sch_ingress`, `cls_bpf`): the other locks have to do.
    without_filters: bool,
    /// A neighbour that answered, and the interface it answered on.
    answered: Option<ProbeTarget>,
    seen: &'a mut dyn FnMut(&Step),
}

impl Apply<'_> {
    /// Does all steps, or none.
    fn transaction(&mut self, transaction: &Transaction) -> Result<(), Error> {
        let result = self.run(&transaction.steps);
        if result.is_err() {
            self.take_back();
        }
        self.done.clear();
        result
    }

    fn run(&mut self, mut steps: &[Step]) -> Result<(), Error> {
        while let Some(first) = steps.first() {
            // What cannot be taken back any more goes on to its end.
            if signals::is_expired() && !self.undoing && !self.done.iter().any(|step| step.is_final()) {
                return Err(Error::OutOfTime { doing: first.deed() });
            }
            let transport = first.transport();
            let same = steps.iter().take_while(|step| step.transport() == transport).count();
            let (batch, rest) = steps.split_at(if transport == Transport::None { 1 } else { same });
            match transport {
                Transport::Route => self.route(batch)?,
                Transport::Nft => self.nft(batch)?,
                Transport::File => batch.iter().try_for_each(|step| self.file(step))?,
                Transport::Flows => batch.iter().for_each(|step| self.cut(step)),
                Transport::None => self.wait(first)?,
            }
            steps = rest;
        }
        Ok(())
    }

    /// Undoes what was done, last first, back to what cannot be made again. An error here cannot be helped; the next run
    /// converges.
    fn take_back(&mut self) {
        self.undoing = true;
        let done = std::mem::take(&mut self.done);
        let inverse: Vec<Step> =
            done.iter().rev().take_while(|step| !step.deletes()).flat_map(Step::way_back).collect();
        for step in inverse {
            // One by one, so that one that fails does not keep the others.
            let _ = self.run(&[step]);
        }
        self.undoing = false;
    }

    fn finish(&mut self, step: &Step) {
        (self.seen)(step);
        self.done.push(step.clone());
    }

    /// Sends steps in as few messages as possible: an interface that one makes has to be looked up before
    /// another can use its number.
    fn route(&mut self, steps: &[Step]) -> Result<(), Error> {
        let mut start = 0;
        let mut messages = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            self.facts.links.retain(|link| !step.renumbers(&link.name));
            let mut message = self.message(step);
            if let Err(name) = &message {
                self.send(steps.get(start..at).unwrap_or_default(), &mut messages)?;
                start = at;
                let question = [Question::Link(*name)];
                self.kernel.rtnl.ask(&question, &mut self.facts).map_err(Error::system(step.deed()))?;
                message = self.message(step);
            }
            match message {
                Ok(message) => messages.extend(message),
                Err(_) => {
                    let error = KernelError { errno: Errno::ENODEV as i32, message: String::new() };
                    if !step.forgives(error.errno()) {
                        return Err(Error::Kernel { step: Box::new(step.clone()), error });
                    }
                    messages.push(nothing());
                }
            }
        }
        self.send(steps.get(start..).unwrap_or_default(), &mut messages)
    }

    fn message(&self, step: &Step) -> Result<Option<Message>, IfName> {
        step.message(&|name| self.facts.link(name).map(|link| link.index).ok_or(*name))
    }

    fn send(&mut self, steps: &[Step], messages: &mut Vec<Message>) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut messages = std::mem::take(messages);
        let first = self.kernel.rtnl.change(&mut messages);
        let again = first.as_ref().is_err_and(|broken| self.is_worth_another(broken));
        let was_lost = matches!(first, Err(Broken::Unanswered(_)));
        let last = if again { self.kernel.rtnl.change(&mut messages) } else { first };
        let outcome = last.map_err(|broken| self.broken(steps, broken))?;
        let mut failed = None;
        for (step, error) in steps.iter().zip(outcome) {
            match error {
                None => self.finish(step),
                // The first time, of which the answer was lost, did it.
                Some(error) if was_lost && (step.is_there(error.errno()) || step.forgives(error.errno())) => {
                    self.finish(step)
                }
                Some(error) if step.forgives(error.errno()) || self.lacks_filters(step, error.errno()) => {}
                Some(error) => {
                    failed = failed.or(Some(Error::Kernel { step: Box::new(step.clone()), error }))
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether an error says that this kernel lacks what a filter is made of.
    fn lacks_filters(&mut self, step: &Step, errno: Errno) -> bool {
        if !matches!(step, Step::Setting(change) if change.adds_filter()) {
            return false;
        }
        self.without_filters |= matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP);
        // A filter for which there is no place is EINVAL.
        self.without_filters
    }

    /// One transaction. What was to be deleted and is gone already is left out on another try.
    fn nft(&mut self, steps: &[Step]) -> Result<(), Error> {
        let mut rest: Vec<Step> = steps.iter().filter_map(|step| self.with_handles(step)).collect();
        let mut again = false;
        while let Some(first) = rest.first().cloned() {
            let changes: Vec<_> = rest.iter().filter_map(|step| step.nft()).collect();
            let Some(nft) = &mut self.kernel.nft else { return Ok(()) };
            match nft.change(&changes) {
                Ok(Ok(())) => {
                    rest.iter().for_each(|step| self.finish(step));
                    return Ok(());
                }
                Ok(Err((at, error))) => {
                    let step = rest.get(at).unwrap_or(&first);
                    if again && step.is_there(error.errno()) {
                        self.finish(&rest.remove(at.min(rest.len() - 1)));
                    } else if step.forgives(error.errno()) {
                        rest.remove(at.min(rest.len() - 1));
                    } else {
                        return Err(Error::Kernel { step: Box::new(step.clone()), error });
                    }
                }
                Err(broken) if !again && self.is_worth_another(&broken) => again = true,
                Err(broken) => return Err(self.broken(&rest, broken)),
            }
        }
        Ok(())
    }

    /// Rules that this run has added have numbers that only the kernel knows; None where nothing is to be deleted.
    fn with_handles(&mut self, step: &Step) -> Option<Step> {
        let Step::AcceptRules(AcceptRulesChange::Delete { accept_rules, handles }) = step else {
            return Some(step.clone());
        };
        let mut handles = handles.clone();
        if handles.is_empty() {
            let found =
                self.kernel.nft.as_mut()?.chain_rules(accept_rules.protocol, &accept_rules.chain).ok()?;
            let own = found.into_iter().filter_map(|rule| rule.own);
            handles.extend(own.filter(|one| one.bridge == accept_rules.bridge).map(|one| one.handle));
        }
        let accept_rules = accept_rules.clone();
        (!handles.is_empty()).then(|| AcceptRulesChange::Delete { accept_rules, handles }.into())
    }

    /// Whether to send the same once more. Where an answer is lost, the kernel acted, and what is there by now
    /// is no error; where something cannot be taken back any more, the way out is forward.
    fn is_worth_another(&self, broken: &Broken) -> bool {
        matches!(broken, Broken::Unanswered(_)) || self.done.iter().any(|step| step.is_final())
    }

    /// An exchange that broke off. After the send, all of it is to be taken back.
    fn broken(&mut self, steps: &[Step], broken: Broken) -> Error {
        if matches!(broken, Broken::Unanswered(_)) {
            self.done.extend_from_slice(steps);
        }
        Error::system(steps.first().map(|step| step.deed()).unwrap_or_default())(broken.into())
    }

    /// What is not cut ends by itself, later.
    fn cut(&mut self, step: &Step) {
        let (Step::Flows(CutFlows { to }), Some(nft)) = (step, &mut self.kernel.nft) else { return };
        if nft.cut_flows(*to).is_ok() {
            self.finish(step);
        }
    }

    fn file(&mut self, step: &Step) -> Result<(), Error> {
        if let Step::Ipv6Identity(Ipv6IdentityChange::CopySecret { from, to }) = step {
            return copy_secret(from, to).map(|()| self.finish(step)).map_err(Error::system(step.deed()));
        }
        let Step::Setting(SettingChange { link, setting, to, back, .. }) = step else { return Ok(()) };
        match fs::write(format!("/proc/sys/{}", setting.key(link)), to.to_string()) {
            Ok(()) => self.finish(step),
            Err(error) if error.kind() == io::ErrorKind::NotFound && *back => {}
            // Where /proc/sys is read-only, the filters stand alone.
            Err(error)
                if error.kind() == io::ErrorKind::ReadOnlyFilesystem
                    && *setting == Setting::DisableIpv6
                    && !self.without_filters => {}
            // Then only interfaces to come, of which there may be none, do not forward for guests.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem && *link == IfName::DEFAULT => {}
            Err(error) => return Err(Error::system(step.deed())(error)),
        }
        Ok(())
    }
}

/// An interface without a secret of its own (EIO) uses that of the machine, as others do.
fn copy_secret(from: &IfName, to: &IfName) -> io::Result<()> {
    let file = |link: &IfName| format!("/proc/sys/{}", secret_key(link));
    match fs::read_to_string(file(from)) {
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(()),
        secret => fs::write(file(to), secret?),
    }
}

/// In the place of a step whose interface is gone together with what was to be taken off it.
fn nothing() -> Message {
    Message::new(NLMSG_NOOP, 0, &[])
}

const NLMSG_NOOP: u16 = 1;
