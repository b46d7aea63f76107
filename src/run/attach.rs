//! The hooks' own work, for programs that take a ready tap: `kvmnet attach` and `kvmnet detach`.

use super::{Done, OnStep, Run, attached, concerns_firewalld, require_rights, up};
use crate::account::user_number;
use crate::apply::Kernel;
use crate::desired::Desired;
use crate::error::Error;
use crate::item::LinkChange;
use crate::lock::LockFile;
use crate::model::link::Tun;
use crate::model::{Facts, IfName, Question};
use crate::observed::Observed;
use crate::plan;
use crate::service;
use crate::terminal::shell_word;
use crate::tun::Tap;

/// A persistent tap is to be made first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Who may open it without rights over the network: a user's name or number.
    pub user: Option<String>,
    /// How many queues a program may open; one that is not said is one, or what a tap that is there has.
    pub queues: Option<u16>,
}

/// Attaches `tap` to its network as `qemu-ifup` does. One that was made for it, of which `told` is told the command, goes
/// again where that fails; one that was there stays whose it is.
pub fn attach(
    tap: &IfName,
    creation: Option<&Creation>,
    told: &mut dyn FnMut(&str),
    seen: OnStep,
) -> Result<Done, Error> {
    require_rights()?;
    let Some(creation) = creation else { return up(tap, None, seen) };
    let user = creation.user.as_deref().map(find_user).transpose()?;
    let multi_queue = creation.queues.map(|queues| queues > 1);
    match former(tap)? {
        Some(Tun { owner, .. }) if user.is_some() && owner != user => {
            return Err(Error::TapOwned { tap: *tap, owner });
        }
        Some(former) if multi_queue.is_some_and(|wanted| former.multi_queue != wanted) => {
            return Err(Error::TapQueues { tap: *tap, several: former.multi_queue });
        }
        Some(_) => return up(tap, None, seen),
        None => {}
    }
    let multi_queue = multi_queue.unwrap_or_default();
    let made = Tap::make(tap, multi_queue, user).map_err(|source| Error::Tap { tap: *tap, source })?;
    let user = creation.user.as_ref().map(|user| format!(" user {}", shell_word(user))).unwrap_or_default();
    let many = if multi_queue { " multi_queue" } else { "" };
    let command = format!("ip tuntap add {} mode tap{many}{user}", shell_word(tap));
    // Not before something else is done: where that is refused, nothing is.
    let mut untold = Some(command);
    let done = up(tap, None, &mut |step| {
        untold.take().iter().for_each(|command| told(command));
        seen(step);
    });
    if done.is_err() {
        // The error that counts is the one above.
        let _ = made.unmake();
    }
    done
}

/// A persistent tap that is there already, and that no process has open.
fn former(tap: &IfName) -> Result<Option<Tun>, Error> {
    let mut facts = Facts::default();
    let asked = Kernel::open()?.rtnl.ask(&[Question::Link(*tap)], &mut facts);
    asked.map_err(Error::system("ask the kernel"))?;
    let link = facts.link(tap).filter(|link| link.is_tap() && !link.carrier);
    Ok(link.and_then(|link| link.tun.clone()).filter(|tun| tun.persistent))
}

fn find_user(name: &str) -> Result<u32, Error> {
    let found = user_number(name).map_err(Error::system("read /etc/passwd"))?;
    found.ok_or_else(|| Error::NoUser(name.to_owned()))
}

/// Makes a tap once it has the lock, and attaches it: of a crowd that waits, none has the kernel at work meanwhile.
pub(crate) fn attach_new(
    lock: LockFile,
    make: impl FnOnce() -> Result<(Tap, Desired), Error>,
) -> Result<(Tap, Done), Error> {
    let run = Run::begin_in(Some(lock))?;
    let (tap, desired) = make()?;
    attach_with(run, &desired).map(|done| (tap, done))
}

/// Attaches a tap that this process holds, and goes on with it.
pub(crate) fn attach_held(desired: &Desired) -> Result<Done, Error> {
    attach_with(Run::begin()?, desired)
}

fn attach_with(mut run: Run, desired: &Desired) -> Result<Done, Error> {
    let result = run.bring_up(desired, &mut |_| {});
    run.end();
    result.map(|brought| attached(desired, brought))
}

/// Takes `tap` off its network as `qemu-ifdown` does, whoever has it open. With `delete`, the tap goes, too.
pub fn detach(tap: &IfName, delete: bool, seen: OnStep) -> Result<Done, Error> {
    require_rights()?;
    let mut run = Run::begin()?;
    let observed = run.observe(|Kernel { rtnl, nft }| Observed::for_down(nft.as_mut(), rtnl, tap))?;
    let link = observed.facts.link(tap);
    if delete && link.is_some_and(|link| link.is_tap() && link.carrier) {
        return Err(Error::TapInUse(*tap));
    }
    let mut plan = plan::down(tap, &observed)?;
    if delete && link.is_some() {
        plan.must(format!("delete {tap}"), vec![LinkChange::Delete { name: *tap }.into()]);
    }
    let left = run.apply(&observed.facts, &plan, seen)?;
    if concerns_firewalld(&observed, &plan) {
        service::tell_firewalld();
    }
    let what = if delete { "gone" } else { "down" };
    Ok(Done::new(format_args!("{tap} is {what}"), &plan, left))
}
