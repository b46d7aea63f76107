//! The way to a file, step by step: whoever may change a directory or a link on it decides which file it is.
//!
//! In: a path. Out: the open file. Never: opens what is not a file, which may wait, or do something.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::geteuid;

use super::error::{CANNOT_OPEN, Problem};
use crate::inherited::is_more_than_its_user;
use crate::terminal::{printable, shell_word};

/// As many links as the kernel follows (MAXSYMLINKS).
const MAX_LINKS: usize = 40;
/// What these hold is not text that anybody wrote, and some of it waits for more.
const OF_THE_KERNEL: [FsType; 6] = [
    statfs::PROC_SUPER_MAGIC,
    statfs::SYSFS_MAGIC,
    statfs::DEBUGFS_MAGIC,
    statfs::TRACEFS_MAGIC,
    statfs::CGROUP_SUPER_MAGIC,
    statfs::CGROUP2_SUPER_MAGIC,
];

/// How far one is on the way.
struct Way {
    directory: OwnedFd,
    /// Its path.
    place: PathBuf,
    /// What is still to go, the next step last.
    steps: Vec<OsString>,
    links: usize,
    /// Where the file itself is a link to.
    target: Option<PathBuf>,
}

/// Opens the file at `path`; none where there is no such file.
pub(super) fn open(path: &str) -> Result<Option<File>, Problem> {
    let mut way = Way::of(&std::path::absolute(path).map_err(cannot_open)?)?;
    while let Some(step) = way.steps.pop() {
        match way.go(&step) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(Stop::Absent) => return way.absent(path).map(|()| None),
            Err(Stop::Refused(problem)) => return Err(problem),
        }
    }
    Err(not_a_file())
}

/// Why it goes no further.
enum Stop {
    Absent,
    Refused(Problem),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        if errno == Errno::ENOENT { Self::Absent } else { Self::Refused(cannot_open(errno.into())) }
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl Way {
    /// The way of a whole path.
    fn of(path: &Path) -> Result<Self, Problem> {
        let root = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        let directory = root.map_err(|errno| cannot_open(errno.into()))?;
        let mut way =
            Self { directory, place: PathBuf::from("/"), steps: Vec::new(), links: 0, target: None };
        way.lead_by(path);
        way.trusted(&examined(&way.directory)?)?;
        Ok(way)
    }

    /// This path is next, and then the rest.
    fn lead_by(&mut self, path: &Path) {
        let steps = path.components().filter(|component| *component != Component::CurDir);
        self.steps.extend(steps.map(|step| step.as_os_str().to_owned()).rev());
    }

    /// Takes a step: to a directory, along a link, or to the file.
    fn go(&mut self, step: &OsStr) -> Result<Option<File>, Stop> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = openat(&self.directory, step, flags, Mode::empty())?;
        let stat = examined(&found)?;
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => {
                self.place = match step.to_str() {
                    Some("..") => self.place.parent().unwrap_or(Path::new("/")).to_owned(),
                    _ => self.place.join(step),
                };
                self.trusted(&stat)?;
                self.directory = found;
                Ok(None)
            }
            SFlag::S_IFLNK => self.follow(&found, step, &stat).map(|()| None),
            SFlag::S_IFREG if self.steps.is_empty() => {
                if fstatfs(&found).is_ok_and(|system| OF_THE_KERNEL.contains(&system.filesystem_type())) {
                    return Err(Problem::new("it is not a file that anybody wrote").into());
                }
                let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
                Ok(Some(openat(&self.directory, step, flags, Mode::empty())?.into()))
            }
            SFlag::S_IFREG => Err(Errno::ENOTDIR.into()),
            _ => Err(not_a_file().into()),
        }
    }

    /// Goes on where a link leads to. Root's own, as it stands where only root can put one.
    fn follow(&mut self, link: &OwnedFd, step: &OsStr, stat: &FileStat) -> Result<(), Stop> {
        let place = self.place.join(step);
        if !is_own(stat) {
            let shown = printable(&place.to_string_lossy());
            let text = format!("{shown} is a link of user {}, {DECIDES}", stat.st_uid);
            return Err(Problem::new(text)
                .hint(format!("rm {}", shell_word(place.to_string_lossy().as_ref())))
                .into());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let target = PathBuf::from(readlinkat(link, "")?);
        if target.is_absolute() {
            self.directory = nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
            self.place = PathBuf::from("/");
        }
        if self.steps.is_empty() {
            self.target = Some(target.clone());
        }
        self.lead_by(&target);
        Ok(())
    }

    /// A link that leads nowhere is not an absent file: what it says is on a disk that is not there now.
    fn absent(&self, path: &str) -> Result<(), Problem> {
        let Some(target) = &self.target else { return Ok(()) };
        let problem = Problem::new(format!("it is a link to {}, which does not exist", target.display()));
        Err(problem.hint(format!("mount what holds that file, or: rm {}", shell_word(path))))
    }

    /// Refuses a directory in which anybody but root and the user at work may put another file in its place. That nobody
    /// deletes others' files there, as in /tmp, does not say who was first.
    fn trusted(&self, stat: &FileStat) -> Result<(), Problem> {
        let place = self.place.to_string_lossy();
        let shown = printable(&place);
        let text = if !is_own(stat) {
            format!("its directory {shown} belongs to user {}, {DECIDES}", stat.st_uid)
        } else if stat.st_mode & (Mode::S_IWGRP | Mode::S_IWOTH).bits() != 0 {
            format!(
                "users other than its owner can write to its directory {shown}, and so decide what root does"
            )
        } else {
            return Ok(());
        };
        Err(Problem::new(text).hint("move it to where only root can write, as in /etc"))
    }
}

const DECIDES: &str = "who could decide what root does";

/// Whether it is root's, or of the user at work, if this program has no more rights than they.
pub(super) fn is_own(stat: &FileStat) -> bool {
    stat.st_uid == 0 || stat.st_uid == geteuid().as_raw() && !is_more_than_its_user()
}

pub(super) fn examined(file: &impl std::os::fd::AsFd) -> Result<FileStat, Problem> {
    fstat(file).map_err(|errno| Problem::new(format!("cannot examine it: {errno}")))
}

pub(super) fn not_a_file() -> Problem {
    Problem::new("it is not a regular file")
}

pub(super) fn cannot_open(error: io::Error) -> Problem {
    Problem::new(format!("{CANNOT_OPEN}: {error}"))
}
