//! Running the hooks as QEMU runs them.

use std::env;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::process::end_with_parent;
use super::{Machine, Tap};

static HOOKS: OnceLock<PathBuf> = OnceLock::new();

/// Chooses the directory with the hooks under test, once.
pub fn use_hooks(directory: PathBuf) {
    HOOKS.get_or_init(|| directory);
}

/// The directory with the hooks under test: the chosen one, else `KVMNET_TEST_HOOKS`, else where cargo has built them.
pub fn hooks_dir() -> PathBuf {
    if let Some(chosen) = HOOKS.get() {
        return chosen.clone();
    }
    if let Some(given) = env::var_os("KVMNET_TEST_HOOKS") {
        return PathBuf::from(given);
    }
    let Some(built) = option_env!("CARGO_BIN_EXE_qemu-ifup") else {
        panic!("KVMNET_TEST_HOOKS must name the directory with the hooks");
    };
    PathBuf::from(built).parent().expect("a program is in a directory").to_owned()
}

/// One run of a hook on a machine.
pub struct Hook<'a> {
    machine: &'a Machine,
    command: Command,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub status: i32,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the hook succeeded, and silently.
    #[track_caller]
    pub fn ok(self) {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "the hook must succeed in silence");
    }

    /// Fails the test unless the hook ended with this status, one line about what is wrong, and a hint.
    /// Returns the line.
    #[track_caller]
    pub fn complains(&self, status: i32) -> &str {
        assert!(
            self.stderr.lines().nth(1).is_some_and(|hint| hint.trim_start().starts_with("hint: ")),
            "a hint must be on stderr:\n{}",
            self.stderr
        );
        self.says(status)
    }

    /// The same for a mistake that may speak for itself: the hint is optional.
    #[track_caller]
    pub fn says(&self, status: i32) -> &str {
        assert_eq!(self.status, status, "the hook said: {}", self.stderr);
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(
            matches!(lines.len(), 1 | 2) && !lines[0].is_empty(),
            "one line, and a hint: {}",
            self.stderr
        );
        lines[0]
    }
}

impl<'a> Hook<'a> {
    /// `program` as a path on the machine (`/etc/qemu-ifup`), with these arguments and an empty environment.
    pub fn new(machine: &'a Machine, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir("/");
        end_with_parent(&mut command);
        // Whoever runs the tests in the background has had them ignore Ctrl-C.
        let heeds_signals = || {
            for number in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP]
            {
                // SAFETY: no handler of ours is replaced, and the child runs no code that would rely on one.
                unsafe { signal(number, SigHandler::SigDfl) }?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only signal is called, which is a bare system call.
        unsafe { command.pre_exec(heeds_signals) };
        Self { machine, command }
    }

    /// Hands the hook an open tap, as QEMU does.
    pub fn tap(mut self, tap: &Tap) -> Self {
        let fd = tap.as_fd().as_raw_fd();
        let inherit = move || {
            // SAFETY: the tap is open in the parent for as long as the child is run, so it is in the child.
            let tap = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            fcntl(tap, FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        };
        // SAFETY: between fork and exec only fcntl is called, which is a bare system call.
        unsafe { self.command.pre_exec(inherit) };
        self
    }

    /// Sets a variable of the hook's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ran {
        let output = self.machine.enter(|| self.command.output()).expect("the hook is there and can be run");
        Ran {
            status: output.status.code().unwrap_or(-1),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
