//! A program that runs beside the test, on one of its machines.

use std::env;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Machine;

/// A running program. It is killed when this value goes, and by the kernel when the test's process does.
pub struct Process {
    pid: Pid,
    printed: Arc<Mutex<String>>,
    keeper: Option<JoinHandle<ExitStatus>>,
}

impl Process {
    /// Starts a program on a machine. The thread that starts it also waits for it: the kernel ends a child of
    /// this kind together with the thread that made it.
    pub(super) fn start(machine: &Machine, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        // A hook that this program runs must not take the tests' own variables for its configuration.
        env::vars_os().filter(|(name, _)| is_ours(name)).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let printed = Arc::new(Mutex::new(String::new()));
        let (tell, told) = channel();
        let sink = Arc::clone(&printed);
        let machine = machine.clone();
        let keeper = thread::spawn(move || {
            machine.move_here();
            drop(machine);
            keep(command, &sink, &tell)
        });
        let pid =
            told.recv().unwrap_or_else(|_| panic!("{program} is needed by the labs and cannot be started"));
        Self { pid, printed, keeper: Some(keeper) }
    }

    /// What it has printed until now, on stdout and stderr.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// How often these words are in what it has printed until now.
    pub fn has_printed(&self, words: &str) -> usize {
        self.printed.lock().unwrap().matches(words).count()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.keeper.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // It may end at this moment.
            let sent = kill(self.pid, signal);
            assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "a child can be sent a signal: {sent:?}");
        }
    }

    /// Waits until it has ended and all it printed is there.
    pub fn wait(&mut self) -> ExitStatus {
        let keeper = self.keeper.take().expect("a process is waited for once");
        keeper.join().expect("the keeper of a process does not panic")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.keeper.is_some() {
            self.signal(Signal::SIGKILL);
            self.wait();
        }
    }
}

/// Whether a variable speaks to the tests, or would to a hook.
fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"KVMNET_")
}

/// Has the kernel kill the child when the thread that starts it ends.
pub(super) fn end_with_parent(command: &mut Command) {
    let with_parent = || Ok(set_pdeathsig(Signal::SIGKILL)?);
    // SAFETY: between fork and exec only prctl is called, which is a bare system call.
    unsafe { command.pre_exec(with_parent) };
}

/// Starts the program, tells its pid, collects what it prints and waits for its end.
fn keep(mut command: Command, sink: &Arc<Mutex<String>>, tell: &Sender<Pid>) -> ExitStatus {
    let mut child: Child = command.spawn().expect("the program can be started");
    let pid = i32::try_from(child.id()).expect("a process id is a positive pid_t");
    tell.send(Pid::from_raw(pid)).expect("the test waits for the pid");
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let stderr = child.stderr.take().expect("stderr is a pipe");
    thread::scope(|scope| {
        scope.spawn(|| collect(stdout, sink));
        scope.spawn(|| collect(stderr, sink));
    });
    child.wait().expect("a child can be waited for")
}

/// Appends to `sink` what `source` prints until it is closed.
fn collect(mut source: impl Read, sink: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = source.read(&mut bytes) {
        sink.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}
