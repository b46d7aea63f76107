//! The helper, run as QEMU runs it, by somebody who may have anything in mind.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::kit::{ALICE, BOB, VMS};
use crate::lab::{Lab, hooks_dir};

/// Where it is installed.
pub const HELPER: &str = "/run/lab/kvmnet-bridge-helper";
/// What its file has.
pub const CAPABILITIES: &str = "cap_net_admin,cap_net_raw,cap_dac_read_search+ep";

/// Installs the helper, and the lock's file as a machine has it that is up.
pub fn install(lab: &Lab) {
    let built = hooks_dir().join("kvmnet-bridge-helper");
    lab.host.run(&format!("install -m 755 {} {HELPER}", built.display()));
    lab.host.run(&format!("setcap {CAPABILITIES} {HELPER}"));
    lab.host.run("install -m 600 /dev/null /run/kvmnet.lock");
}

/// One run of it.
pub struct Asking<'a> {
    lab: &'a Lab,
    pub command: Command,
    near: UnixStream,
    far: UnixStream,
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    pub status: Option<i32>,
    pub err: String,
    /// The tap that came through the socket.
    pub tap: Option<OwnedFd>,
}

impl Answer {
    #[track_caller]
    pub fn granted(self) -> OwnedFd {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""));
        self.tap.expect("the tap came")
    }

    /// Nothing was given, and one line says why.
    #[track_caller]
    pub fn refused(&self, word: &str) {
        assert_eq!(self.status, Some(1), "{}", self.err);
        assert!(self.tap.is_none());
        let lines: Vec<&str> = self.err.lines().collect();
        assert!(
            matches!(lines.len(), 1 | 2) && lines[0].starts_with("kvmnet-bridge-helper: "),
            "{}",
            self.err
        );
        assert!(lines.get(1).is_none_or(|hint| hint.starts_with("hint: ")), "{}", self.err);
        assert!(lines[0].contains(word), "{word}: {}", self.err);
        let is_unsafe = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!self.err.contains(is_unsafe), "{:?}", self.err);
    }
}

impl<'a> Asking<'a> {
    /// alice's, who is in the group vms.
    pub fn alice(lab: &'a Lab, network: &str) -> Self {
        Self::new(lab, ALICE, &[ALICE, VMS], &["--use-vnet", "--fd=FD", &format!("--br={network}")])
    }

    /// bob's, who is not.
    pub fn bob(lab: &'a Lab, network: &str) -> Self {
        Self::new(lab, BOB, &[BOB], &["--use-vnet", "--fd=FD", &format!("--br={network}")])
    }

    pub fn new(lab: &'a Lab, user: u32, groups: &[u32], words: &[&str]) -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        let number = far.as_raw_fd();
        let mut command = Command::new(HELPER);
        command.args(words.iter().map(|word| word.replace("FD", &number.to_string())));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let groups = groups.to_vec();
        let become_user = move || {
            // SAFETY: the file is open in the parent for as long as the child is run, so it is in the child.
            let far = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            fcntl(far, FcntlArg::F_SETFD(FdFlag::empty()))?;
            // SAFETY: bare system calls.
            let result = unsafe {
                libc::setgroups(groups.len(), groups.as_ptr())
                    | libc::setresgid(groups[0], groups[0], groups[0])
                    | libc::setresuid(user, user, user)
            };
            if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec only bare system calls are made.
        unsafe { command.pre_exec(become_user) };
        Self { lab, command, near, far }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Does this in the child, before the program begins.
    pub fn before(mut self, act: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        // SAFETY: the tests' own acts are bare system calls.
        unsafe { self.command.pre_exec(act) };
        self
    }

    pub fn start(self) -> Asked {
        let Self { lab, mut command, near, far } = self;
        let child = lab.host.enter(|| command.spawn().expect("the helper can be run"));
        drop(far);
        Asked { child, near }
    }

    pub fn run(self) -> Answer {
        self.start().answer()
    }
}

/// A helper at work.
pub struct Asked {
    pub child: Child,
    near: UnixStream,
}

impl Asked {
    pub fn answer(self) -> Answer {
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Answer { status: output.status.code(), err, tap: receive(&self.near) }
    }
}

/// As QEMU's recv_fd.
fn receive(socket: &UnixStream) -> Option<OwnedFd> {
    let mut byte = [7];
    let mut room = nix::cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut room), flags).ok()?;
    let bytes = message.bytes;
    let found = message.cmsgs().unwrap().find_map(|part| match part {
        ControlMessageOwned::ScmRights(files) => Some(files),
        _ => None,
    });
    let files = found?;
    assert_eq!((bytes, files.len()), (1, 1));
    // SAFETY: the kernel has just made this descriptor for us.
    Some(unsafe { OwnedFd::from_raw_fd(files[0]) })
}

/// The name of the tap that is behind a file.
pub fn name(tap: &OwnedFd) -> String {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", tap.as_raw_fd())).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("iff:"));
    line.expect("it is a tap").trim().to_owned()
}

/// A file that is somebody's.
pub fn write_as(lab: &Lab, path: &str, mode: &str, text: &str) {
    lab.host.enter(|| {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let _ = File::open(path).unwrap();
    });
    lab.host.run(&format!("chmod {mode} {path}"));
}
