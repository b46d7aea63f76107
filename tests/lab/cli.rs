//! Running `kvmnet` as a person does.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::process::end_with_parent;
use super::{Machine, hooks_dir};

/// One run of `kvmnet` on a machine.
pub struct Cli<'a> {
    machine: &'a Machine,
    command: Command,
    stdin: String,
    /// The program, which is run by this file: another user may not come through the directories to it.
    _program: File,
}

/// How it ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Fails the test unless it succeeded and had nothing to complain of; returns what it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            (self.status, self.err.as_str()),
            (0, ""),
            "kvmnet must succeed; it printed:\n{}",
            self.out
        );
        self.out
    }

    /// Fails the test unless it ended with this status, having said what is wrong, in one line and perhaps a hint,
    /// and printed nothing. Returns both lines.
    #[track_caller]
    pub fn complains(self, status: i32) -> String {
        assert_eq!(self.status, status, "kvmnet said: {}{}", self.out, self.err);
        let lines: Vec<&str> = self.err.lines().collect();
        let hinted = lines.get(1).is_none_or(|hint| hint.starts_with("hint: "));
        assert!(
            matches!(lines.len(), 1 | 2) && lines[0].starts_with("kvmnet: ") && hinted,
            "one line, and a hint: {}",
            self.err
        );
        assert_eq!(self.out, "", "nothing is printed beside an error");
        self.err
    }
}

impl<'a> Cli<'a> {
    /// `kvmnet ARGUMENTS`, with an empty environment, by root.
    pub fn new(machine: &'a Machine, arguments: &[&str]) -> Self {
        let path = hooks_dir().join("kvmnet");
        let program = File::open(&path)
            .unwrap_or_else(|error| panic!("the program {} must be built: {error}", path.display()));
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.arg0("kvmnet").args(arguments).env_clear().current_dir("/");
        end_with_parent(&mut command);
        Self { machine, command, stdin: String::new(), _program: program }
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another user than root, with the group of the same number, and without any capability.
    pub fn user(mut self, user: u32) -> Self {
        self.command.uid(user).gid(user);
        self
    }

    /// What it may read from its standard input; nothing, otherwise.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.to_owned();
        self
    }

    /// Runs it to its end. Its output is a pipe.
    pub fn run(mut self) -> Said {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Self { machine, mut command, stdin, .. } = self;
        let output = machine.enter(|| {
            let mut child = command.spawn().expect("kvmnet can be run");
            // One that ends without reading it is right, too.
            let _unread = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
            child.wait_with_output().expect("a child can be waited for")
        });
        Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("kvmnet prints UTF-8"),
            err: String::from_utf8(output.stderr).expect("kvmnet prints UTF-8"),
        }
    }
}
