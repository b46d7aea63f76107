//! Two guests with a cable between them: one plays a host with the hooks in its `/etc`, the other one the outside.

use std::fs::File;
use std::path::Path;

use nix::fcntl::Flock;

use crate::lab::{Image, Machine, Vm, guest_dir, hooks_dir, turn};

/// The MACs of the cable's ends.
const HOST_MAC: &str = "52:54:00:12:35:01";
const OUTSIDE_MAC: &str = "52:54:00:12:35:02";

/// What `/etc/kvmnet.conf` says; a hook is told the mode and the uplink by its environment.
const CONFIG: &str = "mode = \"bridged\"\nuplink = \"eth0\"\nbridge = \"br0\"\n\
                      address = [\"10.0.100.3/24\", \"fd00:100::3/64\"]\n\
                      # An emulated machine may be slower to answer than a gateway ever is.\nconfirm = false\n";

/// All that the host's kernel knows of its network, without what runs: a script in the guest.
const STATE: &str = "#!/bin/sh
(
    /usr/sbin/ip -d addr | sed 's/[a-z_]*_timer *[0-9.]*//g; s/[a-z]*_n_[a-z]* *[0-9]*//g'
    for family in -4 -6; do
        /usr/sbin/ip $family route show table all
        /usr/sbin/ip $family rule
    done
    /usr/sbin/ip neigh show nud permanent
    /usr/sbin/nft -s list ruleset
    grep -rs . /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf
) | sort
";

/// Waits until the state stays as it is, and keeps it.
const REMEMBER: &str = "for try in $(seq 50); do \
                        /state >/before; sleep 0.1; /state >/again; cmp -s /before /again && exit; done; exit 1";

/// Waits until the state is what it was, or tells the difference.
const COMPARE: &str = "for try in $(seq 20); do \
                       /state >/after; cmp -s /before /after && exit; sleep 0.1; done; diff /before /after; exit 1";

/// What both come up with.
fn image(machine: &Machine) -> Image {
    Image::busybox().with(machine, "host", |initramfs| {
        initramfs.append(&guest_dir().join("more.gz"));
        for hook in ["qemu-ifup", "qemu-ifdown"] {
            initramfs.add_file(Path::new("/etc").join(hook), &hooks_dir().join(hook));
        }
        initramfs.add("/etc/kvmnet.conf", CONFIG.as_bytes());
        initramfs.add("/state", STATE.as_bytes());
        // A folder for the hooks' lock and for names of namespaces.
        initramfs.add("/run/netns/.keep", b"");
        // busybox's own ip knows neither macsec nor namespaces.
        initramfs.add_program("/usr/sbin/ip");
        initramfs.add_program("/usr/sbin/nft");
    })
}

/// The guest that plays a host.
pub struct Host {
    pub vm: Vm,
    machine: Machine,
    image: Image,
    _turn: Flock<File>,
}

impl Host {
    /// Boots it, at one end of a cable, and makes a persistent tap on it.
    #[track_caller]
    pub fn boot() -> Self {
        let mut host = Self::start();
        host.ready();
        host
    }

    fn start() -> Self {
        let machine = Machine::with_private_files();
        let image = image(&machine);
        let turn = turn();
        let vm = start(&machine, "host", &image, HOST_MAC, [1, 2]);
        Self { vm, machine, image, _turn: turn }
    }

    #[track_caller]
    fn ready(&mut self) {
        ready(&mut self.vm);
        // An interface that was up once is never again quite what it was: it has got a queue.
        let tap = ["tuntap add vif0.0 mode tap", "link set vif0.0 up", "link set vif0.0 down"];
        ip(&mut self.vm, &tap);
    }

    /// Keeps the state.
    #[track_caller]
    pub fn remember(&mut self) {
        self.vm.must(REMEMBER);
    }

    /// Fails the test unless the state is the one that was kept.
    #[track_caller]
    pub fn assert_as_before(&mut self, what: &str) {
        let (status, difference) = self.vm.run(COMPARE);
        assert_eq!(status, 0, "{what}: the host must be as it was: {difference}");
    }

