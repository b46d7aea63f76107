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
#[allow(missing_docs, reason = "each sentence says what its fields are")]
#[derive(Debug, Error)]
pub enum Error {
    /// Called with the wrong arguments.
    #[error("{problem}")]
    Usage { problem: String, program: &'static str },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// No network has this name.
    #[error("no network is called {name:?}")]
    UnknownNetwork { name: String, hint: String },
    /// Several networks have this name.
    #[error("{} networks are called {name}: {}", .bridges.len(), list(.bridges))]
    SeveralNetworks { name: String, bridges: Vec<IfName> },
    /// Called without the rights.
    #[error("only root can change the network")]
    NotRoot,
    /// Called by root, who has not got the rights.
    #[error("{}", NO_CAPABILITY)]
    NoCapability,
    /// Something speaks against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another one works, for too long.
    #[error("{}, and has for {seconds} s", holder(.pid))]
    Locked { pid: Option<u32>, seconds: u32 },
    /// The time of the run was over before its work.
    #[error("no time left to {doing}, so all was taken back")]
    OutOfTime { doing: String },
    /// The kernel refused a step.
    #[error("cannot {}: {error}", .step.deed())]
    Kernel { step: Box<Step>, error: KernelError },
    /// The tap could not be made.
    #[error("cannot make the tap {tap}: {source}")]
    Tap { tap: IfName, source: io::Error },
    /// A tap that was to be made is there, and another user's.
    #[error("{tap} is there already{}", .owner.map_or(String::new(), |owner| format!(", user {owner}'s")))]
    TapOwned { tap: IfName, owner: Option<u32> },
    /// No such user.
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
    /// A record has entries that only a later version can undo.
    #[error("a later version of kvmnet has recorded {}, which this one cannot undo", .0.join(" "))]
    LaterVersion(Vec<String>),
    /// The lock is closed to this user, or to all.
    #[error("cannot lock {path}: {0}", path = lock::PATH)]
    LockClosed(io::Error),
    /// A system call failed.
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
        match self {
            Error::Usage { program, .. } => Some(format!("{program} TAP, as in: {program} vif0.0")),
            Error::Config(errors) => errors.hint(),
            Error::UnknownNetwork { hint, .. } => Some(hint.clone()),
            Error::SeveralNetworks { bridges, .. } => {
                bridges.first().map(|bridge| format!("say which by its bridge: kvmnet down {}", shell_word(bridge)))
            }
            Error::NotRoot => {
                Some(
                    "QEMU runs its network scripts with its own rights: start it with sudo; or `sudo kvmnet attach --create --user NAME TAP`, and -nic tap,ifname=TAP,script=no,downscript=no"
                        .to_owned(),
                )
            }
            Error::NoCapability => Some(
                "give it to the container: docker run --cap-add NET_ADMIN --device /dev/net/tun, or the like".to_owned(),
            ),
            Error::Refused(refusal) => refusal.hint(),
            Error::LockClosed(source) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some("/run must be writable: for a container, docker run --tmpfs /run, or the like".to_owned())
            }
            Error::LockClosed(_) => Some(format!(
                "a user with CAP_NET_ADMIN is let in by a group: install -m 660 -g GROUP /dev/null {}",
                lock::PATH
            )),
            Error::Locked { pid: Some(pid), .. } => Some(format!("`ps {pid}` shows what it is")),
            Error::Locked { pid: None, .. } => None,
            Error::OutOfTime { .. } => Some("the machine is slow to change its network; try again".to_owned()),
            Error::Kernel { step, error } => {
                kernel_hint(step, error.errno()).map(str::to_owned)
            }
            Error::Tap { tap, source } if source.raw_os_error() == Some(Errno::EBUSY as i32) => {
                Some(format!("a process has {tap} open; leave --create out to attach it as it is"))
            }
            Error::Tap { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("is there no /dev/net/tun? `modprobe tun`".to_owned())
            }
            Error::Tap { .. } => None,
            Error::TapOwned { tap, .. } => Some(format!(
                "without --user it is attached as it is; `ip tuntap del {} mode tap` deletes it",
                shell_word(tap)
            )),
            Error::NoUser(_) => Some("give the user's number, as `id -u NAME` prints it".to_owned()),
            Error::TapInUse(_) => Some("stop the guest first; without --delete, it only loses its network".to_owned()),
            Error::ChangedMeanwhile => Some("look again: kvmnet apply".to_owned()),
            Error::Unconfirmed { .. } => Some(
                "a switch port or cloud host that allows one MAC? use mode = \"routed\" or \"nat\"; confirm = false goes on regardless"
                    .to_owned(),
            ),
            Error::LeftStanding { error, .. } => {
                Some(error.hint().unwrap_or_else(|| "once that is put right: kvmnet gc".to_owned()))
            }
            Error::LaterVersion(_) => Some("install that version, then: kvmnet gc".to_owned()),
            Error::System { source, .. } if source.raw_os_error() == Some(Errno::EPERM as i32) => {
                Some(NO_CAPABILITY.to_owned())
            }
            Error::System { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => Some(
                "where /proc/sys is read-only, as in a container, use mode = \"nat\" or \"host-only\" with IPv4 addresses"
                    .to_owned(),
            ),
            Error::System { .. } => None,
        }
    }

    /// 2 for what the caller wrote wrongly, 1 for all else.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage { .. } | Error::UnknownNetwork { .. } | Error::SeveralNetworks { .. } => 2,
            Error::Config(_) | Error::NoUser(_) => 2,
            _ => 1,
        }
    }
}

const NO_CAPABILITY: &str = "root without CAP_NET_ADMIN, as in many containers, cannot change the network";

fn kernel_hint(step: &Step, errno: Errno) -> Option<&'static str> {
    if errno == Errno::EPERM { Some(NO_CAPABILITY) } else { step.hint(errno) }
}
