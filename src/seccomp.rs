//! Takes system calls away from this process, and from all that it starts (seccomp(2)).
//!
//! In: calls. Out: nothing, or why not. Never: takes away what a library cannot do without: each is refused as to a user without
//! rights, and nothing is killed for having asked.
//!
//! It is a list of what nobody here has any use for, and not of what they use: that differs with the C library and its version,
//! and a program that is started, dnsmasq, has another one.

use std::io;

use nix::libc::{self, BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// The first number of calls that came after Linux 6.4, and the same for all architectures since 5.1. Libraries go on without
/// them; on x86 those of its other binary interface (x32) are behind it, too.
const LATER: u32 = 451;

/// What no program of kvmnet's has a use for, nor dnsmasq: other processes' memory and files, the kernel's own programs and
/// modules, the machine's time, name and end, file systems, and what has often been the way in to a kernel.
pub const NEVER: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_mknodat,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_vmsplice,
    libc::SYS_remap_file_pages,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Namespaces and mounts, for whoever has made its own.
pub const PLACES: &[libc::c_long] = &[libc::SYS_unshare, libc::SYS_mount, libc::SYS_umount2];

/// Other programs, for whoever starts none.
pub const PROGRAMS: &[libc::c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Namespaces by way of clone(2).
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u32;

/// AUDIT_ARCH_* of `include/uapi/linux/audit.h`: the machine, 64 bits, and the lowest byte first.
#[cfg(target_arch = "x86_64")]
const NATIVE: Option<u32> = Some(62 | 0xc000_0000);
#[cfg(target_arch = "aarch64")]
const NATIVE: Option<u32> = Some(183 | 0xc000_0000);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: Option<u32> = None;

/// Where they are in `struct seccomp_data`; of an argument, its lower half.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// From here on these calls are refused. Only who can gain no rights ([`crate::rights::keep`]) may say so; and the calls' numbers
/// have to be known for the machine.
pub fn refuse(lists: &[&[libc::c_long]]) -> io::Result<()> {
    let Some(native) = NATIVE else { return Ok(()) };
    let mut filter = filter(native, lists);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the pointer is to a program that outlives the call, which copies it.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Classic BPF: nothing of it depends on more than the number, but for clone(2), so that the kernel answers all others from a
/// table (Linux 5.11).
fn filter(native: u32, lists: &[&[libc::c_long]]) -> Vec<libc::sock_filter> {
    let is_native = jump(BPF_JEQ, native, 1, 0);
    let mut program = vec![load(ARCHITECTURE), is_native, give(REFUSED), load(NUMBER)];
    program.extend([unless(BPF_JGE, LATER, 1), give(UNKNOWN)]);
    for call in lists.iter().copied().flatten() {
        program.extend([unless(BPF_JEQ, *call as u32, 1), give(REFUSED)]);
    }
    if lists.contains(&PLACES) {
        // The second would hide its flags; C libraries make do with clone(2).
        program.extend([unless(BPF_JEQ, libc::SYS_clone3 as u32, 1), give(UNKNOWN)]);
        program.extend([unless(BPF_JEQ, libc::SYS_clone as u32, 3), load(FIRST_ARGUMENT)]);
        program.extend([unless(BPF_JSET, NEW_NAMESPACES, 1), give(REFUSED)]);
    }
    program.push(give(ALLOWED));
    program
}

fn load(from: u32) -> libc::sock_filter {
    libc::sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: from }
}

/// Goes past so many instructions unless it is so.
fn unless(condition: u32, value: u32, past: u8) -> libc::sock_filter {
    jump(condition, value, 0, past)
}

fn jump(condition: u32, value: u32, if_so: u8, if_not: u8) -> libc::sock_filter {
    libc::sock_filter { code: (BPF_JMP | condition | BPF_K) as u16, jt: if_so, jf: if_not, k: value }
}

fn give(answer: u32) -> libc::sock_filter {
    libc::sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: answer }
}
