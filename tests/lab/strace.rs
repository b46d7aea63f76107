//! A hook under strace(1): which system calls it makes, and what comes of one that is interfered with.

use std::fmt;
use std::fs;
use std::str::FromStr;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bench::is_long;
use super::{Hook, Machine, Ran, Tap, eventually};

/// Where strace writes, in the private `/run` of the machine.
const TRACE: &str = "/run/lab/trace";

/// The calls that speak to the kernel about networks.
pub const SPEAKING: [&str; 3] = ["sendto", "recvfrom", "write"];
/// How many of any other call are counted.
const OF_A_KIND: usize = 12;

/// One system call of a run: the third `sendto`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub number: usize,
    /// It changes something of the kernel's: a netlink batch, or a setting that is written.
    pub changes: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.number)
    }
}

/// What is done to a hook at one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A signal arrives on entry. A call that SIGKILL meets there is not made any more; every other signal is
    /// acted upon once the call is over.
    Signal(&'static str),
    /// The call fails with this error, and does nothing.
    Error(&'static str),
    /// The call is done, and returns so many milliseconds later.
    Late(usize),
}

/// Of these calls those that are tried: all with `KVMNET_TEST_LONG`, else each that changes something, and at most
/// `others` of the rest from begin to end.
pub fn sample<'a>(calls: impl IntoIterator<Item = &'a Call>, others: usize) -> Vec<Call> {
    let calls: Vec<&Call> = calls.into_iter().collect();
    let step = calls.iter().filter(|call| !call.changes).count().div_ceil(others).max(1);
    let mut rest = 0..;
    let mut is_picked = |call: &Call| {
        is_long() || call.changes || rest.next().is_some_and(|number: usize| number % step == 0)
    };
    calls.into_iter().filter(|call| is_picked(call)).cloned().collect()
}

/// How a traced hook ended.
pub struct Traced {
    pub ran: Ran,
    trace: String,
}

impl Traced {
    /// Runs a hook for a tap that it inherits, with `fault` at `call`.
    pub fn run(
        machine: &Machine,
        program: &str,
        (name, tap): (&str, &Tap),
        at: Option<(&Call, Fault)>,
    ) -> Self {
        let options = at.map(|(Call { name, number, .. }, fault)| {
            let what = match fault {
                Fault::Signal(signal) => format!("signal={signal}"),
                Fault::Error(error) => format!("error={error}"),
                Fault::Late(milliseconds) => format!("delay_exit={milliseconds}000"),
            };
            [format!("trace={name}"), format!("inject={name}:{what}:when={number}")]
        });
        let options = options.iter().flatten().flat_map(|option| ["-e", option]);
        let arguments: Vec<&str> =
            ["-f", "-o", TRACE].into_iter().chain(options).chain([program, name]).collect();
        machine.enter(|| drop(fs::remove_file(TRACE)));
        let ran = Hook::new(machine, "/usr/bin/strace", &arguments).tap(tap).run();
        Self { ran, trace: read(machine) }
    }

    /// The calls it made, without the first, by which it came to be. A hook looks at other processes of the machine, so
    /// of calls that have to do with files the later ones are left out: in another run they might not be made. Nor are
    /// those counted that the kernel begins anew, when a setting is written while it is busy (`restart_syscall`).
    pub fn calls(&self) -> Vec<Call> {
        let call = |line: &'_ str| {
            let (name, arguments) = line.split_once(' ')?.1.trim_start().split_once('(')?;
            // What is only asked for needs no acknowledgement.
            let changes = name == "write" || name == "sendto" && arguments.contains("NLM_F_ACK");
            Some(Call { name: name.to_owned(), number: 0, changes })
        };
        let lines = self.trace.lines().filter(|line| !line.ends_with("(To be restarted)"));
        let mut calls: Vec<Call> = Vec::new();
        for call in lines.filter_map(call).skip(1) {
            let number = 1 + calls.iter().filter(|earlier| earlier.name == call.name).count();
            calls.push(Call { number, ..call });
        }
        calls.retain(|call| SPEAKING.contains(&call.name.as_str()) || call.number <= OF_A_KIND);
        calls
    }

    /// Whether the call came, and was interfered with.
    pub fn was_met(&self) -> bool {
        self.trace.contains("(INJECTED)")
            || self.trace.contains("si_code=SI_KERNEL")
            || self.was_ended_by("SIGKILL")
    }

    /// Whether a signal ended it.
    pub fn was_ended_by(&self, signal: &str) -> bool {
        self.trace.contains(&format!("+++ killed by {signal} +++"))
    }
}

/// Runs a hook, has it stand still right after `call`, and lets it go on when `meanwhile` is done. `None`: it did not
/// make that call.
pub fn standing_still(
    machine: &Machine,
    program: &str,
    tap: (&str, &Tap),
    call: &Call,
    meanwhile: impl FnOnce(),
) -> Option<Ran> {
    stopped_by("STOP", machine, program, tap, call, meanwhile)
}

/// The same with a signal that may not stop it. `None`: it did not.
pub fn stopped_by(
    signal: &'static str,
    machine: &Machine,
    program: &str,
    tap: (&str, &Tap),
    call: &Call,
    meanwhile: impl FnOnce(),
) -> Option<Ran> {
    machine.enter(|| drop(fs::remove_file(TRACE)));
    std::thread::scope(|scope| {
        let hook = scope.spawn(|| Traced::run(machine, program, tap, Some((call, Fault::Signal(signal)))));
        let mut stopped = None;
        eventually("the hook stands still, or is over", || {
            stopped = stopped_process(&read(machine), signal);
            stopped.is_some() || hook.is_finished()
        });
        if let Some(pid) = stopped {
            meanwhile();
            // It may have been killed as it stood there.
            let _gone = kill(pid, Signal::SIGCONT);
        }
        let traced = hook.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stopped.map(|_| traced.ran)
    })
}

/// The process that strace says stands still.
fn stopped_process(trace: &str, signal: &str) -> Option<Pid> {
    let words = format!("--- stopped by SIG{signal} ---");
    let line = trace.lines().find(|line| line.ends_with(&words))?;
    Some(Pid::from_raw(i32::from_str(line.split(' ').next()?).ok()?))
}

fn read(machine: &Machine) -> String {
    machine
        .enter(|| fs::read(TRACE))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
