//! QEMU with the tests' small Linux in it, and its agent, which runs commands. tests/guest/README.md tells how the guest
//! is built and how it is talked to.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::{Image, Machine, Process, within};

/// How long a guest may take to boot, or to answer a command, on a slow machine without KVM.
const PATIENCE: Duration = Duration::from_secs(90);

static GUEST: OnceLock<PathBuf> = OnceLock::new();

/// Chooses the directory with the guest's kernel and initramfs, once.
pub fn use_guest(directory: PathBuf) {
    GUEST.get_or_init(|| directory);
}

/// The directory with the guest's kernel and initramfs: the chosen one, else `KVMNET_TEST_GUEST`.
pub fn guest_dir() -> PathBuf {
    if let Some(chosen) = GUEST.get() {
        return chosen.clone();
    }
    PathBuf::from(env::var_os("KVMNET_TEST_GUEST").unwrap_or_else(|| "/tmp/kvmnet-guest".into()))
}

/// How the guests are run: `kvm`, or `tcg`, which is plain emulation.
pub fn accelerator() -> String {
    env::var("KVMNET_TEST_ACCEL").unwrap_or_else(|_| "tcg".to_owned())
}

/// Waits for the leave to boot guests, also from other test processes: two at once are all that two cores can carry
/// under emulation.
pub fn turn() -> Flock<File> {
    let guest = File::open(guest_dir()).expect("the guest is made by tests/guest/build.sh");
    Flock::lock(guest, FlockArg::LockExclusive).expect("a turn comes")
}

/// Where a guest's console goes, to be read when it does not come up.
fn console_of(name: &str) -> String {
    format!("/run/lab/console-{name}")
}

/// A running QEMU. It is killed when this value goes.
pub struct Vm {
    name: String,
    machine: Machine,
    pub process: Process,
    agent: Option<BufReader<UnixStream>>,
    heard_of: bool,
}

impl Vm {
    /// Starts QEMU on a machine, with these arguments beside those of every guest, and does not wait for it.
    pub fn start(machine: &Machine, name: &str, image: &Image, arguments: &[String]) -> Self {
        Self::start_by(machine, &["qemu-system-x86_64".to_owned()], name, image, arguments)
    }

    /// The same by a command line that begins with these words.
    pub fn start_by(
        machine: &Machine,
        before: &[String],
        name: &str,
        image: &Image,
        arguments: &[String],
    ) -> Self {
        let socket = format!("/run/lab/agent-{name}");
        let kernel = guest_dir().join("vmlinuz");
        assert!(
            kernel.exists(),
            "there is no guest at {}: make it with tests/guest/build.sh",
            kernel.display()
        );
        let [kernel, initrd] = [&kernel, &image.initrd].map(|file| file.display().to_string());
        // Emulated on a busy machine, the timer is too slow for the kernel's look at it, and the kernel gives up.
        let words = format!("console=ttyS0 quiet mitigations=off no_timer_check {}", image.words);
        let (memory, console) = (image.memory.to_string(), format!("file:{}", console_of(name)));
        let accelerator = accelerator();
        let mut all: Vec<String> = ["-accel", &accelerator, "-nographic", "-nodefaults", "-no-user-config"]
            .iter()
            .chain(&["-no-reboot", "-kernel", &kernel, "-initrd", &initrd])
            .chain(&["-append", &words, "-m", &memory, "-serial", &console])
            .map(|&argument| argument.to_owned())
            .collect();
        if accelerator == "kvm" {
            all.extend(["-cpu".to_owned(), "host".to_owned()]);
        }
        all.extend(["-serial".to_owned(), format!("unix:{socket},server=on,wait=off")]);
        all.extend_from_slice(arguments);
        let all: Vec<&str> = before.iter().chain(&all).map(String::as_str).collect();
        let process = machine.start(all[0], &all[1..]);
        let mut vm =
            Self { name: name.to_owned(), machine: machine.clone(), process, agent: None, heard_of: false };
        vm.connect(machine, &socket);
        vm
    }

