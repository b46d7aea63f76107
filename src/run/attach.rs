//! The hooks' own work, for programs that take a ready tap: `kvmnet attach` and `kvmnet detach`.

use super::{Done, Seen, Work, require_rights, up};
use crate::apply::Kernel;
use crate::error::Error;
use crate::model::IfName;
use crate::observed::Observed;
use crate::plan::{self, Step};
use crate::tun::{self, Tap};

/// A persistent tap is to be made first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Who may open it without rights over the network: a user's name or number.
    pub user: Option<String>,
}

/// Attaches `tap` to its network as `qemu-ifup` does. One that was made for it goes again where that fails.
pub fn attach(tap: &IfName, creation: Option<&Creation>, seen: Seen) -> Result<Done, Error> {
    require_rights()?;
    let Some(creation) = creation else { return up(tap, None, seen) };
    let user = creation.user.as_deref().map(find_user).transpose()?;
    let made = Tap::make(tap, user).map_err(|source| Error::Tap { tap: *tap, source })?;
    let done = up(tap, None, seen);
    if done.is_err() {
        // The error that counts is the one above.
        let _ = made.unmake();
    }
    done
}

fn find_user(name: &str) -> Result<u32, Error> {
    let found = tun::user(name).map_err(Error::system("read /etc/passwd"))?;
    found.ok_or_else(|| Error::NoUser(name.to_owned()))
}

/// Takes `tap` off its network as `qemu-ifdown` does, whoever has it open. With `delete`, the tap goes, too.
pub fn detach(tap: &IfName, delete: bool, seen: Seen) -> Result<Done, Error> {
    require_rights()?;
    let mut work = Work::begin()?;
    let observed = work.observe(|Kernel { rtnl, nft }| Observed::for_down(nft.as_mut(), rtnl, tap))?;
    let link = observed.facts.link(tap);
    if delete && link.is_some_and(|link| link.is_tap() && link.carrier) {
        return Err(Error::TapInUse(*tap));
    }
    let mut plan = plan::down(tap, &observed)?;
    if delete && link.is_some() {
        plan.must(format!("delete {tap}"), vec![Step::DeleteLink { name: *tap }]);
    }
    let left = work.apply(&observed.facts, &plan, seen)?;
    let what = if delete { "gone" } else { "down" };
    Ok(Done::new(format_args!("{tap} is {what}"), &plan, left))
}
