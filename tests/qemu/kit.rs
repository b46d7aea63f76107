//! A QEMU without a machine in it, its monitor, and what the hooks log.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::lab::{Lab, Network, Process, eventually, within};

/// How long QEMU may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What every QEMU without a machine is started with.
const EMPTY: &str = "qemu-system-x86_64 -machine none -nodefaults -no-user-config -display none";

/// A monitor, on which QEMU is told what to do, in JSON (QMP).
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to a monitor that is there.
    pub fn connect(lab: &Lab, path: &str) -> Option<Self> {
        let stream = lab.host.enter(|| UnixStream::connect(path)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket can have a time limit");
        let mut qmp = Self { stream: BufReader::new(stream) };
        qmp.tell("qmp_capabilities", &json!({})).is_ok().then_some(qmp)
    }

    /// Gives a command: what it returns, or the error.
    pub fn tell(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        self.stream.get_mut().write_all(text.as_bytes()).map_err(|error| error.to_string())?;
        self.answer()
    }

    /// Hands QEMU an open file, which it knows by this name then.
    pub fn hand(&mut self, name: &str, file: &impl AsRawFd) -> Result<Value, String> {
        let text = json!({ "execute": "getfd", "arguments": { "fdname": name } }).to_string();
        let files = [file.as_raw_fd()];
        let (text, files) = ([IoSlice::new(text.as_bytes())], [ControlMessage::ScmRights(&files)]);
        let socket = self.stream.get_ref().as_raw_fd();
        sendmsg::<()>(socket, &text, &files, MsgFlags::empty(), None).map_err(|error| error.to_string())?;
        self.answer()
    }

    /// What comes back. Events come in between.
    fn answer(&mut self) -> Result<Value, String> {
        loop {
            let mut line = String::new();
            let count = self.stream.read_line(&mut line).map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("QEMU is gone".to_owned());
            }
            let answer: Value = serde_json::from_str(&line).expect("a monitor speaks JSON");
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            if let Some(error) = answer.get("error") {
                return Err(error["desc"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
}

/// A QEMU that has NICs' host sides and nothing else.
pub struct Empty {
    process: Process,
    monitor: String,
    qmp: Option<Qmp>,
}

impl Empty {
    /// Types a command line that begins as it must (`env NAME=VALUE`, or nothing) and ends with these arguments, and
    /// does not wait.
    pub fn start(lab: &Lab, before: &str, arguments: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let monitor = format!("/run/lab/monitor-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let line = format!("{before} {EMPTY} -qmp unix:{monitor},server=on,wait=off {arguments}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let process = lab.host.start(words[0], &words[1..]);
        Self { process, monitor, qmp: None }
    }

    /// Starts one and waits until it runs: its hooks have run, too.
    #[track_caller]
    pub fn run(lab: &Lab, arguments: &str) -> Self {
        Self::start(lab, "", arguments).running(lab)
    }

    /// The QEMU of a guest on this tap.
    #[track_caller]
    pub fn on(lab: &Lab, tap: &str) -> Self {
        Self::run(lab, &format!("-netdev tap,id=n0,ifname={tap}"))
    }

    /// Waits until it runs. A monitor answers only when all hooks have.
    #[track_caller]
    pub fn running(mut self, lab: &Lab) -> Self {
        within(PATIENCE, || {
            self.qmp = Qmp::connect(lab, &self.monitor);
            self.qmp.is_some() || self.process.has_ended()
        });
        assert!(self.qmp.is_some(), "QEMU must run: {}", self.said());
        self
    }

    /// Gives its monitor a command.
    pub fn tell(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        self.qmp.as_mut().expect("QEMU runs").tell(command, arguments)
    }

    /// Hands it an open file, which it knows by this name then.
    pub fn hand(&mut self, name: &str, file: &impl AsRawFd) -> Result<Value, String> {
        self.qmp.as_mut().expect("QEMU runs").hand(name, file)
    }

    /// Whether it runs and listens.
    pub fn is_well(&mut self) -> bool {
        self.tell("query-name", &json!({})).is_ok()
    }

    /// Its process, or that of the program that `before` began with.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Has it end by its monitor: its down scripts run.
    pub fn quit(&mut self) {
        let _gone_before_it_answers = self.tell("quit", &json!({}));
        self.qmp = None;
    }

    /// Shuts it down as Ctrl-C or systemd do. It must end well, and what its hooks had to say is nothing.
    #[track_caller]
    pub fn stop(self) {
        self.process.signal(Signal::SIGTERM);
        let (status, said) = self.ends();
        assert!(status.success(), "{status}: {said}");
        let said: Vec<&str> = said.lines().filter(|line| !line.contains("terminating on signal")).collect();
        assert_eq!(said, [] as [&str; 0], "QEMU and its hooks are silent");
    }

    /// Waits for its end: how it ended, and what it and its hooks said.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        (status, self.said())
    }

    /// Kills it, so that no hook runs, and waits until its taps are gone.
    pub fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
    }

    /// What it and its hooks said until now, without what QEMU thinks of a NIC that no guest has.
    pub fn said(&self) -> String {
        let said = self.process.printed();
        let is_of_nics = |line: &str| line.contains("has no peer") || line.contains("was not created");
        said.lines().filter(|line| !is_of_nics(line)).map(|line| format!("{line}\n")).collect()
    }
}

/// The host's syslog: what its hooks log.
pub struct Journal {
    socket: UnixDatagram,
    lines: Vec<String>,
}

impl Journal {
    /// Listens from now on, to whomever.
    pub fn of(lab: &Lab) -> Self {
        let socket = lab.host.enter(|| {
            let socket = UnixDatagram::bind("/dev/log").expect("the lab's /dev has no log yet");
            fs::set_permissions("/dev/log", Permissions::from_mode(0o666)).expect("everybody may log");
            socket
        });
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        Self { socket, lines: Vec::new() }
    }

    /// Every line until now.
    pub fn lines(&mut self) -> &[String] {
        let mut bytes = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            self.lines.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        &self.lines
    }

    /// How often a hook was run for a tap.
    pub fn runs(&mut self, hook: &str, tap: &str) -> usize {
        let is_one = |line: &&String| line.contains(&format!("{hook}[")) && line.contains(&format!("{tap} "));
        self.lines().iter().filter(is_one).count()
    }
}

/// A lab whose host has settled: the kernel adds the local routes of its addresses when it gets to them.
pub fn lab(network: Network) -> Lab {
    let lab = Lab::new(network);
    eventually("the host's own addresses are local", || {
        let routes = lab.host.ip("-6 route show table local type local");
        ["fd00:1::230", "fd00:77::1", "fd00:99::1"].iter().all(|address| routes.contains(address))
    });
    lab
}

/// A lab with a network `default` and a network `lab`.
pub fn two_networks(first: Network, second: Network) -> Lab {
    let lab = lab(first);
    lab.write_config(&format!("{}{}", first.config(), second.lab_table()));
    lab
}

/// Writes a shell script that can be run on the host.
pub fn script(lab: &Lab, path: &str, text: &str) {
    lab.host.enter(|| {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a private place can be written");
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a script can be run");
    });
}

/// Whether a tap is a port of a bridge.
pub fn is_port(lab: &Lab, tap: &str, bridge: &str) -> bool {
    let tap = lab.host.try_run(&format!("ip link show dev {tap}"));
    String::from_utf8_lossy(&tap.stdout).contains(&format!("master {bridge} "))
}

/// Whether an interface is there.
pub fn exists(lab: &Lab, interface: &str) -> bool {
    lab.host.try_run(&format!("ip link show dev {interface}")).status.success()
}

/// Holds the lock of the host's hooks.
pub fn hold_lock(lab: &Lab) -> Flock<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = lab.host.enter(|| options.open("/run/kvmnet.lock")).expect("a private /run can be written");
    Flock::lock(file, FlockArg::LockExclusiveNonblock).expect("the lock is free")
}

/// Waits until a hook waits for the lock, and returns its process.
#[track_caller]
pub fn waiting_hook(parent: Pid) -> Pid {
    let mut hook = None;
    eventually("the hook waits for the lock", || {
        let locks = fs::read_to_string("/proc/locks").expect("/proc must be mounted");
        let waits = |pid: &Pid| {
            locks.lines().any(|line| {
                line.contains("-> FLOCK") && line.split_whitespace().any(|word| word == pid.to_string())
            })
        };
        hook = children(parent).into_iter().find(waits);
        hook.is_some()
    });
    hook.expect("it has just been found")
}

/// The children of a process.
pub fn children(parent: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let text: String = texts.collect();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