    /// One whose QEMU somebody else has started, with the console and the agent of every guest; `process` stands for it.
    pub fn of(machine: &Machine, name: &str, process: Process) -> Self {
        let mut vm =
            Self { name: name.to_owned(), machine: machine.clone(), process, agent: None, heard_of: false };
        vm.connect(machine, &format!("/run/lab/agent-{name}"));
        vm
    }

    /// The process of its QEMU.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Connects to the agent's socket, which QEMU makes before it runs a hook.
    fn connect(&mut self, machine: &Machine, socket: &str) {
        within(PATIENCE, || {
            let stream = machine.enter(|| UnixStream::connect(socket)).ok();
            self.agent = stream.map(BufReader::new);
            self.agent.is_some() || self.process.has_ended()
        });
        if let Some(agent) = &self.agent {
            agent.get_ref().set_read_timeout(Some(PATIENCE)).expect("a socket can have a time limit");
        }
    }

    /// Waits until the guest has booted.
    #[track_caller]
    pub fn booted(&mut self) {
        while !self.heard_of {
            let line = self.line();
            self.heard_of = line.trim() == "##READY##";
        }
    }

    /// Waits until a guest that was told to reboot has done so.
    #[track_caller]
    pub fn booted_again(&mut self) {
        self.heard_of = false;
        self.booted();
    }

    /// Gives the guest a command, whose end it may not live to see.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        let agent = self.agent.as_mut().expect("the guest is connected");
        agent.get_mut().write_all(format!("{command}\n").as_bytes()).expect("the guest is on");
    }

    /// Runs a command in the guest: its status, and what it printed.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> (i32, String) {
        self.tell(command);
        let mut said = String::new();
        loop {
            let line = self.line();
            if let Some(status) = line.trim().strip_prefix("##END ").and_then(|rest| rest.strip_suffix("##"))
            {
                return (status.parse().expect("a status is a number"), said);
            }
            if line.trim() != "##READY##" {
                said.push_str(&line);
            }
        }
    }

    /// Runs a command in the guest that must succeed, and returns what it printed.
    #[track_caller]
    pub fn must(&mut self, command: &str) -> String {
        let (status, said) = self.run(command);
        assert_eq!(status, 0, "{}: `{command}` failed: {said}", self.name);
        said
    }

    /// Pings all addresses at once; true for each that answered. An emulated guest on a busy machine can be slow to
    /// answer, or to see an answer, so each address is asked until it has answered, three times at most.
    #[track_caller]
    pub fn pings_each(&mut self, addresses: &[String]) -> Vec<bool> {
        let ping = |address: &String| {
            let family = if address.contains(':') { "-6" } else { "-4" };
            let once = format!("ping {family} -q -c 1 -W 2 {address} >/dev/null 2>&1");
            format!("(({once} || {once} || {once}) && echo answer from {address}) & ")
        };
        let (_, said) = self.run(&(addresses.iter().map(ping).collect::<String>() + "wait"));
        let answered =
            |address: &String| said.lines().any(|line| line.trim() == format!("answer from {address}"));
        addresses.iter().map(answered).collect()
    }

    /// Whether the guest gets an answer from this address.
    #[track_caller]
    pub fn pings(&mut self, address: &str) -> bool {
        self.pings_each(&[address.to_owned()]) == [true]
    }

    /// The last lines of its console.
    fn console(&self) -> String {
        let path = console_of(&self.name);
        let bytes = self.machine.enter(|| fs::read(path)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// The next line from the guest.
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let agent = self.agent.as_mut().map(|agent| agent.read_until(b'\n', &mut line));
        if !matches!(agent, Some(Ok(1..))) {
            panic!(
                "the guest {} is not heard of ({agent:?}); QEMU said: {}\nits console: {}",
                self.name,
                self.process.printed(),
                self.console()
            );
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}
