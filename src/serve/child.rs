//! dnsmasq as a child: unprivileged from its first instruction, and gone when its parent is.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setuid};

use crate::rights;

/// What it needs: ports below 1024, raw sockets, and to say who has an address before that one can be asked.
const CAPABILITIES: [u32; 3] = [rights::NET_ADMIN, rights::NET_BIND_SERVICE, rights::NET_RAW];
/// Whose it is: Debian's package makes the first.
const USERS: [&str; 2] = ["dnsmasq", "nobody"];
/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// A user by number, and its group.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub uid: Uid,
    pub gid: Gid,
}

impl User {
    /// The one that dnsmasq is run as.
    pub fn find() -> Option<Self> {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        USERS.into_iter().find_map(|name| users.lines().find_map(|line| Self::of(line, name)))
    }

    pub(super) fn of(line: &str, wanted: &str) -> Option<Self> {
        let [name, _, uid, gid, ..] = line.split(':').collect::<Vec<_>>()[..] else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (name == wanted).then_some(Self { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) })
    }
}

/// A running dnsmasq.
pub struct Server {
    child: Child,
    since: Instant,
}

impl Server {
    /// Starts it.
    pub fn start(program: &str, conf: &Path, user: Option<User>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("--keep-in-foreground").arg(format!("--conf-file={}", conf.display())).arg("--pid-file=");
        command.env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let parent = nix::unistd::getpid();
        // SAFETY: between fork and exec only system calls are made.
        unsafe { command.process_group(0).pre_exec(move || become_user(user, parent)) };
        Ok(Self { child: command.spawn()?, since: Instant::now() })
    }

    /// How it ended, if it has, after how long, and the last that it said.
    pub fn ended(&mut self) -> Option<(ExitStatus, Duration, String)> {
        if !self.has_ended() {
            return None;
        }
        self.end_children();
        let status = self.child.try_wait().ok().flatten()?;
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.take(16 * 1024).read_to_string(&mut said);
        }
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Some((status, self.since.elapsed(), last.to_owned()))
    }

    /// For how long it has run.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Has it read its files again.
    pub fn reload(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Ends it, and waits for its end: it writes its leases.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while let (false, Some(rest)) = (self.has_ended(), PATIENCE.checked_sub(start.elapsed())) {
            wait_for_child(rest);
        }
        self.end_children();
        let _ = self.child.wait();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Whether it has ended. Its number stays its own.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    /// It has a child for each client that asks over TCP, which outlives it and has its port; and it may still run itself.
    fn end_children(&self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        // It may have ended.
        let _ = kill(self.pid(), signal);
    }
}

/// Waits for a SIGCHLD, which must be blocked.
fn wait_for_child(most: Duration) {
    let wait = libc::timespec { tv_sec: most.as_secs() as _, tv_nsec: most.subsec_nanos() as _ };
    // SAFETY: all bytes zero is a set, and the pointers are to values that outlive the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const wait);
    }
}

/// In the child. A change of user would forget that it is to end with its parent, and dnsmasq itself makes one where it is
/// root; so it is not, and has from the start what it would have kept.
fn become_user(user: Option<User>, parent: Pid) -> io::Result<()> {
    if let Some(User { uid, gid }) = user.filter(|_| Uid::effective().is_root()) {
        rights::keep_over_user_change()?;
        setgroups(&[])?;
        setgid(gid)?;
        setuid(uid)?;
        rights::hand_on(&CAPABILITIES)?;
    }
    // What its parent waits for by other means would be held off here as well.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    set_no_new_privs()?;
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before it could be said so.
    if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}
