//! Who asks, where a program has rights by its file (setuid, file capabilities) that its user has not: the helper always, a
//! hook where somebody has made it such a file. What root wants is done, and not what the user wants.
//!
//! It goes by what the kernel says of this process: its real user, and the groups that it has. Whoever was put into a group since
//! they logged in is in it from their next login on, as everywhere.

use std::fmt;

use nix::unistd::{getgid, getgroups, getuid, setresgid, setresuid};

use crate::account::{Account, group_number, user_number};
use crate::config::Environment;
use crate::error::Error;
use crate::inherited::is_more_than_its_user;
use crate::lock::LockFile;
use crate::model::Network;
use crate::{confine, rights, signals};

/// The one variable that a user may set: whether they are let on that network, root's configuration says.
const NETWORK: &str = "KVMNET_NETWORK";

/// The user whose QEMU it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    user: u32,
    groups: Vec<u32>,
}

impl Caller {
    pub fn of_process() -> Self {
        let others = getgroups().unwrap_or_default();
        let groups = std::iter::once(getgid()).chain(others).map(|group| group.as_raw()).collect();
        Self { user: getuid().as_raw(), groups }
    }

    /// The user of a program with more rights than theirs; None where it is an ordinary one.
    pub fn with_less_rights() -> Option<Self> {
        is_more_than_its_user().then(Self::of_process)
    }

    /// The number of the user.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// Becomes the user, with the rights alone that a change of networks needs, and the lock's file, which is the one thing
    /// that the user could not open. A user can stop this process, and is not to hold up others.
    pub fn become_user(&self) -> Result<LockFile, Error> {
        if !self.is_root() {
            signals::limit_time().map_err(Error::system("set a timer"))?;
        }
        let lock = LockFile::open()?;
        if self.is_root() {
            confine::as_starter()?;
        } else {
            leave_root().map_err(Error::system("become the user"))?;
            confine::for_user()?;
        }
        Ok(lock)
    }

    /// Whether root lets this user put guests on a network.
    pub fn require_grant(&self, network: &Network) -> Result<(), Error> {
        match self.is_one_of(&network.users)? {
            true => Ok(()),
            false => Err(Error::NotGranted { user: self.to_string(), network: network.name.clone() }),
        }
    }

    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Whether one of `users`, of which those with `@` are groups, is this one. A name that nobody has is nobody.
    pub fn is_one_of(&self, users: &[String]) -> Result<bool, Error> {
        if self.is_root() {
            return Ok(true);
        }
        for name in users {
            let is_it = match name.strip_prefix('@') {
                Some(group) => {
                    group_number(group).map(|number| number.is_some_and(|one| self.groups.contains(&one)))
                }
                None => user_number(name).map(|number| number == Some(self.user)),
            };
            if is_it.map_err(Error::system("read /etc/passwd and /etc/group"))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Of a setuid program; the rights stay, and go next.
fn leave_root() -> std::io::Result<()> {
    rights::keep_over_user_change()?;
    let (user, group) = (getuid(), getgid());
    setresgid(group, group, group)?;
    Ok(setresuid(user, user, user)?)
}

/// Refuses variables: one says what the user wants, and what is done here is what root wants. `but` is heeded.
pub(crate) fn refuse_variables(environment: &Environment, but: Option<&str>) -> Result<(), Error> {
    match environment.names().find(|name| but != Some(name)) {
        Some(name) => Err(Error::VariableNotHeeded(name)),
        None => Ok(()),
    }
}

/// The user for whom a hook works that has more rights than they, and the lock's file. Of the variables only the one that
/// names a network is heeded.
pub(crate) fn admitted(environment: &Environment) -> Result<Option<(Caller, LockFile)>, Error> {
    let Some(caller) = Caller::with_less_rights() else { return Ok(None) };
    refuse_variables(environment, Some(NETWORK))?;
    let lock = caller.become_user()?;
    Ok(Some((caller, lock)))
}

/// Refuses to work for a user who has less rights than this program.
pub fn require_equal_rights(program: &'static str) -> Result<(), Error> {
    match Caller::with_less_rights() {
        Some(_) => Err(Error::MoreThanItsUser(program)),
        None => Ok(()),
    }
}

/// The user's name, where there is one.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.user.to_string();
        match Account::find(&number) {
            Ok(Some(account)) => f.write_str(&account.name),
            _ => write!(f, "user {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_who_is_named() {
        let caller = Caller { user: 4711, groups: vec![4711, 4712] };
        let is = |users: &[&str]| {
            caller.is_one_of(&users.iter().map(|&user| user.to_owned()).collect::<Vec<_>>()).unwrap()
        };
        for users in [&["4711"][..], &["root", "4711"], &["@4712"], &["@4711"], &["@root", "@4712"]] {
            assert!(is(users), "{users:?}");
        }
        for users in [
            &[][..],
            &["4712"],
            &["root"],
            &["@root"],
            &["@4713"],
            &["no-such-user", "@no-such-group"],
            &["@"],
            &[""],
        ] {
            assert!(!is(users), "{users:?}");
        }
        let root = Caller { user: 0, groups: vec![0] };
        assert!(root.is_one_of(&[]).unwrap());
    }
}
