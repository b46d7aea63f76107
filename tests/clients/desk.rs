//! The desk of a newcomer: a host with the programs and no configuration, a world with names, and QEMU.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use nix::fcntl::Flock;
use nix::sys::signal::Signal;

use crate::lab::{Image, Lab, Network, Process, Snapshot, Vm, eventually, turn};

/// What a person types for a guest.
pub struct Typed {
    name: &'static str,
    number: u8,
    variables: Vec<String>,
}

impl Typed {
    /// `-name NAME -nic tap,ifname=vifN.0`, with a MAC of its own.
    pub fn named(name: &'static str, number: u8) -> Self {
        Self { name, number, variables: Vec::new() }
    }

    /// The same with a variable in front.
    pub fn with(mut self, variable: &str) -> Self {
        self.variables.push(variable.to_owned());
        self
    }

    fn arguments(&self) -> Vec<String> {
        let Self { name, number, .. } = self;
        let nic =
            format!("tap,ifname=vif{number}.0,model=virtio-net-pci,mac=52:54:00:12:34:{:02x}", 0x56 + number);
        ["-name", name, "-nic", &nic].map(str::to_owned).into()
    }
}

/// A guest that is on, at a tap.
pub struct Guest {
    vm: Vm,
}

impl Deref for Guest {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.vm
    }
}

/// The host and the world.
pub struct Desk {
    pub lab: Lab,
    before: Snapshot,
    _dns: Process,
    _turn: Flock<File>,
}

/// Who serves a network outlives the test, and ends with its bridge.
impl Drop for Desk {
    fn drop(&mut self) {
        self.lab.host.try_run("ip link del br0");
    }
}

impl Desk {
    /// Nobody is on yet. The host asks the outside machine for names, which knows `outside.example`.
    pub fn new() -> Self {
        let lab = Lab::new(Network::NAT_BY_ROUTES);
        lab.host.enter(|| {
            fs::remove_file("/etc/kvmnet.conf").expect("the lab has written one");
            fs::write("/etc/resolv.conf", "nameserver 192.168.1.25\n").expect("a private /etc");
        });
        lab.has_kvmnet();
        let addresses =
            ["198.51.100.7", "fd00:51::7"].map(|address| format!("--address=/outside.example/{address}"));
        let options =
            ["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-resolv"];
        let rest = ["--no-hosts", "--bind-interfaces", "--interface=eth0", &addresses[0], &addresses[1]];
        let dns = lab.outside.start("dnsmasq", &[&options[..], &rest[..]].concat());
        let turn = turn();
        let before = Snapshot::of(&lab.host);
        Self { lab, before, _dns: dns, _turn: turn }
    }

    /// Starts a guest, whose hook QEMU runs, and waits until it has booted.
    #[track_caller]
    pub fn start(&self, typed: Typed, image: Image) -> Guest {
        let arguments = typed.arguments();
        let before = [&["env".to_owned()][..], &typed.variables, &["qemu-system-x86_64".to_owned()]].concat();
        let mut vm = Vm::start_by(&self.lab.host, &before, typed.name, &image, &arguments);
        vm.booted();
        Guest { vm }
    }

    /// Fails the test unless the guest comes to have an address and a default route of each family.
    #[track_caller]
    pub fn assert_configured(&mut self, guest: &mut Guest, nic: &str) {
        let commands = [
            format!("ip -4 addr show dev {nic} | grep 'inet 10\\.0\\.100\\.'"),
            "ip -4 route | grep '^default via 10\\.0\\.100\\.3 '".to_owned(),
            format!("ip -6 addr show dev {nic} scope global | grep 'inet6 fd' | grep -v tentative"),
            "ip -6 route | grep '^default via fe80::'".to_owned(),
        ];
        for command in commands {
            let mut said = String::new();
            eventually(&format!("`{command}`"), || {
                let (status, text) = guest.run(&command);
                said = text;
                status == 0
            });
        }
    }

    /// What the outside is told by whoever answers there.
    pub fn hears_outside(&self, address: &str) -> String {
        let address = address.parse().expect("an address and a port");
        let hear = || {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut said = String::new();
            stream.read_to_string(&mut said).ok()?;
            Some(said)
        };
        self.lab.outside.enter(hear).unwrap_or_default()
    }

    /// Shuts the guests down, and fails the test unless the host is as it was: nobody serves a network that is gone.
    #[track_caller]
    pub fn assert_ends_clean<const N: usize>(&self, guests: [Guest; N]) {
        for Guest { mut vm } in guests {
            vm.process.signal(Signal::SIGTERM);
            assert!(vm.process.wait().success(), "QEMU and its down script end well");
        }
        self.lab.assert_as_before("the guests are gone", &self.before);
    }
}
