//! Who asks, and whether the key `users` names them.
//!
//! It goes by what the kernel says of this process: its real user, and the groups that it has. Whoever was put into a group since
//! they logged in is in it from their next login on, as everywhere.

use std::fmt;

use nix::unistd::{getgid, getgroups, getuid};

use crate::account::{Account, group_number, user_number};
use crate::error::Error;

/// The user whose QEMU it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    user: u32,
    groups: Vec<u32>,
}

impl Caller {
    pub fn of_process() -> Self {
        let others = getgroups().unwrap_or_default();
        let groups = std::iter::once(getgid()).chain(others).map(|group| group.as_raw()).collect();
        Self { user: getuid().as_raw(), groups }
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
