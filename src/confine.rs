//! What a hook may still do from the moment on at which it knows its network: whoever finds a way into it with an answer, a
//! record or a command line has no more than that.
//!
//! Where nobody else starts what serves the network, the hook does, and it is inherited: then the rights of that stay as well.

use crate::error::Error;
use crate::model::Network;
use crate::rights::{
    self, CHOWN, DAC_OVERRIDE, KILL, NET_ADMIN, NET_BIND_SERVICE, NET_RAW, SETGID, SETUID, SYS_ADMIN,
    SYS_PTRACE,
};
use crate::seccomp::{self, PROGRAMS};
use crate::service;

/// To change networks and ask neighbours, to see who has a tap open, and a lock's file that is another user's.
const OF_HOOK: [u32; 4] = [DAC_OVERRIDE, NET_ADMIN, NET_RAW, SYS_PTRACE];
/// The same, and what `kvmnet serve` begins with.
const WITH_SERVER: [u32; 10] =
    [CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_PTRACE, SYS_ADMIN];

/// Takes all else away from a hook that brings a guest of this network up. `is_users`: it works for a user, and starts nothing.
pub fn up(network: &Network, is_users: bool) -> Result<(), Error> {
    let starts_server = !is_users && network.serves_dhcp() && !service::has_systemd();
    match starts_server {
        true => as_starter(),
        false => down(),
    }
}

/// The same for one that takes a guest down, and starts nothing.
pub fn down() -> Result<(), Error> {
    keep(&OF_HOOK)
}

/// For a program that may start it.
pub fn as_starter() -> Result<(), Error> {
    keep(&WITH_SERVER)
}

/// For one that changes networks for a user, and starts nothing. A hook of root's has no such filter: it would cost too much of
/// its time (docs/architecture.md).
pub fn for_user() -> Result<(), Error> {
    keep(&[NET_ADMIN, NET_RAW])?;
    // Where a container's own filter does not let this be set, the rights are what counts.
    let _ = seccomp::refuse(&[PROGRAMS]);
    Ok(())
}

fn keep(rights: &[u32]) -> Result<(), Error> {
    rights::keep(rights).map_err(Error::system("give up rights"))
}
