//! Whether this process may change networks, and what it may no more: what the kernel asks for is a capability, and not who
//! one is (capabilities(7)).

use std::io;

use nix::libc;

/// Each by its number (`include/uapi/linux/capability.h`).
pub const CHOWN: u32 = 0;
pub const DAC_OVERRIDE: u32 = 1;
pub const KILL: u32 = 5;
pub const SETGID: u32 = 6;
pub const SETUID: u32 = 7;
/// Ports below 1024 can be had.
pub const NET_BIND_SERVICE: u32 = 10;
/// Networks can be changed.
pub const NET_ADMIN: u32 = 12;
/// Packets of any kind can be sent: a takeover asks the gateway.
pub const NET_RAW: u32 = 13;

/// What processes of others are can be seen.
pub const SYS_PTRACE: u32 = 19;
/// File systems can be mounted.
pub const SYS_ADMIN: u32 = 21;

/// _LINUX_CAPABILITY_VERSION_3.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`, of which there are two: for the lower 32 capabilities and for the others.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether CAP_NET_ADMIN is in effect. Root in a container often has it not, and a user may be given it.
pub fn may_change_networks() -> bool {
    get().is_ok_and(|data| data[0].effective & (1 << NET_ADMIN) != 0)
}

/// No program that this process becomes gets a capability, whatever its file has; needs CAP_SETPCAP, and does nothing without.
pub fn close_bounding_set() {
    // Behind the last one that the kernel knows, each is an error.
    (0..64).for_each(|capability| drop(prctl(libc::PR_CAPBSET_DROP, capability)));
}

/// Keeps these capabilities, as far as they are there, and gives up all others for good. What this process becomes by
/// execve(2) as a user who is not root has none.
pub fn keep(kept: &[u32]) -> io::Result<()> {
    let before = get()?;
    let mask = kept.iter().fold(0, |mask, capability| mask | 1 << capability);
    let left = before[0].permitted & mask;
    // The ambient ones go with the inheritable ones.
    set(&[Data { effective: left, permitted: left, inheritable: 0 }, Data::default()])?;
    gain_none()
}

/// No program that this process becomes has more rights than it has itself.
fn gain_none() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// The same, but hands them on to the program that this process becomes, whoever runs it.
pub fn hand_on(kept: &[u32]) -> io::Result<()> {
    let before = get()?;
    let mask = kept.iter().fold(0, |mask, capability| mask | 1 << capability);
    let left = before[0].permitted & mask;
    set(&[Data { effective: left, permitted: left, inheritable: left }, Data::default()])?;
    for capability in kept.iter().filter(|capability| left & (1 << **capability) != 0) {
        raise(*capability)?;
    }
    gain_none()
}

/// Makes a capability an ambient one.
fn raise(capability: u32) -> io::Result<()> {
    let (capability, zero) = (libc::c_ulong::from(capability), 0 as libc::c_ulong);
    // SAFETY: this option takes numbers.
    match unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, zero, zero) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has capabilities outlast the change to a user who is not root.
pub fn keep_over_user_change() -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1)
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: these options take numbers.
    checked(unsafe { libc::prctl(option, value, zero, zero, zero) }.into())
}

fn get() -> io::Result<[Data; 2]> {
    let (mut header, mut data) = (Header { version: VERSION, pid: 0 }, [Data::default(); 2]);
    // SAFETY: both pointers are to values of this version's layout that outlive the call.
    checked(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    Ok(data)
}

fn set(data: &[Data; 2]) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    // SAFETY: as above; the data is only read.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) })
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
