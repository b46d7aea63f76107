//! Real guests: QEMU, which makes the tap and runs the hooks itself. tests/guest/README.md tells how the guest is
//! built and how it is talked to.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::network::Place;
use super::{Lab, Process, within};

/// How long a guest may take to boot, or to answer a command, on a slow machine without KVM.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a person gives a guest its NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `-net nic -net tap,ifname=…,script=/etc/qemu-ifup`
    Net,
    /// `-nic tap,ifname=…`
    Nic,
    /// `-netdev tap,id=n0,ifname=… -device virtio-net-pci,netdev=n0`
    Netdev,
    /// The same with four queues.
    Queues,
}

impl Style {
    fn arguments(self, place: &Place) -> Vec<String> {
        let Place { tap, mac, .. } = place;
        match self {
            Self::Net => vec![
                "-net".into(),
                format!("nic,macaddr={mac}"),
                "-net".into(),
                format!("tap,ifname={tap},script=/etc/qemu-ifup"),
            ],
            Self::Nic => vec!["-nic".into(), format!("tap,ifname={tap},mac={mac}")],
            Self::Netdev => vec![
                "-netdev".into(),
                format!("tap,id=n0,ifname={tap}"),
                "-device".into(),
                format!("virtio-net-pci,netdev=n0,mac={mac},romfile="),
            ],
            Self::Queues => vec![
                "-netdev".into(),
                format!("tap,id=n0,ifname={tap},queues=4"),
                "-device".into(),
                format!("virtio-net-pci,netdev=n0,mq=on,vectors=10,mac={mac},romfile="),
            ],
        }
    }
}

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

/// Where the QEMU of a guest serves its monitor, QMP.
fn monitor_of(place: &Place) -> String {
    format!("/run/lab/monitor-{}", place.tap)
}

/// A running QEMU on the host of a lab. Without a shutdown it is killed when this value goes.
pub struct Qemu {
    process: Process,
    agent: Option<BufReader<UnixStream>>,
    place: Place,
    heard_of: bool,
}

impl Qemu {
    /// Starts QEMU for a guest at this place, and does not wait for it.
    pub fn start(lab: &Lab, place: &Place, style: Style) -> Self {
        let socket = format!("/run/lab/agent-{}", place.tap);
        let [kernel, initrd] =
            ["vmlinuz", "initrd.gz"].map(|file| guest_dir().join(file).display().to_string());
        assert!(
            PathBuf::from(&kernel).exists(),
            "there is no guest at {kernel}: make it with tests/guest/build.sh"
        );
        let accelerator = accelerator();
        let mut arguments: Vec<String> = ["-accel", &accelerator, "-m", "128", "-nographic", "-nodefaults"]
            .iter()
            .chain(&["-no-user-config", "-no-reboot", "-kernel", &kernel, "-initrd", &initrd])
            .chain(&["-append", "console=ttyS0 quiet mitigations=off", "-serial", "file:/dev/null"])
            .map(|&argument| argument.to_owned())
            .collect();
        if accelerator == "kvm" {
            arguments.extend(["-cpu".to_owned(), "host".to_owned()]);
        }
        arguments.extend(["-serial".to_owned(), format!("unix:{socket},server=on,wait=off")]);
        arguments.extend(["-qmp".to_owned(), format!("unix:{},server=on,wait=off", monitor_of(place))]);
        arguments.extend(style.arguments(place));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = lab.host.start("qemu-system-x86_64", &arguments);
        let mut qemu = Self { process, agent: None, place: place.clone(), heard_of: false };
        qemu.connect(lab, &socket);
        qemu
    }

    /// Connects to the agent's socket, which QEMU makes before it runs the hook.
    fn connect(&mut self, lab: &Lab, socket: &str) {
        within(PATIENCE, || {
            let stream = lab.host.enter(|| UnixStream::connect(socket)).ok();
            self.agent = stream.map(BufReader::new);
            self.agent.is_some() || self.process.has_ended()
        });
        if let Some(agent) = &self.agent {
            agent.get_ref().set_read_timeout(Some(PATIENCE)).expect("a socket can have a time limit");
        }
    }

    /// Waits until a guest that was told to reboot has done so, and gives it its addresses again.
    #[track_caller]
    pub fn ready_again(&mut self) {
        self.heard_of = false;
        self.ready();
    }

    /// Waits until the guest has booted and its NIC (an e1000 takes its time) has a link, and gives it the addresses and routes of its place.
    #[track_caller]
    pub fn ready(&mut self) {
        while !self.heard_of {
            let line = self.line();
            self.heard_of = line.trim() == "##READY##";
        }
        let Place { v4, v6, gateway4, gateway6, .. } = &self.place;
        let setup = format!(
            "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad && ip addr add {v4}/24 dev eth0 && \
             ip addr add {v6}/64 dev eth0 && ip link set eth0 up && ip route add default via {gateway4} && \
             ip -6 route add default via {gateway6} dev eth0 && \
             until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done"
        );
        let (status, said) = self.run(&setup);
        assert_eq!(status, 0, "the guest takes its addresses: {said}");
    }

    /// Runs a command in the guest: its status, and what it printed.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> (i32, String) {
        let agent = self.agent.as_mut().expect("the guest is connected");
        agent.get_mut().write_all(format!("{command}\n").as_bytes()).expect("the guest is on");
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

    /// The path of its monitor, QMP, on the host.
    pub fn monitor(&self) -> String {
        monitor_of(&self.place)
    }

    /// Shuts QEMU down as a person's Ctrl-C or systemd does: it runs the down script, and ends.
    pub fn stop(mut self) -> ExitStatus {
        self.process.signal(Signal::SIGTERM);
        self.process.wait()
    }

    /// Waits for a QEMU that ends by itself, and returns what it said.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        (status, self.process.printed())
    }

    /// Ends it without any chance to run a hook.
    pub fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
    }

    /// The next line from the guest.
    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let agent = self.agent.as_mut().map(|agent| agent.read_until(b'\n', &mut line));
        if !matches!(agent, Some(Ok(1..))) {
            panic!(
                "the guest {} is not heard of ({agent:?}); QEMU said: {}",
                self.place.tap,
                self.process.printed()
            );
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}
