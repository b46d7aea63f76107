//! Signals: nothing interrupts a change, and no wait is without an end.

use std::io;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};

/// Holds INT, TERM and HUP off until it is dropped; they are delivered then.
pub struct Hold(());

impl Hold {
    /// Begins to hold them off: Ctrl-C while QEMU starts reaches the hook, too.
    pub fn begin() -> Self {
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held()), None);
        Self(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&held()), None);
    }
}

fn held() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

extern "C" fn interrupt(_: libc::c_int) {}

/// Interrupts a system call that waits, again and again, so that none is missed.
pub struct Alarm(());

impl Alarm {
    /// SIGALRM after `first` and then every `interval`, until it is dropped.
    pub fn every(first: Duration, interval: Duration) -> io::Result<Self> {
        let action = SigAction::new(SigHandler::Handler(interrupt), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, so it is safe at any point of the program.
        unsafe { sigaction(Signal::SIGALRM, &action) }?;
        set_timer(first, interval)?;
        Ok(Self(()))
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let _ = set_timer(Duration::ZERO, Duration::ZERO);
    }
}

fn set_timer(first: Duration, interval: Duration) -> io::Result<()> {
    let time = |duration: Duration| libc::timeval {
        tv_sec: duration.as_secs() as libc::time_t,
        tv_usec: libc::suseconds_t::from(duration.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: time(interval), it_value: time(first) };
    // SAFETY: the pointer is to a value that outlives the call, and the old timer is not asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
