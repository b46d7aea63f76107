//! What a hook inherits from QEMU, put right before anything else happens.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::fs::OpenOptions;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;

use nix::libc;
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

/// Whether this program has rights that the user who started it has not, by its file (AT_SECURE, getauxval(3)). Security
/// modules set the same where a program changes its domain, and nobody has more rights than root.
pub fn is_more_than_its_user() -> bool {
    // SAFETY: the call reads what the kernel has laid beside the arguments.
    let is_secure = unsafe { libc::getauxval(libc::AT_SECURE) != 0 };
    is_secure && !nix::unistd::getuid().is_root()
}

/// How signals were handled when the program began.
#[derive(Debug)]
pub struct Inherited {
    mask: SigSet,
    /// None where it cannot be said, as for a handler of the C library's own.
    pipe: Option<SigHandler>,
}

impl Inherited {
    /// Has signals handled that way again, for another program in this process.
    pub fn restore(&self) {
        // SAFETY: what was there before any code of this program is no handler of its own.
        let _ = self.pipe.map(|handler| unsafe { signal(Signal::SIGPIPE, handler) });
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
    }
}

/// Opens what is closed of standard input, output and error, clears the signal mask, in which QEMU has SIGALRM,
/// SIGUSR1, SIGIO and SIGBUS (`qemu_signal_init`), and ignores SIGPIPE: a reader that went away is no reason to die.
pub fn put_right() -> Inherited {
    open_standard_files();
    let mut mask = SigSet::empty();
    // Both can fail only for a wrong argument.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), Some(&mut mask));
    // SAFETY: no handler runs for an ignored signal.
    let pipe = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) }.ok();
    Inherited { mask, pipe }
}

/// Else the next file that is opened would be standard error, and a message would be written into it.
fn open_standard_files() {
    let mut files = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the pointer is to three values that outlive the call, which waits for nothing.
    if unsafe { libc::poll(files.as_mut_ptr(), 3, 0) } < 0 {
        return;
    }
    let is_closed = |file: &&libc::pollfd| file.revents & libc::POLLNVAL != 0;
    for _ in files.iter().filter(is_closed) {
        // A new file gets the lowest free number. It stays open to the end.
        if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
            let _ = null.into_raw_fd();
        }
    }
}
