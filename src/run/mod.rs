//! One run from end to end: config → desired → observed → plan → apply, under the lock.

mod attach;
mod converge;
mod network;
mod preview;

pub use attach::{Creation, attach, detach};
pub(crate) use attach::{attach_held, attach_new};
pub use converge::{Difference, converge, difference};
pub use network::{firewalld, network_down, network_up, sweep};
pub use preview::{Preview, preview_down, preview_up};

use std::fmt;
use std::io;

use crate::apply::{Kernel, Left, apply};
use crate::caller::{self, Caller};
use crate::config::{self, Environment};
use crate::confine;
use crate::desired::Desired;
pub use crate::desired::Teller;
use crate::error::Error;
use crate::feature::{self, Site};
use crate::firewalld;
use crate::foreign::Firewall;
use crate::holder;
use crate::lock::{Lock, LockFile};
use crate::model::{Facts, IfName, Network};
use crate::netlink::nft::Nft;
use crate::netlink::route::Rtnl;
use crate::observed::{Instance, Observed};
pub use crate::plan::Step;
use crate::plan::{self, Plan};
use crate::rights;
use crate::service;
use crate::signals::{self, SignalsBlocked};

/// Is told each step once it is done.
pub type OnStep<'a> = &'a mut dyn FnMut(&Step);

/// What a run did.
#[derive(Debug)]
pub struct Done {
    /// One line for the log.
    pub summary: String,
    /// Whether anything was to be done.
    pub changed: bool,
    /// Networks that nothing keeps and that could not be taken down, and what firewalld would not do; all else was done.
    pub left: Vec<Error>,
    /// What guests will miss.
    pub notes: Vec<String>,
}

impl Done {
    /// `what` is so now, and `plan` was how.
    fn new(what: impl fmt::Display, plan: &Plan, left: Vec<Left>) -> Self {
        let left = left.into_iter().map(Error::from).collect();
        Self {
            summary: format!("{what}, {}", changes(plan)),
            changed: !plan.is_empty(),
            left,
            notes: Vec::new(),
        }
    }

    /// The same for what was brought up.
    fn brought(what: impl fmt::Display, Brought { plan, left, notes, .. }: Brought) -> Self {
        Self { notes, ..Self::new(what, &plan, left) }
    }

    /// And firewalld has the networks in its zones, or what it has not is among what is left.
    /// One that `may_start` just now is waited for.
    fn with_firewalld(mut self, may_start: bool) -> Self {
        self.left.extend(firewalld::settle(may_start).err().map(Error::from));
        self
    }

    /// Nothing was done, and `why`.
    fn nothing(why: String) -> Self {
        Self { summary: why, changed: false, left: Vec::new(), notes: Vec::new() }
    }
}

/// Attaches `tap` to its network. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub fn up(tap: &IfName, hook_network: Option<&str>, seen: OnStep) -> Result<Done, Error> {
    require_rights()?;
    let environment = Environment::of_process();
    let (caller, lock) = caller::admitted(&environment)?.unzip();
    let network = config::load(&environment, hook_network, tap)?;
    caller.iter().try_for_each(|caller| caller.require_grant(&network))?;
    confine::up(&network, caller.is_some())?;
    let user = caller.as_ref().map(Caller::user);
    let desired = Desired { teller: Teller::Starter, user, ..Desired::new(*tap, network) };
    let brought = Run::begin_in(lock)?.bring_up(&desired, seen)?;
    Ok(attached(&desired, brought))
}

fn attached(desired: &Desired, brought: Brought) -> Done {
    let Network { bridge, name, mode, .. } = &desired.network;
    let tap = desired.new_interface();
    if brought.firewalld {
        service::tell_firewalld();
    }
    Done::brought(format_args!("{tap} is up on {bridge} (network {name}, {mode})"), brought)
}

/// Takes `tap` off its network, and the network away when it was the last. Needs no configuration.
///
/// Without rights nothing is touched, and that is not an error: QEMU with `-runas` calls its hook that way, and
/// the next run sweeps.
pub fn down(tap: &IfName) -> Result<Done, Error> {
    if !rights::may_change_networks() {
        return Ok(Done::nothing(format!(
            "{tap} is left as it is: no rights (-runas?); the next run sweeps"
        )));
    }
    let (caller, lock) = caller::admitted(&Environment::of_process())?.unzip();
    confine::down()?;
    let mut run = Run::begin_in(lock)?;
    let observed = run.observe(|Kernel { rtnl, nft }| Observed::for_down(nft.as_mut(), rtnl, tap))?;
    feature::is_of_user(tap, caller.as_ref().map(Caller::user), &observed)?;
    let carrier = observed.facts.link(tap).is_some_and(|link| link.is_tap() && link.carrier);
    if holder::is_anothers(tap, carrier) {
        return Ok(Done::nothing(format!("{tap} is left as it is: another process holds it by now")));
    }
    let plan = plan::down(tap, &observed)?;
    let mut left = run.apply(&observed.facts, &plan, &mut |_| {})?;
    // One whose tap is gone may be the network that the hook is run for.
    let is_on_a_bridge = observed.facts.link(tap).is_some_and(|link| link.master.is_some());
    if !is_on_a_bridge && !left.is_empty() {
        return Err(left.swap_remove(0).into());
    }
    left.extend(beyond(&observed));
    if concerns_firewalld(&observed, &plan) {
        service::tell_firewalld();
    }
    Ok(Done::new(format_args!("{tap} is down"), &plan, left))
}

/// Whether firewalld is there, and the host's interfaces are to be in other zones of its.
fn concerns_firewalld(observed: &Observed, plan: &Plan) -> bool {
    observed.firewalld && plan.writes_tables()
}

