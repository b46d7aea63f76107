//! What a hook inherits from QEMU, put right before anything else happens.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::fs::OpenOptions;
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};

/// The arguments of C's `main`. The standard library finds them without being told with glibc alone.
///
/// # Safety
///
/// `argv` must point to `argc` texts, each with its closing NUL.
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    let argument = |place| {
        // SAFETY: there are so many, and each is such a text.
        let text = unsafe { CStr::from_ptr(*argv.add(place)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(argc).unwrap_or_default()).map(argument).collect()
}

/// Opens what is closed of standard input, output and error, clears the signal mask, in which QEMU has SIGALRM,
/// SIGUSR1, SIGIO and SIGBUS (`qemu_signal_init`), and ignores SIGPIPE: a reader that went away is no reason to die.
pub fn put_right() {
    open_standard_files();
    // Both can fail only for a wrong argument.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    // SAFETY: no handler runs for an ignored signal.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}

/// Else the next file that is opened would be standard error, and a message would be written into it.
fn open_standard_files() {
    let mut files = [0, 1, 2].map(|fd| {
        // SAFETY: the number is only asked about; for a closed file the answer is POLLNVAL.
        PollFd::new(unsafe { BorrowedFd::borrow_raw(fd) }, PollFlags::empty())
    });
    if poll(&mut files, PollTimeout::ZERO).is_err() {
        return;
    }
    let is_closed = |file: &PollFd| file.revents().is_some_and(|events| events.contains(PollFlags::POLLNVAL));
    for _ in files.iter().filter(|file| is_closed(file)) {
        // A new file gets the lowest free number. It stays open to the end.
        if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
            let _ = null.into_raw_fd();
        }
    }
}
