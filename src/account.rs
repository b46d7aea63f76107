//! Users and groups, as /etc/passwd and /etc/group have them. A static program cannot load the modules of a directory
//! service (nsswitch.conf(5)), so what only that knows is given by number.

use std::fs::read_to_string;
use std::io;

/// A user of /etc/passwd (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub user: u32,
    pub group: u32,
    pub home: String,
    /// All groups of the user, the first one included.
    pub groups: Vec<u32>,
}

impl Account {
    /// The user of this name or number.
    pub fn find(user: &str) -> io::Result<Option<Self>> {
        let Some(account) = called(&read_to_string("/etc/passwd")?, user) else { return Ok(None) };
        let groups = read_to_string("/etc/group")?;
        Ok(Some(account.with_groups(&groups)))
    }

    /// A user who is only in a directory service, of whom whoever asked it has said this much. The groups are those of /etc/group.
    pub fn elsewhere(name: String, user: u32, group: u32, home: String) -> io::Result<Self> {
        let groups = read_to_string("/etc/group")?;
        Ok(Self { name, user, group, home, groups: Vec::new() }.with_groups(&groups))
    }

    fn is_called(&self, user: &str) -> bool {
        self.name == user || user.parse() == Ok(self.user)
    }

    fn with_groups(mut self, groups: &str) -> Self {
        let is_member = |members: &str| members.split(',').any(|member| member == self.name);
        let others = groups.lines().filter_map(|line| {
            let [_, _, number, members] = fields(line)?;
            number.parse().ok().filter(|number| *number != self.group && is_member(members))
        });
        self.groups = std::iter::once(self.group).chain(others).collect();
        self
    }
}

/// The number of a user: itself, or that of a name in /etc/passwd.
pub fn user_number(user: &str) -> io::Result<Option<u32>> {
    match user.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => number("/etc/passwd", user),
    }
}

/// The number of a group, likewise.
pub fn group_number(group: &str) -> io::Result<Option<u32>> {
    match group.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => number("/etc/group", group),
    }
}

/// The number that a name has in a file of such lines.
fn number(path: &str, name: &str) -> io::Result<Option<u32>> {
    Ok(number_in(&read_to_string(path)?, name))
}

fn number_in(text: &str, name: &str) -> Option<u32> {
    let [_, _, number, _] = text.lines().filter_map(fields).find(|[known, ..]| *known == name)?;
    number.parse().ok()
}

/// The first user of this name or number in a text like /etc/passwd.
fn called(users: &str, user: &str) -> Option<Account> {
    users.lines().filter_map(account).find(|one| one.is_called(user))
}

/// Name, password, number and what is next.
fn fields(line: &str) -> Option<[&str; 4]> {
    let mut fields = line.split(':');
    Some([fields.next()?, fields.next()?, fields.next()?, fields.next()?])
}

fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, user, group, _, home, ..] = fields[..] else { return None };
    let (user, group) = (user.parse().ok()?, group.parse().ok()?);
    Some(Account { name: name.to_owned(), user, group, home: home.to_owned(), groups: Vec::new() })
}

/// Any text as /etc/passwd, behind a NUL one as /etc/group, and behind another whom to look for.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\0');
    let (users, groups) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let user = parts.next().unwrap_or("alice");
    if let Some(account) = called(users, user) {
        assert!(account.name == user || user.parse() == Ok(account.user), "{account:?} is not {user:?}");
        let account = account.with_groups(groups);
        assert_eq!(account.groups.first(), Some(&account.group));
        assert!(account.groups.len() <= groups.len() + 1);
    }
    if let Some(number) = number_in(groups, user) {
        assert!(
            groups
                .lines()
                .filter_map(fields)
                .any(|[name, _, of, _]| name == user && of.parse() == Ok(number))
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_user_with_groups() {
        let alice = account("alice:x:1000:100:Alice,,,:/home/alice:/bin/sh").unwrap();
        assert!(alice.is_called("alice") && alice.is_called("1000") && !alice.is_called("100"));
        let groups =
            "root:x:0:\nkvm:x:36:bob,alice\nusers:x:100:alice\nmalice:x:7:malice\nbroken\ndisk:x:6:\n";
        assert_eq!(alice.with_groups(groups).groups, [100, 36]);
        for line in ["", "alice", "alice:x:1000", "alice:x:many:100::/home/alice:/bin/sh", "+::::::"] {
            assert_eq!(account(line), None, "{line}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(user_number("root").unwrap(), Some(0));
        assert_eq!(user_number("4711").unwrap(), Some(4711));
        assert_eq!(user_number("").unwrap(), None);
    }
}
