//! One run from end to end: config → desired → observed → plan → apply, under the lock.

use crate::apply::{Kernel, apply};
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::holder;
use crate::lock::Lock;
use crate::model::IfName;
use crate::observed::Observed;
use crate::plan::{self, Step};
use crate::signals::{self, Hold};

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// One line for the log.
    pub summary: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// Attaches `tap` to its network. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub fn up(tap: &IfName, hook_network: Option<&str>) -> Result<Done, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let network = config::load(&Environment::of_process(), hook_network, tap)?;
    let desired = Desired::new(*tap, network);
    start_deadline()?;
    // Ctrl-C during the wait for the lock ends the hook; nothing has happened yet.
    let _lock = Lock::take()?;
    let _hold = Hold::begin();
    let mut kernel = Kernel::open()?;
    let Kernel { rtnl, nft } = &mut kernel;
    let observed = Observed::for_up(nft.as_mut(), rtnl, &desired).map_err(Error::system("ask the kernel"))?;
    let steps = plan::up(&desired, &observed)?;
    apply(&mut kernel, &observed.facts, &steps, &mut |_| {})?;
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
    start_deadline()?;
    // Ctrl-C during the wait for the lock ends the hook; nothing has happened yet.
    let _lock = Lock::take()?;
    let _hold = Hold::begin();
    let mut kernel = Kernel::open()?;
    let Kernel { rtnl, nft } = &mut kernel;
    let observed = Observed::for_down(nft.as_mut(), rtnl, tap).map_err(Error::system("ask the kernel"))?;
    let carrier = observed.facts.link(tap).is_some_and(|link| link.is_tap() && link.carrier);
    if holder::is_anothers(tap, carrier) {
        let summary = format!("{tap} is left as it is: another process holds it by now");
        return Ok(Done { summary, steps: Vec::new() });
    }
    let steps = plan::down(tap, &observed)?;
    apply(&mut kernel, &observed.facts, &steps, &mut |_| {})?;
    Ok(Done { summary: format!("{tap} is down, {}", changes(&steps)), steps })
}

fn start_deadline() -> Result<(), Error> {
    signals::start_deadline().map_err(Error::system("set a timer"))
}

fn changes(steps: &[Step]) -> String {
    match steps.iter().filter(|step| **step != Step::Barrier).count() {
        0 => "nothing to do".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}
