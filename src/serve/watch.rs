//! Waits for whatever a running server depends on: interfaces and addresses, files, its child, signals.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::netlink::route::{ADDRESS4_EVENTS, ADDRESS6_EVENTS, LINK_EVENTS, Rtnl};

/// What comes together is looked at together: a tap that comes is several events.
const CALM: Duration = Duration::from_millis(50);
/// But for so long at most.
const CALMS: usize = 10;

/// What is waited for.
pub struct Watch {
    kernel: Rtnl,
    signals: SignalFd,
    files: Option<Inotify>,
    places: BTreeSet<PathBuf>,
}

impl Watch {
    /// From now on nothing is missed. SIGCHLD, and what ends a program, only wake it.
    pub fn begin() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let kernel = Rtnl::listen(&[LINK_EVENTS, ADDRESS4_EVENTS, ADDRESS6_EVENTS])?;
        Ok(Self { kernel, signals, files: None, places: BTreeSet::new() })
    }

    /// Watches these files and folders, and no others. They are to be read after that.
    pub fn files(&mut self, places: BTreeSet<PathBuf>) -> io::Result<()> {
        if self.files.is_some() && places == self.places {
            return Ok(());
        }
        let files = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        for place in &places {
            let flags = if place.is_dir() { FOLDER } else { FILE };
            match files.add_watch(place.as_path(), flags) {
                // It was there a moment ago, and the folder above says so.
                Ok(_) | Err(Errno::ENOENT | Errno::EACCES) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        (self.files, self.places) = (Some(files), places);
        Ok(())
    }

    /// Waits until something has happened, or for so long. False when this process shall end.
    pub fn wait(&mut self, most: Option<Duration>) -> io::Result<bool> {
        if !self.is_ready(most)? {
            return Ok(true);
        }
        for _ in 0..CALMS {
            if !self.take()? {
                return Ok(false);
            }
            if !self.is_ready(Some(CALM))? {
                break;
            }
        }
        Ok(true)
    }

    fn is_ready(&self, most: Option<Duration>) -> io::Result<bool> {
        let fds = [Some(self.kernel.fd()), Some(self.signals.as_fd()), self.files.as_ref().map(AsFd::as_fd)];
        let mut fds: Vec<PollFd> =
            fds.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout =
            most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
        match poll(&mut fds, timeout) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what has happened, which is looked up anyway.
    fn take(&mut self) -> io::Result<bool> {
        while self.kernel.any_change(PollTimeout::ZERO)? {}
        if let Some(files) = &self.files {
            while files.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        let mut goes_on = true;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            goes_on &= !matches!(signal.ssi_signo as i32, libc::SIGTERM | libc::SIGINT);
        }
        Ok(goes_on)
    }
}

const FOLDER: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_ONLYDIR);
const FILE: AddWatchFlags =
    AddWatchFlags::IN_MODIFY.union(AddWatchFlags::IN_ATTRIB).union(AddWatchFlags::IN_MOVE_SELF);
