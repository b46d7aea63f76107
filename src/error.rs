//! Everything that can go wrong, in one sentence each, with a way out where there is one.

use std::io;
use std::net::IpAddr;

use nix::errno::Errno;
use thiserror::Error;

use crate::apply::Left;
use crate::config::{ConfigErrors, nearest};
use crate::item::Step;
use crate::lock;
use crate::model::IfName;
use crate::netlink::KernelError;
use crate::plan::Refusal;
use crate::terminal::shell_word;

/// Why a program of kvmnet's failed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the message of each says what it is, and what its fields are")]
pub enum Error {
    #[error("{problem}")]
    Usage { problem: String, program: &'static str },
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("no network is called {name:?}")]
    UnknownNetwork { name: String, hint: String },
    #[error("{} networks are called {name}: {}", .bridges.len(), list(.bridges))]
    SeveralNetworks { name: String, bridges: Vec<IfName> },
    #[error("only root can change the network")]
    NotRoot,
    /// Called by root, who has not got the rights.
    #[error("{}", NO_CAPABILITY)]
    NoCapability,
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another process works, for too long; it may not be seen.
    #[error("{}, and has for {seconds} s", holder(.pid))]
    Locked { pid: Option<u32>, seconds: u32 },
    #[error("no time left to {doing}, so all was taken back")]
    OutOfTime { doing: String },
    #[error("cannot {}: {error}", .step.deed())]
    Kernel { step: Box<Step>, error: KernelError },
    #[error("cannot make the tap {tap}: {source}")]
    Tap { tap: IfName, source: io::Error },
    /// A tap that goes with its process could not be made; its name may be a pattern.
    #[error("cannot make a tap {tap}: {source}")]
    NewTap { tap: IfName, source: io::Error },
    /// A program is to be run as a user of whom no groups and no home are known.
    #[error("no user {0:?} in /etc/passwd")]
    NoAccount(String),
    #[error("{user} may not put guests on the network {network}")]
    NotGranted { user: String, network: String },
    #[error(
        "no network has the name or the bridge {bridge:?}, and /etc/qemu/bridge.conf does not allow such a bridge"
    )]
    NotAllowed { bridge: String },
    /// What root's configuration says is not for a user's variables to change.
    #[error("{0}: a user's variables are not heeded here")]
    VariableNotHeeded(String),
    /// By setuid or file capabilities, and nobody has said what it may do for whom.
    #[error("{0} has rights by its file that its user has not, and works for root alone")]
    MoreThanItsUser(&'static str),
    /// The user is another one, and only root can become one.
    #[error("only root can run a program as {0}")]
    NotThatUser(String),
    #[error("cannot run {program}: {}", .errno.desc())]
    CannotRun { program: String, errno: Errno },
    /// A tap that was to be made is there, and another user's.
    #[error("{tap} is there already{}", .owner.map_or(String::new(), |owner| format!(", user {owner}'s")))]
    TapOwned { tap: IfName, owner: Option<u32> },
    /// A tap that was to be made is there, and of another kind.
    #[error("{tap} is there already, {}", if *.several { "for several queues" } else { "with one queue" })]
    TapQueues { tap: IfName, several: bool },
    #[error("no user {0:?} in /etc/passwd")]
    NoUser(String),
    /// A tap that is to be deleted has a guest.
    #[error("a process has {0} open")]
    TapInUse(IfName),
    /// The network is not what it was when somebody looked.
    #[error("the network has changed since the difference was shown")]
    ChangedMeanwhile,
    /// A takeover cut the host off, and was taken back.
    #[error("{target} answered on {nic} and is silent on {bridge}, so everything was moved back")]
    Unconfirmed { target: IpAddr, nic: IfName, bridge: IfName },
    /// A network could not be taken down, and the rest was done.
    #[error("{bridge} is left standing: {error}")]
    LeftStanding { bridge: IfName, error: Box<Error> },
    #[error("a later version of kvmnet has recorded {}, which this one cannot undo", .0.join(" "))]
    LaterVersion(Vec<String>),
    /// The lock is closed to this user, or to all.
    #[error("cannot lock {path}: {0}", path = lock::PATH)]
    LockClosed(io::Error),
    /// A program that may not make the lock's file finds none.
    #[error("there is no {path}: no other program of kvmnet's has run since the machine started", path = lock::PATH)]
    NoLock,
    #[error(transparent)]
    Firewalld(#[from] crate::firewalld::Problem),
    #[error("cannot {doing}: {source}")]
    System { doing: String, source: io::Error },
}

impl From<Left> for Error {
    fn from(Left { bridge, error }: Left) -> Self {
        Error::LeftStanding { bridge, error: Box::new(error) }
    }
}

fn list(bridges: &[IfName]) -> String {
    bridges.iter().map(IfName::to_string).collect::<Vec<_>>().join(", ")
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid} holds {}", lock::PATH),
        None => format!("another process holds {}", lock::PATH),
    }
}

