//! Starts a program that has nothing to do with the process that starts it: of what that has from QEMU (the tap, signals,
//! directory, environment), it gets nothing.

use std::ffi::CStr;
use std::io;
use std::ptr;

use nix::errno::Errno;
use nix::libc;

/// The highest signal (`_NSIG`).
const SIGNALS: libc::c_int = 64;

/// Runs `program` with these arguments in a session of its own, a child of nobody here. Whether it could be run is not
/// known.
pub fn start(program: &CStr, arguments: &[&CStr]) -> io::Result<()> {
    let mut argv: Vec<*const libc::c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(ptr::null());
    // SAFETY: the process has one thread, and the child only makes system calls.
    let child = Errno::result(unsafe { libc::fork() })?;
    if child == 0 {
        // SAFETY: this is the child, and both pointers are to texts that it has a copy of.
        unsafe { become_program(program, &argv) };
    }
    // It ends at once. Where SIGCHLD is ignored there is nothing to wait for.
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(child, ptr::null_mut(), 0) } < 0 && Errno::last() == Errno::EINTR {}
    Ok(())
}

/// In the child: a second child, whose parent ends, becomes the program.
///
/// # Safety
///
/// Only for a child between fork and exec; `argv` must end with a null pointer.
unsafe fn become_program(program: &CStr, argv: &[*const libc::c_char]) -> ! {
    let environment: [*const libc::c_char; 1] = [ptr::null()];
    // SAFETY: these are system calls alone (signal-safety(7)), and every pointer is to a value that outlives its call.
    unsafe {
        libc::setsid();
        // Before the one ends that is waited for: from then on nobody here has QEMU's tap.
        close_files();
        if libc::fork() != 0 {
            libc::_exit(0);
        }
        forget_signals();
        libc::umask(0o022);
        libc::chdir(c"/".as_ptr());
        libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
        libc::_exit(127)
    }
}

/// Standard input, output and error are /dev/null, and nothing else is open.
///
/// # Safety
///
/// Closes files of others: only for a child between fork and exec.
unsafe fn close_files() {
    // SAFETY: as above; the path is a text that stays.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for fd in 0..3 {
            libc::dup2(null, fd);
        }
        // Linux 5.9.
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) != 0 {
            for fd in 3..4096 {
                libc::close(fd);
            }
        }
    }
}

/// No signal is blocked, and none is ignored.
///
/// # Safety
///
/// Changes what the process does at a signal: only for a child between fork and exec.
unsafe fn forget_signals() {
    // SAFETY: the mask is a value that outlives its calls; signals that cannot be changed are refused.
    unsafe {
        for signal in 1..=SIGNALS {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}
