//! Signals: nothing interrupts a change, and nothing goes on without an end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};

/// What a terminal sends, or the end of a session, that would end a run.
const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];
/// What a terminal sends that would have a run stand still with the lock in its hands.
const STOPPING: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Holds signals off until it is dropped: Ctrl-C while QEMU starts reaches the hook, too. Those that end a run are
/// delivered then; those that stop one never, as it ends by itself.
pub struct SignalsBlocked(());

impl SignalsBlocked {
    /// Begins to hold them off.
    pub fn begin() -> Self {
        let all = ENDING.into_iter().chain(STOPPING).collect();
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None);
        Self(())
    }

    /// Lets those that end a run through while `wait` waits: nothing has happened yet.
    pub fn lift<T>(&self, wait: impl FnOnce() -> T) -> T {
        let ending = ENDING.into_iter().collect();
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&ending), None);
        let waited = wait();
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ending), None);
        waited
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&ENDING.into_iter().collect()), None);
    }
}

/// When the first tick of a run's timer comes, and with it the end of a wait for the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// The same where a user may have this process stand still: others wait longer.
const USERS_LOCK_WAIT: Duration = Duration::from_secs(3);
/// How long a process may be there that a user may have stand still; with the lock in its hands others wait for it.
const USERS_TIME: Duration = Duration::from_secs(8);
/// How far the ticks behind it are apart: one that comes just before a call begins does not interrupt it.
const TICK: Duration = Duration::from_secs(1);
/// The tick, after 20 s, from which on nothing new is begun: what was done is taken back.
const EXPIRED: u32 = 11;
/// The tick, after 30 s, with which the run ends, whatever it does.
const END: u32 = 21;

static TICKS: AtomicU32 = AtomicU32::new(0);
static IS_USERS: AtomicBool = AtomicBool::new(false);

/// Whether a user may have this process stand still.
pub fn is_users() -> bool {
    IS_USERS.load(Ordering::Relaxed)
}

/// How long this process waits for the lock.
pub fn lock_wait() -> Duration {
    if is_users() { USERS_LOCK_WAIT } else { LOCK_WAIT }
}

/// Has the kernel end this process in a few seconds, whatever a user does to it: whoever may send it signals can stop it,
/// and no signal but SIGKILL is delivered to one that stands still.
pub fn limit_time() -> io::Result<()> {
    IS_USERS.store(true, Ordering::Relaxed);
    // SAFETY: all bytes zero is a notification without anything set.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGKILL;
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: both pointers are to values that outlive the call.
    let made = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) };
    // SAFETY: all bytes zero is no time.
    let mut time: libc::itimerspec = unsafe { std::mem::zeroed() };
    time.it_value.tv_sec = USERS_TIME.as_secs() as _;
    // SAFETY: the timer was made, the pointer is to a value that outlives the call, and the old time is not asked for.
    if made < 0 || unsafe { libc::timer_settime(timer, 0, &raw const time, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Starts the time of a run. QEMU waits for its hooks without end, so they carry one.
///
/// It is ITIMER_REAL with SIGALRM, which QEMU blocks and [`crate::inherited`] lets through.
pub fn start_deadline() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(tick), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only uses an atomic number, write(2) and _exit(2), which is safe at any point of a
    // program (signal-safety(7)).
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    set_timer(lock_wait(), TICK)
}

/// Ends it: what goes on may take as long as it does.
pub fn stop_deadline() {
    // Only a wrong value or address makes this fail (setitimer(2)).
    let _ = set_timer(Duration::ZERO, Duration::ZERO);
}

fn set_timer(first: Duration, next: Duration) -> io::Result<()> {
    let time = |duration: Duration| libc::timeval {
        // The names of these types are deprecated with musl, which has changed them.
        tv_sec: duration.as_secs() as _,
        tv_usec: duration.subsec_micros() as _,
    };
    let timer = libc::itimerval { it_interval: time(next), it_value: time(first) };
    // SAFETY: the pointer is to a value that outlives the call, and the old timer is not asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a wait for the lock has taken its time.
pub fn is_wait_over() -> bool {
    TICKS.load(Ordering::Relaxed) > 0
}

/// Whether the time of this run is over.
pub fn is_expired() -> bool {
    TICKS.load(Ordering::Relaxed) >= EXPIRED
}

/// Interrupts a system call that waits; the last one ends the run.
extern "C" fn tick(_: libc::c_int) {
    if TICKS.fetch_add(1, Ordering::Relaxed) + 1 < END {
        return;
    }
    let line = b"kvmnet: gave up after 30 s; the next run puts right what was begun\n";
    // SAFETY: the pointer is to this many bytes, and neither call returns to anything that was interrupted.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
        libc::_exit(1)
    }
}