/// What stays recorded of networks that nothing keeps, as only a later version can undo it.
fn beyond(observed: &Observed) -> impl Iterator<Item = Left> {
    let unused = observed.networks.iter().filter(|instance| instance.is_unused());
    unused.filter_map(|instance| {
        let entries = instance.ledger.as_ref()?.beyond()?.unknown;
        Some(Left { bridge: instance.bridge, error: Error::LaterVersion(entries) })
    })
}

/// The kernel, with nobody else of kvmnet's at it, and no signal between its changes.
struct Run {
    kernel: Kernel,
    _hold: SignalsBlocked,
    lock: Lock,
}

/// What was done to bring something up.
struct Brought {
    plan: Plan,
    left: Vec<Left>,
    notes: Vec<String>,
    /// Whether firewalld is to hear of it.
    firewalld: bool,
}

impl Run {
    fn begin() -> Result<Self, Error> {
        Self::begin_with(Lock::take)
    }

    /// The lock's file may be open already.
    fn begin_in(lock: Option<LockFile>) -> Result<Self, Error> {
        match lock {
            Some(file) => Self::begin_with(|hold| Lock::take_of(file, hold)),
            None => Self::begin(),
        }
    }

    fn begin_with(lock: impl FnOnce(&SignalsBlocked) -> Result<Lock, Error>) -> Result<Self, Error> {
        signals::start_deadline().map_err(Error::system("set a timer"))?;
        let hold = SignalsBlocked::begin();
        let lock = lock(&hold)?;
        Ok(Self { kernel: Kernel::open()?, _hold: hold, lock })
    }

    /// Lets others go on, in a process that goes on itself.
    fn end(self) {
        self.lock.release();
        signals::stop_deadline();
    }

    fn observe(
        &mut self,
        ask: impl FnOnce(&mut Kernel) -> std::io::Result<Observed>,
    ) -> Result<Observed, Error> {
        ask(&mut self.kernel).and_then(Observed::complete).map_err(Error::system("ask the kernel"))
    }

    fn apply(&mut self, facts: &Facts, plan: &Plan, seen: OnStep) -> Result<Vec<Left>, Error> {
        apply(&mut self.kernel, facts, plan, seen)
    }

    /// What a sweep leaves is looked at again: it may have given back the very NIC that is wanted now.
    fn bring_up(&mut self, desired: &Desired, seen: OnStep) -> Result<Brought, Error> {
        let (mut observed, mut plan) = self.plan_up(desired)?;
        let mut done = plan.sweep();
        let mut left = Vec::new();
        if !done.is_empty() {
            left = self.apply(&observed.facts, &done, seen)?;
            (observed, plan) = self.plan_up(desired)?;
            plan = plan.without(&left.iter().map(|left| left.bridge).collect::<Vec<_>>());
        }
        left.extend(self.apply(&observed.facts, &plan, seen)?);
        left.extend(beyond(&observed).filter(|left| left.bridge != desired.network.bridge));
        done.extend(plan.0);
        let unserved =
            feature::served(&Site::new(desired, &observed)).and_then(|one| service::ensure(&self.lock, one));
        let mut notes = Vec::from_iter(unserved.map(str::to_owned));
        notes.extend(self.blocked(desired, &observed));
        let firewalld = concerns_firewalld(&observed, &done);
        Ok(Brought { plan: done, left, notes, firewalld })
    }

    /// What others drop of the guests' packets, looked for once, when a network begins. That it cannot be seen is no reason to say
    /// that the guest is not up.
    fn blocked(&mut self, desired: &Desired, observed: &Observed) -> Vec<String> {
        let network = &desired.network;
        // Guests of any network talk among each other, which a table for bridges can keep them from.
        let is_promised = network.mode.forwards() || network.serves_dhcp() || observed.has_other_tables;
        if observed.network(&network.bridge).is_some() || !is_promised {
            return Vec::new();
        }
        Firewall::of_network(self.kernel.nft.as_mut(), desired, observed).unwrap_or_default()
    }

    /// Sees to it that those networks are served that stand and shall be.
    fn serve<'a>(&self, networks: impl Iterator<Item = &'a Instance>) {
        for one in networks.filter_map(Instance::served) {
            // What is missing was said when it came up.
            let _ = service::ensure(&self.lock, one);
        }
    }

    fn plan_up(&mut self, desired: &Desired) -> Result<(Observed, Plan), Error> {
        let observed = self.observe(|Kernel { rtnl, nft }| observe_up(nft.as_mut(), rtnl, desired))?;
        let plan = plan::up(desired, &observed)?;
        Ok((observed, plan))
    }
}

/// Reads what bringing a guest up can depend on. Where rules that lead ports to guests are to be written, that is all of these.
fn observe_up(mut nft: Option<&mut Nft>, rtnl: &mut Rtnl, desired: &Desired) -> io::Result<Observed> {
    let mut observed = Observed::for_up(nft.as_deref_mut(), rtnl, desired)?;
    if plan::writes_led_guests(desired, &observed) {
        observed.ask_about_led_guests(nft, rtnl, &desired.network.bridge)?;
    }
    Ok(observed)
}

pub(crate) fn require_rights() -> Result<(), Error> {
    match rights::may_change_networks() {
        true => Ok(()),
        false if nix::unistd::geteuid().is_root() => Err(Error::NoCapability),
        false => Err(Error::NotRoot),
    }
}

fn changes(plan: &Plan) -> String {
    match plan.steps().filter(|step| **step != Step::BARRIER).count() {
        0 => "nothing to do".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}
