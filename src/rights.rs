//! Whether this process may change networks: what the kernel asks for is a capability, and not who one is.

use nix::libc;

/// CAP_NET_ADMIN.
const NET_ADMIN: u32 = 12;
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
#[derive(Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Whether CAP_NET_ADMIN is in effect. Root in a container often has it not, and a user may be given it.
pub fn may_change_networks() -> bool {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data: [Data; 2] = Default::default();
    // SAFETY: both pointers are to values of this version's layout that outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    result == 0 && data[0].effective & (1 << NET_ADMIN) != 0
}
