//! One run from end to end: config → desired → observed → plan → apply, under the lock.

mod attach;
mod converge;
mod network;
mod preview;

pub use attach::{Creation, attach, detach};
pub use converge::{Difference, converge, difference};
pub use network::{network_down, network_up, sweep};
pub use preview::{Preview, preview_down, preview_up};

use crate::apply::{Kernel, apply};
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::holder;
use crate::lock::Lock;
use crate::model::{Facts, IfName};
use crate::observed::Observed;
use crate::plan::{self, Step};
use crate::signals::{self, Hold};

/// Is told each step once it is done.
pub type Seen<'a> = &'a mut dyn FnMut(&Step);

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// One line for the log.
    pub summary: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Attaches `tap` to its network. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub fn up(tap: &IfName, hook_network: Option<&str>, seen: Seen) -> Result<Done, Error> {
    require_root()?;
    let network = config::load(&Environment::of_process(), hook_network, tap)?;
    let desired = Desired::new(*tap, network);
    let steps = Work::begin()?.bring_up(&desired, seen)?;
    let network = &desired.network;
    let summary = format!(
        "{tap} is up on {} (network {}, {}), {}",
        network.bridge,
        network.name,
        network.mode,
        changes(&steps)
    );
    Ok(Done { summary, steps })
}

/// Takes `tap` off its network, and the network away when it was the last. Needs no configuration.
///
/// Without rights nothing is touched, and that is no error: QEMU with `-runas` calls its hook that way, and
/// the next run sweeps.
pub fn down(tap: &IfName) -> Result<Done, Error> {
    if !nix::unistd::geteuid().is_root() {
        let summary = format!("{tap} is left as it is: no rights (-runas?); the next run sweeps");
        return Ok(Done { summary, steps: Vec::new() });
    }
    let mut work = Work::begin()?;
    let observed = work.observe(|Kernel { rtnl, nft }| Observed::for_down(nft.as_mut(), rtnl, tap))?;
    let carrier = observed.facts.link(tap).is_some_and(|link| link.is_tap() && link.carrier);
    if holder::is_anothers(tap, carrier) {
        let summary = format!("{tap} is left as it is: another process holds it by now");
        return Ok(Done { summary, steps: Vec::new() });
    }
    let steps = plan::down(tap, &observed)?;
    work.apply(&observed.facts, &steps, &mut |_| {})?;
    Ok(Done { summary: format!("{tap} is down, {}", changes(&steps)), steps })
}

/// The kernel, with nobody else of kvmnet's at it, and no signal between its changes.
struct Work {
    kernel: Kernel,
    _hold: Hold,
    _lock: Lock,
}

impl Work {
    fn begin() -> Result<Self, Error> {
        signals::start_deadline().map_err(Error::system("set a timer"))?;
        // Ctrl-C during the wait for the lock ends the program; nothing has happened yet.
        let lock = Lock::take()?;
        let hold = Hold::begin();
        Ok(Self { kernel: Kernel::open()?, _hold: hold, _lock: lock })
    }

    fn observe(
        &mut self,
        ask: impl FnOnce(&mut Kernel) -> std::io::Result<Observed>,
    ) -> Result<Observed, Error> {
        ask(&mut self.kernel).map_err(Error::system("ask the kernel"))
    }

    fn apply(&mut self, facts: &Facts, steps: &[Step], seen: Seen) -> Result<(), Error> {
        apply(&mut self.kernel, facts, steps, seen)
    }

    fn bring_up(&mut self, desired: &Desired, seen: Seen) -> Result<Vec<Step>, Error> {
        let observed = self.observe(|Kernel { rtnl, nft }| Observed::for_up(nft.as_mut(), rtnl, desired))?;
        let steps = plan::up(desired, &observed)?;
        self.apply(&observed.facts, &steps, seen)?;
        Ok(steps)
    }
}

fn require_root() -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Error::NotRoot) }
}

fn changes(steps: &[Step]) -> String {
    match steps.iter().filter(|step| **step != Step::Barrier).count() {
        0 => "nothing to do".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}
