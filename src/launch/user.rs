//! Whom the program is run as, and what of root's rights is left to it: none.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use nix::unistd::{Gid, Uid, geteuid, getresgid, getresuid, setgroups, setresgid, setresuid};

use crate::account::Account;
use crate::error::Error;
use crate::rights;

/// What this process keeps until it is the program, to put the network back where that cannot be run. A program that is
/// another user's than root's gets none of it (capabilities(7), "Transformation of capabilities during execve()").
const KEPT: [u32; 3] = [rights::NET_ADMIN, rights::NET_RAW, rights::DAC_OVERRIDE];

/// Where programs that make a user root say who it is: sudo and run0, doas, pkexec.
const CALLERS: [&str; 3] = ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"];

/// The user that was asked for, else the one who called sudo; None where it stays who it is.
pub fn of(user: Option<&str>) -> Result<Option<Account>, Error> {
    let failed = || Error::system("read /etc/passwd and /etc/group");
    let caller = || CALLERS.iter().find_map(|name| env::var(name).ok()).filter(|_| geteuid().is_root());
    let is_asked_for = user.is_some();
    let Some(user) = user.map(str::to_owned).or_else(caller) else { return Ok(None) };
    let found = match Account::find(&user).map_err(failed())? {
        None if !is_asked_for => as_sudo_says().map_err(failed())?,
        found => found,
    };
    let account = found.ok_or(Error::NoAccount(user))?;
    let is_self = account.user == geteuid().as_raw();
    match is_self {
        true => Ok(None),
        false if geteuid().is_root() => Ok(Some(account)),
        false => Err(Error::NotThatUser(account.name)),
    }
}

/// Whoever called sudo, as sudo found them where no static program can look (sudo(8), "ENVIRONMENT"). Of what is not said the home
/// is missed least.
fn as_sudo_says() -> io::Result<Option<Account>> {
    let number = |name| env::var(name).ok().and_then(|number| number.parse().ok());
    let (Some(user), Some(group), Ok(name)) = (number("SUDO_UID"), number("SUDO_GID"), env::var("SUDO_USER"))
    else {
        return Ok(None);
    };
    let home = env::var("SUDO_HOME").unwrap_or_else(|_| "/".to_owned());
    Account::elsewhere(name, user, group, home).map(Some)
}

/// Becomes this user, with no rights that outlast execve(2). Root that stays root stays as it is.
pub fn change_to(account: Option<&Account>) -> io::Result<()> {
    if let Some(Account { user, group, groups, .. }) = account {
        let (user, group) = (Uid::from_raw(*user), Gid::from_raw(*group));
        rights::close_bounding_set();
        rights::keep_over_user_change()?;
        setgroups(&groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
        let (users, groups) = (getresuid()?, getresgid()?);
        if [users.real, users.effective, users.saved] != [user; 3]
            || [groups.real, groups.effective, groups.saved] != [group; 3]
        {
            return Err(io::Error::other("the user is not the one that was set"));
        }
    }
    if geteuid().is_root() { Ok(()) } else { rights::keep(&KEPT) }
}

/// The environment of the program, a line each: whose it is, and nothing that was meant for kvmnet.
pub fn environment(account: Option<&Account>) -> impl Iterator<Item = OsString> {
    let own = account.map(|account| {
        [("HOME", &account.home), ("USER", &account.name), ("LOGNAME", &account.name)]
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    });
    let own: Vec<_> = own.into_iter().flatten().collect();
    let is_own = own.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let others = env::vars_os()
        .filter(move |(name, _)| !name.as_bytes().starts_with(b"KVMNET_") && !is_own.contains(name));
    others.chain(own).map(|(mut line, value)| {
        line.push("=");
        line.push(value);
        line
    })
}
