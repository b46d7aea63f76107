//! The booted host, the world at the other end of its cable, and what stands for guests on it.

use std::fs::File;
use std::ops::{Deref, DerefMut};

use nix::fcntl::Flock;

use crate::installed::install;
use crate::lab::{Image, Initramfs, Machine, Process, Vm, eventually, turn, within};

/// How long anything takes on an emulated machine that is busy.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What survives a boot: a disk with nothing on it at first.
const DISK: &str = "/run/lab/disk";

/// The host.
pub struct Host {
    vm: Vm,
    world: Machine,
    image: Image,
    turn: Flock<File>,
    _dns: Process,
}

impl Deref for Host {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.vm
    }
}

impl DerefMut for Host {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.vm
    }
}

impl Host {
    /// Boots it, with this `/etc/kvmnet.conf`; none where that is empty.
    #[track_caller]
    pub fn boot(config: &str) -> Self {
        Self::boot_with(config, |_| ())
    }

    /// The same with what `add` puts on it.
    #[track_caller]
    pub fn boot_with(config: &str, add: impl FnOnce(&mut Initramfs)) -> Self {
        let world = Machine::with_private_files();
        let image = Image::systemd().with(&world, "host", |initramfs| {
            add(initramfs);
            install(initramfs, config);
        });
        world.run(&format!("truncate -s 8M {DISK}"));
        Self::start(world, image, turn())
    }

    /// Boots it again, with what is on its disk.
    #[track_caller]
    pub fn reboot(self) -> Self {
        let Self { mut vm, world, image, turn, _dns: dns } = self;
        drop(dns);
        vm.tell("systemctl reboot");
        vm.process.wait();
        Self::start(world, image, turn)
    }

    #[track_caller]
    fn start(world: Machine, image: Image, turn: Flock<File>) -> Self {
        let cable = ["-netdev", "tap,id=n0,ifname=cable,script=no,downscript=no"];
        let nic = ["-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:35:01,romfile="];
        let disk = format!("file={DISK},if=virtio,format=raw");
        let arguments = [&cable[..], &nic, &["-drive", &disk]].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let mut vm = Vm::start(&world, "host", &image, &arguments);
        eventually("QEMU has made the cable", || world.try_run("ip link show cable").status.success());
        world.sysctl("ipv6/conf/cable/accept_dad", "0");
        for address in ["192.168.1.25/24", "fd00:1::25/64"] {
            world.ip(&format!("addr add {address} dev cable"));
        }
        world.ip("link set cable up");
        let dns = serve_dns(&world);
        vm.booted();
        let mut host = Self { vm, world, image, turn, _dns: dns };
        let (_, state) = host.run("systemctl is-system-running --wait");
        let failed = host.run("systemctl --failed --no-legend; journalctl -b -p 4 --no-pager | tail -n 20").1;
        assert_eq!(state.trim(), "running", "the host has booted: {failed}");
        // systemd does not wait for what udev finds at boot.
        host.eventually(
            "its disk and its NIC are there",
            "udevadm settle && [ -b /dev/vda ] && ! ip link show eth0",
        );
        host
    }

    /// Starts a guest in a unit of its own, as `vifN.0`, and waits until its hook has done its work.
    #[track_caller]
    pub fn start_guest(&mut self, name: &str, number: u8) {
        let tap = format!("vif{number}.0");
        let mac = format!("52:54:00:12:34:{:02x}", 0x56 + number);
        let qemu = format!(
            "qemu-system-x86_64 -name {name} -nic tap,ifname={tap},mac={mac},script=/etc/traced-ifup"
        );
        self.must(&format!("systemd-run -q --unit=vm-{name} {qemu}"));
        let own = format!("/proc/$(systemctl show -P MainPID vm-{name})/ns/net");
        let ready = format!(
            "[ \"$(readlink {own})\" != \"$(readlink /proc/1/ns/net)\" ] && nsenter --net={own} ip link show eth0"
        );
        self.eventually(&format!("{name} is on its network"), &ready);
    }

    /// Runs a command in a guest, which must succeed.
    #[track_caller]
    pub fn in_guest(&mut self, name: &str, command: &str) -> String {
        self.must(&format!("in-guest {name} '{command}'"))
    }

    /// The IPv4 address that a guest has.
    #[track_caller]
    pub fn address_of(&mut self, name: &str) -> String {
        let said = self.in_guest(name, "ip -4 -o addr show dev eth0");
        let address = said.split_whitespace().skip_while(|word| *word != "inet").nth(1);
        let address = address.and_then(|address| address.split('/').next());
        address.unwrap_or_else(|| panic!("{name} has an address: {said}")).to_owned()
    }

    /// Kills all that is in a guest's unit.
    #[track_caller]
    pub fn kill_guest(&mut self, name: &str) {
        self.must(&format!("systemctl kill --signal=KILL vm-{name}"));
        self.eventually("all of it is gone", &format!("! systemctl is-active -q vm-{name}"));
        self.run(&format!("systemctl reset-failed vm-{name}"));
    }

    /// What the hook of a guest has started.
    #[track_caller]
    pub fn processes_of_hook(&mut self, name: &str) -> Vec<String> {
        let number = if name == "web" { 0 } else { 1 };
        let calls = self.must(&format!("cat /run/hook-vif{number}.0"));
        let calls = calls.lines().filter(|line| !line.trim().is_empty());
        let (own, others): (Vec<&str>, Vec<&str>) =
            calls.partition(|line| line.contains("execve(\"/etc/qemu-ifup\""));
        assert_eq!(own.len(), 1, "the hook itself is seen: {others:?}");
        others.into_iter().map(str::to_owned).collect()
    }

    /// Waits until a command succeeds.
    #[track_caller]
    pub fn eventually(&mut self, what: &str, command: &str) {
        let mut said = String::new();
        let holds = within(PATIENCE, || {
            let (status, text) = self.vm.run(command);
            said = text;
            status == 0
        });
        if !holds {
            let journal = self.vm.run("journalctl -b --no-pager | tail -n 40").1;
            panic!("never came to hold: {what}: `{command}`: {said}\n{journal}");
        }
    }
}

/// The world's names: `outside.example` is the world itself.
fn serve_dns(world: &Machine) -> Process {
    let options = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--no-resolv",
        "--no-hosts",
        "--local=/example/",
        "--bind-interfaces",
        "--interface=cable",
        "--address=/outside.example/192.168.1.25",
        "--address=/outside.example/fd00:1::25",
    ];
    world.start("dnsmasq", &options)
}
