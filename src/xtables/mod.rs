//! The table `filter` of iptables-legacy, which netlink does not show (`net/ipv4/netfilter/ip_tables.c`).
//!
//! In: a family. Out: its chains and rules, as far as they can be read. Never: makes the kernel load or make a table, which
//! asking for one that is not in use would do.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod parse;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

pub use parse::Filter;

/// IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; those of IPv6 have the same numbers.
const GET_INFO: libc::c_int = 64;
const GET_ENTRIES: libc::c_int = 65;
/// What is larger is nobody's who wants to have it explained.
const LARGEST: usize = 4 << 20;
/// It may grow between two questions.
const ATTEMPTS: usize = 8;

/// Of `struct ipt_getinfo`: a name, a set of hooks, where each hook begins and where its policy is, a number, and the size.
struct Info {
    hook_entry: [u32; 5],
    underflow: [u32; 5],
    size: u32,
}

/// The name that both structures begin with.
const NAME: usize = 32;

/// Whether it is in use.
pub fn is_used(v6: bool) -> bool {
    let names = if v6 { "/proc/net/ip6_tables_names" } else { "/proc/net/ip_tables_names" };
    // Five tables at most, and a hook comes by here: one read.
    let mut bytes = [0; 128];
    let length = File::open(names).and_then(|mut file| file.read(&mut bytes)).unwrap_or_default();
    bytes[..length].split(|byte| *byte == b'\n').any(|name| name == b"filter")
}

/// Reads it; None where it is too large, or not of a form that is known. It must be in use.
pub fn filter(v6: bool) -> io::Result<Option<Filter>> {
    let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let level = if v6 { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP };
    let mut name = [0; NAME];
    name[..6].copy_from_slice(b"filter");
    for _ in 0..ATTEMPTS {
        let info = info(&socket, level, &name)?;
        let size = info.size as usize;
        if size > LARGEST {
            return Ok(None);
        }
        // `struct ipt_get_entries`: the name, the size, and entries that are aligned.
        let mut answer = [&name[..], &info.size.to_ne_bytes(), &[0; 4], &vec![0; size]].concat();
        match ask(&socket, level, GET_ENTRIES, &mut answer) {
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
            Ok(()) => return Ok(parse::filter(&answer[40..], info.hook_entry, info.underflow, v6)),
        }
    }
    Ok(None)
}

fn info(socket: &OwnedFd, level: libc::c_int, name: &[u8; NAME]) -> Result<Info, Errno> {
    let mut bytes = [0; NAME + 13 * 4];
    bytes[..NAME].copy_from_slice(name);
    ask(socket, level, GET_INFO, &mut bytes)?;
    let number = |place: usize| {
        let at = NAME + 4 * place;
        u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let (hook_entry, underflow) = ([1, 2, 3, 4, 5].map(number), [6, 7, 8, 9, 10].map(number));
    Ok(Info { hook_entry, underflow, size: number(12) })
}

fn ask(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, bytes: &mut [u8]) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel writes no more than `length` bytes, which `bytes` has.
    let outcome = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, bytes.as_mut_ptr().cast(), &raw mut length)
    };
    Errno::result(outcome).map(drop)
}