    /// Runs a hook for the tap, with these variables: its status, and what it said.
    #[track_caller]
    pub fn hook(&mut self, hook: &str, variables: &str) -> (i32, String) {
        let (status, said) = self.vm.run(&format!("{variables} /etc/{hook} vif0.0"));
        (status, said.trim().to_owned())
    }

    /// The same for a hook that must succeed, and silently.
    #[track_caller]
    pub fn hook_ok(&mut self, hook: &str, variables: &str) {
        assert_eq!(self.hook(hook, variables), (0, String::new()), "{variables} {hook}");
    }
}

/// Both ends of the cable, and a machine `one` on the host that is to play its guest.
pub struct Street {
    pub outside: Vm,
    pub host: Host,
}

impl Street {
    /// Boots both.
    #[track_caller]
    pub fn boot() -> Self {
        let host = Host::start();
        let outside = start(&host.machine, "outside", &host.image, OUTSIDE_MAC, [2, 1]);
        let mut street = Self { outside, host };
        street.host.ready();
        ready(&mut street.outside);
        ip(&mut street.host.vm, &["netns add one"]);
        street
    }

    /// Puts the guest on the bridge, with these addresses and gateways.
    #[track_caller]
    pub fn plug_in(&mut self, [v4, v6]: [&str; 2], [gateway4, gateway6]: [&str; 2]) {
        let pair = "link add g0 type veth peer name eth0 address 52:54:00:12:35:03 netns one";
        ip(&mut self.host.vm, &[pair, "link set g0 master br0 up"]);
        let commands = [
            "link set eth0 up",
            &format!("addr add {v4}/24 dev eth0"),
            &format!("addr add {v6}/64 dev eth0 nodad"),
            &format!("route add default via {gateway4}"),
            &format!("route add default via {gateway6}"),
        ];
        self.host.vm.must(&batch("-n one", &commands));
    }

    /// Takes it off the bridge.
    #[track_caller]
    pub fn unplug(&mut self) {
        ip(&mut self.host.vm, &["link del g0"]);
    }

    /// Which of these addresses answer the guest, when each is asked so often at most.
    #[track_caller]
    pub fn guest_reaches<'a>(&mut self, addresses: &[&'a str], tries: usize) -> Vec<&'a str> {
        let ping = |address: &&str| {
            let once = format!("/usr/sbin/ip netns exec one ping -q -c 1 -W 2 {address} >/dev/null 2>&1");
            format!("(({}) && echo answer from {address}) & ", vec![once; tries].join(" || "))
        };
        let said = self.host.vm.run(&(addresses.iter().map(ping).collect::<String>() + "wait")).1;
        let answered =
            |address: &&str| said.lines().any(|line| line.trim() == format!("answer from {address}"));
        addresses.iter().copied().filter(answered).collect()
    }
}

/// Starts one end of the cable.
fn start(machine: &Machine, name: &str, image: &Image, mac: &str, [near, far]: [u16; 2]) -> Vm {
    let cable = format!("socket,id=n0,localaddr=127.0.0.1:{near},udp=127.0.0.1:{far}");
    let nic = format!("virtio-net-pci,netdev=n0,mac={mac},romfile=");
    let arguments = ["-netdev", &cable, "-device", &nic].map(str::to_owned);
    Vm::start(machine, name, image, &arguments)
}

/// Waits until one end has booted, and loads what a host has.
#[track_caller]
fn ready(vm: &mut Vm) {
    vm.booted();
    // What does not suit the processor refuses to load, and is not needed then.
    vm.run("for module in /modules/more/*.ko; do insmod $module; done");
    // Nobody else is on the cable: there is no duplicate address to wait for.
    vm.must("for scope in all default eth0; do echo 0 >/proc/sys/net/ipv6/conf/$scope/accept_dad; done");
    // The module makes one bond by itself.
    ip(vm, &["link del bond0", "link set eth0 up"]);
}

/// Runs `ip` once with all these commands.
#[track_caller]
pub fn ip(vm: &mut Vm, commands: &[&str]) {
    vm.must(&batch("", commands));
}

fn batch(options: &str, commands: &[&str]) -> String {
    let lines: String = commands.iter().map(|command| format!("'{command}' ")).collect();
    format!("printf '%s\\n' {lines} | /usr/sbin/ip {options} -batch -")
}
