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
use crate::model::{Facts, IfName, Route, Setting};
use crate::netlink::message::Message;
use crate::netlink::nft::{Change, Nft};
use crate::netlink::route::{Question, Rtnl, address, filter, link, neighbour, nexthop, route, rule};
use crate::netlink::{Broken, KernelError};
use crate::plan::{Plan, Step, Transaction, Witness, secret_key};
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

/// A network that could not be cleaned up, and stands still.
#[derive(Debug)]
pub struct Left {
    /// Its bridge.
    pub bridge: IfName,
    /// Why.
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
        witness: None,
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
    witness: Option<Witness>,
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
            if signals::is_expired() && !self.undoing && !self.done.iter().any(Step::is_final) {
                return Err(Error::OutOfTime { doing: first.deed() });
            }
            let way = way(first);
            let same = steps.iter().take_while(|step| self::way(step) == way).count();
            let (batch, rest) = steps.split_at(if way == Way::Wait { 1 } else { same });
            match way {
                Way::Route => self.route(batch)?,
                Way::Nft => self.nft(batch)?,
                Way::File => batch.iter().try_for_each(|step| self.file(step))?,
                Way::Wait => self.wait(first)?,
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
            self.forget_numbers(step);
            let mut message = encode(step, &self.facts);
            if let Err(name) = &message {
                self.send(steps.get(start..at).unwrap_or_default(), &mut messages)?;
                start = at;
                let question = [Question::Link(*name)];
                self.kernel.rtnl.ask(&question, &mut self.facts).map_err(Error::system(step.deed()))?;
                message = encode(step, &self.facts);
            }
            match message {
                Ok(message) => messages.extend(message),
                Err(_) => {
                    let error = KernelError { errno: Errno::ENODEV as i32, message: String::new() };
                    if !forgives(step, error.errno) {
                        return Err(Error::Kernel { step: Box::new(step.clone()), error });
                    }
                    messages.push(nothing());
                }
            }
        }
        self.send(steps.get(start..).unwrap_or_default(), &mut messages)
    }

    /// An interface that is deleted or made anew has another number from then on.
    fn forget_numbers(&mut self, step: &Step) {
        match step {
            Step::DeleteLink { name } | Step::AddBridge { name, .. } => {
                self.facts.links.retain(|link| link.name != *name);
            }
            Step::AddVeth { outer, inner, .. } => {
                self.facts.links.retain(|link| link.name != *outer && link.name != *inner);
            }
            _ => {}
        }
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
                Some(error) if was_lost && (is_there(step, error.errno) || forgives(step, error.errno)) => {
                    self.finish(step)
                }
                Some(error) if forgives(step, error.errno) || self.lacks_filters(step, error.errno) => {}
                Some(error) => {
                    failed = failed.or(Some(Error::Kernel { step: Box::new(step.clone()), error }))
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether an error says that this kernel lacks what a filter is made of.
    fn lacks_filters(&mut self, step: &Step, errno: i32) -> bool {
        if !matches!(step, Step::Set { setting: Setting::Clsact | Setting::Filter(_), to: 1.., .. }) {
            return false;
        }
        let errno = Errno::from_raw(errno);
        self.without_filters |= matches!(errno, Errno::ENOENT | Errno::EOPNOTSUPP);
        // A filter for which there is no place is EINVAL.
        self.without_filters
    }

    /// One transaction. What was to be deleted and is gone already is left out on another try.
    fn nft(&mut self, steps: &[Step]) -> Result<(), Error> {
        let mut rest: Vec<Step> = steps.iter().filter_map(|step| self.with_handles(step)).collect();
        let mut again = false;
        while let Some(first) = rest.first().cloned() {
            let changes: Vec<Change> = rest.iter().filter_map(change).collect();
            let Some(nft) = &mut self.kernel.nft else { return Ok(()) };
            match nft.change(&changes) {
                Ok(Ok(())) => {
                    rest.iter().for_each(|step| self.finish(step));
                    return Ok(());
                }
                Ok(Err((at, error))) => {
                    let step = rest.get(at).unwrap_or(&first);
                    if again && is_there(step, error.errno) {
                        self.finish(&rest.remove(at.min(rest.len() - 1)));
                    } else if forgives(step, error.errno) {
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
        let Step::DeletePassages { passages, handles } = step else { return Some(step.clone()) };
        let mut handles = handles.clone();
        if handles.is_empty() {
            let found = self.kernel.nft.as_mut()?.passages(passages.protocol, &passages.chain).ok()?;
            handles.extend(found.iter().filter(|one| one.bridge == passages.bridge).map(|one| one.handle));
        }
        (!handles.is_empty()).then(|| Step::DeletePassages { passages: passages.clone(), handles })
    }

    /// Whether to send the same once more. Where an answer is lost, the kernel acted, and what is there by now
    /// is no error; where something cannot be taken back any more, the way out is forward.
    fn is_worth_another(&self, broken: &Broken) -> bool {
        matches!(broken, Broken::Unanswered(_)) || self.done.iter().any(Step::is_final)
    }

    /// An exchange that broke off. After the send, all of it is to be taken back.
    fn broken(&mut self, steps: &[Step], broken: Broken) -> Error {
        if matches!(broken, Broken::Unanswered(_)) {
            self.done.extend_from_slice(steps);
        }
        Error::system(steps.first().map(Step::deed).unwrap_or_default())(broken.into())
    }

    fn file(&mut self, step: &Step) -> Result<(), Error> {
        if let Step::CopySecret { from, to } = step {
            return copy_secret(from, to).map(|()| self.finish(step)).map_err(Error::system(step.deed()));
        }
        let Step::Set { link, setting, to, back, .. } = step else { return Ok(()) };
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

/// How a step gets to the kernel.
#[derive(PartialEq)]
enum Way {
    Route,
    Nft,
    File,
    Wait,
}

fn way(step: &Step) -> Way {
    match step {
        Step::AddTable(_) | Step::ReplaceTable(_) | Step::RemoveTable(_) | Step::DeleteTable { .. } => {
            Way::Nft
        }
        Step::ReplaceElements(_) | Step::AddPassages(_) | Step::DeletePassages { .. } => Way::Nft,
        Step::Set { link, setting, .. } if setting.is_file() || *link == IfName::DEFAULT => Way::File,
        Step::CopySecret { .. } => Way::File,
        Step::AwaitOperational { .. } | Step::AwaitAddresses { .. } => Way::Wait,
        Step::Ask(_) | Step::Confirm(_) | Step::Barrier => Way::Wait,
        _ => Way::Route,
    }
}

fn change(step: &Step) -> Option<Change<'_>> {
    match step {
        Step::AddTable(table) => Some(Change::Add(table)),
        Step::ReplaceTable(table) => Some(Change::Replace(table)),
        Step::RemoveTable(table) => Some(Change::Delete(table.family, &table.name)),
        Step::DeleteTable { family, name } => Some(Change::Delete(*family, name)),
        Step::ReplaceElements(elements) => Some(Change::Elements(elements)),
        Step::AddPassages(passages) => Some(Change::Insert(passages)),
        Step::DeletePassages { passages, handles } => Some(Change::Remove(passages, handles)),
        _ => None,
    }
}

/// The message of a step, or the name of the interface whose number is not known yet.
fn encode(step: &Step, facts: &Facts) -> Result<Option<Message>, IfName> {
    let index = |name: &IfName| facts.link(name).map(|link| link.index).ok_or(*name);
    let indexes =
        |route: &Route| route.hops.iter().map(|hop| index(&hop.device)).collect::<Result<Vec<_>, _>>();
    Ok(Some(match step {
        Step::AddBridge { name, mac, group } => link::add_bridge(name, *mac, *group),
        Step::AddVeth { outer, inner, macs, group } => link::add_veth(outer, inner, *macs, *group),
        Step::DeleteLink { name } => link::delete(name),
        Step::Set { link, setting: Setting::Clsact, to, .. } => filter::set_clsact(index(link)?, *to != 0),
        Step::Set { link, setting: Setting::Filter(which), to, .. } => {
            filter::set(index(link)?, *which, *to != 0)
        }
        Step::Set { link, setting, to, .. } => return Ok(link::set(link, *setting, *to)),
        Step::SetMac { link, to, .. } => link::set_mac(link, *to),
        Step::SetToken { link, token } => link::set_token(link, *token),
        Step::CopySecret { .. } => return Ok(None),
        Step::SetAlias { link, to, .. } => link::set_alias(link, to),
        Step::SetMaster { port, to: Some(bridge), .. } => link::set_master(port, index(bridge)?),
        Step::SetMaster { port, to: None, .. } => link::set_master(port, 0),
        Step::AddAddress { link, address } => address::add(address, index(link)?),
        Step::ClearNodad { link, address } => address::replace(address, index(link)?),
        Step::DeleteAddress { link, address } => address::delete(address, index(link)?),
        Step::AddRoute(route) => route::add(route, &indexes(route)?),
        Step::DeleteRoute(route) => route::delete(route, &indexes(route)?),
        Step::MoveNexthop { nexthop, to } => nexthop::replace(nexthop, index(to)?),
        Step::AddRule(rule) => rule::add(rule),
        Step::DeleteRule(rule) => rule::delete(rule),
        Step::AddNeighbour { neighbour, .. } => neighbour::add(neighbour, index(&neighbour.device)?),
        Step::DeleteNeighbour(neighbour) => neighbour::delete(neighbour, index(&neighbour.device)?),
        Step::AddTable(_) | Step::ReplaceTable(_) | Step::RemoveTable(_) | Step::DeleteTable { .. } => {
            return Ok(None);
        }
        Step::ReplaceElements(_) | Step::AddPassages(_) | Step::DeletePassages { .. } => return Ok(None),
        Step::AwaitOperational { .. } | Step::AwaitAddresses { .. } => return Ok(None),
        Step::Ask(_) | Step::Confirm(_) | Step::Barrier => return Ok(None),
    }))
}

/// In the place of a step whose interface is gone together with what was to be taken off it.
fn nothing() -> Message {
    Message::new(NLMSG_NOOP, crate::netlink::REQUEST, &[])
}

const NLMSG_NOOP: u16 = 1;

/// Whether an error says that a step was done the first time.
fn is_there(step: &Step, errno: i32) -> bool {
    let makes = matches!(step, Step::AddBridge { .. } | Step::AddVeth { .. } | Step::AddTable(_));
    let makes =
        makes || matches!(step, Step::Set { setting: Setting::Clsact | Setting::Filter(_), to: 1.., .. });
    makes && errno == Errno::EEXIST as i32
}

/// Whether an error says that a step's goal is reached already: what was to go is gone, what was to come is there.
fn forgives(step: &Step, errno: i32) -> bool {
    let errno = Errno::from_raw(errno);
    match step {
        Step::DeleteLink { .. } => errno == Errno::ENODEV,
        Step::DeleteAddress { .. } => matches!(errno, Errno::EADDRNOTAVAIL | Errno::ENODEV),
        Step::DeleteRoute(_) => matches!(errno, Errno::ESRCH | Errno::ENODEV),
        Step::DeleteRule(_) => errno == Errno::ENOENT,
        Step::DeleteNeighbour(_) => matches!(errno, Errno::ENOENT | Errno::ENODEV),
        Step::RemoveTable(_) | Step::DeleteTable { .. } => errno == Errno::ENOENT,
        // Whoever's chain it is has taken it away.
        Step::AddPassages(_) | Step::DeletePassages { .. } => errno == Errno::ENOENT,
        Step::AddAddress { .. } | Step::AddRoute(_) | Step::AddRule(_) => errno == Errno::EEXIST,
        Step::SetMaster { to: None, .. } => errno == Errno::ENODEV,
        Step::SetAlias { to, .. } => errno == Errno::ENODEV && !to.starts_with(crate::model::mark::PREFIX),
        Step::Set { setting: Setting::Clsact, to: 1.., .. } => errno == Errno::EEXIST,
        Step::Set { setting: Setting::Clsact | Setting::Filter(_), to: 0, .. } => {
            matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::ENODEV)
        }
        Step::Set { back, .. } => errno == Errno::ENODEV && *back,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What is gone needs nothing put back, whatever the value; what a guest needs must be there.
    #[test]
    fn only_what_is_put_back_may_be_gone() {
        let link = IfName::new("eth3").unwrap();
        for (setting, to) in
            [(Setting::AcceptRa, 2), (Setting::Forwarding, 1), (Setting::Mtu, 1500), (Setting::Up, 0)]
        {
            assert!(forgives(&Step::put_back(link, setting, 7, to), Errno::ENODEV as i32), "{setting} {to}");
            assert!(!forgives(&Step::put_back(link, setting, 7, to), Errno::EINVAL as i32), "{setting} {to}");
            assert!(!forgives(&Step::set(link, setting, 7, to), Errno::ENODEV as i32), "{setting} {to}");
            let undone = Step::set(link, setting, 7, to).inverse().unwrap();
            assert!(forgives(&undone, Errno::ENODEV as i32), "{setting} {to}");
        }
    }
}