impl Error {
    /// A failed system call.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::System { doing, source }
    }

    /// No network has this name, but `known` ones; `absent` is the configuration file, where there is none.
    pub(crate) fn unknown_network(name: &str, known: &[String], absent: Option<&str>) -> Error {
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None if known.is_empty() => "there is no network".to_owned(),
            None => format!("the networks are: {}", known.join(", ")),
        };
        let absent = absent.map(|path| format!(" (there is no file {path})")).unwrap_or_default();
        Error::UnknownNetwork { name: name.to_owned(), hint: hint + &absent }
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Usage { program, .. } if program.starts_with("kvmnet") => format!("{program} --help"),
            Error::Usage { program, .. } => format!("{program} TAP, as in: {program} vif0.0"),
            Error::Config(errors) => return errors.hint(),
            Error::UnknownNetwork { hint, .. } => hint.clone(),
            Error::SeveralNetworks { bridges, .. } => {
                format!("say which by its bridge: kvmnet down {}", shell_word(bridges.first()?))
            }
            Error::Refused(refusal) => return refusal.hint(),
            Error::Firewalld(problem) => problem.hint()?.to_owned(),
            Error::LockClosed(source) if source.kind() != io::ErrorKind::ReadOnlyFilesystem => format!(
                "a user with CAP_NET_ADMIN is let in by a group: install -m 660 -g GROUP /dev/null {}",
                lock::PATH
            ),
            Error::Locked { pid, .. } => format!("`ps {}` shows what it is", (*pid)?),
            Error::Kernel { step, error } => kernel_hint(step, error.errno())?.to_owned(),
            Error::Tap { tap, source } if source.raw_os_error() == Some(Errno::EBUSY as i32) => {
                format!("a process has {tap} open; leave --create out to attach it as it is")
            }
            Error::NewTap { tap, source } => new_tap_hint(tap, source)?,
            Error::TapOwned { tap, .. } => format!(
                "without --user it is attached as it is; `ip tuntap del {} mode tap` deletes it",
                shell_word(tap)
            ),
            Error::NotGranted { user, network } => format!(
                "root lets in who is named by `users = [{user:?}]` of that network ({network}) in /etc/kvmnet.conf"
            ),
            Error::NotAllowed { .. } => "`kvmnet config show` prints the networks".to_owned(),
            Error::VariableNotHeeded(name) => format!("env -u {} qemu-system-x86_64 …", shell_word(name)),
            Error::TapQueues { tap, .. } => format!(
                "without --queues it is attached as it is; `kvmnet detach --delete {}` deletes it",
                shell_word(tap)
            ),
            Error::LeftStanding { error, .. } => {
                error.hint().unwrap_or_else(|| "once that is put right: kvmnet gc".to_owned())
            }
            other => other.fixed_hint()?.to_owned(),
        })
    }

    /// The way out where it is always the same.
    fn fixed_hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::NoLock => "sudo kvmnet gc",
            Error::MoreThanItsUser(_) => {
                "setcap -r and chmod u-s take them away; kvmnet-bridge-helper is made for users"
            }
            Error::NoAccount(_) => "--user takes one of /etc/passwd; with --user root it stays root",
            Error::NotRoot => {
                "QEMU runs its network scripts with its own rights: start it with sudo; or `sudo kvmnet attach --create --user NAME TAP`, and -nic tap,ifname=TAP,script=no,downscript=no"
            }
            Error::NoCapability => {
                "give it to the container: docker run --cap-add NET_ADMIN --device /dev/net/tun, or the like"
            }
            Error::LockClosed(_) => {
                "/run must be writable: for a container, docker run --tmpfs /run, or the like"
            }
            Error::OutOfTime { .. } => "the machine is slow to change its network; try again",
            Error::Tap { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "is there no /dev/net/tun? `modprobe tun`"
            }
            Error::NoUser(_) => "give the user's number, as `id -u NAME` prints it",
            Error::TapInUse(_) => "stop the guest first; without --delete, it only loses its network",
            Error::ChangedMeanwhile => "look again: kvmnet apply",
            Error::Unconfirmed { .. } => {
                "a switch port or cloud host that allows one MAC? use mode = \"routed\" or \"nat\"; confirm = false goes on regardless"
            }
            Error::LaterVersion(_) => "install that version, then: kvmnet gc",
            Error::System { source, .. } if source.raw_os_error() == Some(Errno::EPERM as i32) => {
                NO_CAPABILITY
            }
            Error::System { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "where /proc/sys is read-only, as in a container, use mode = \"nat\" or \"host-only\" with IPv4 addresses"
            }
            _ => return None,
        })
    }

    /// 2 for what the caller wrote wrongly, 1 for all else.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::UnknownNetwork { .. } | Error::SeveralNetworks { .. } => 2,
            Error::Config(_) | Error::NoUser(_) | Error::NoAccount(_) | Error::NotThatUser(_) => 2,
            // As a shell says it (POSIX, "Exit Status for Commands").
            Error::CannotRun { errno: Errno::ENOENT, .. } => 127,
            Error::CannotRun { .. } => 126,
            _ => 1,
        }
    }
}

fn new_tap_hint(tap: &IfName, source: &io::Error) -> Option<String> {
    let errno = source.raw_os_error().map(Errno::from_raw)?;
    Some(match errno {
        Errno::EBUSY => format!("{tap} is there already: choose another name, or none"),
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => "modprobe tun".to_owned(),
        Errno::EPERM | Errno::EACCES => {
            "the program needs CAP_NET_ADMIN and the device /dev/net/tun: sudo, or in a container --device=/dev/net/tun".to_owned()
        }
        _ => return None,
    })
}

const NO_CAPABILITY: &str = "root without CAP_NET_ADMIN, as in many containers, cannot change the network";

fn kernel_hint(step: &Step, errno: Errno) -> Option<&'static str> {
    if errno == Errno::EPERM { Some(NO_CAPABILITY) } else { step.hint(errno) }
}
