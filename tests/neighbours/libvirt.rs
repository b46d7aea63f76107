//! libvirtd with a NAT network, as its package defines it: it makes the host a router, and writes rules for its own bridge.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::lab::{Guest, Lab, Machine, Process, eventually, within};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

pub struct Libvirt {
    daemon: Process,
    /// A guest of its own: a machine with a cable to virbr0.
    guest: Machine,
}

/// What the package calls `default`.
const NETWORK: &str = "<network><name>default</name><bridge name='virbr0'/><forward/>
<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>";

const SOCKET: &str = "/run/libvirt/libvirt-sock";

/// All its files are in the private /run, /etc and /var/lib, but for these.
fn private_files(lab: &Lab) {
    for folder in ["/var/cache/libvirt", "/var/log/libvirt"] {
        lab.host.run(&format!("mkdir -p {folder}"));
        lab.host.run(&format!("mount -t tmpfs tmpfs {folder}"));
    }
    lab.host.run("mkdir -p /run/libvirt /etc/libvirt/qemu/networks");
    let files = [
        ("/etc/libvirt/libvirtd.conf", "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"),
        ("/run/lab/network.xml", NETWORK),
    ];
    for (file, text) in files {
        lab.host.enter(|| fs::write(file, text)).expect("a private file can be written");
    }
    // It looks for a user that comes with a package which the tests do not need.
    for (file, line) in [
        ("/etc/passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/bin/false\n"),
        ("/etc/group", "libvirt-qemu:x:64055:\n"),
    ] {
        let text = lab.host.enter(|| fs::read_to_string(file)).expect("there are users");
        lab.host.enter(|| fs::write(file, text + line)).expect("a private file can be written");
    }
}

fn daemon(lab: &Lab) -> Process {
    let daemon = lab.host.start("libvirtd", &[]);
    let answers = || lab.host.enter(|| UnixStream::connect(SOCKET)).is_ok();
    eventually("libvirtd runs", || daemon.has_ended() || answers() && virsh(lab, "net-list"));
    assert!(!daemon.has_ended(), "libvirtd: {}", daemon.printed());
    daemon
}

fn virsh(lab: &Lab, command: &str) -> bool {
    lab.host.try_run(&format!("virsh -q -c network:///system {command}")).status.success()
}

impl Neighbour for Libvirt {
    fn start(lab: &Lab) -> Self {
        private_files(lab);
        let daemon = daemon(lab);
        for command in ["net-define /run/lab/network.xml", "net-start default"] {
            lab.host.run(&format!("virsh -q -c network:///system {command}"));
        }
        let guest = Machine::new();
        let peer = format!("peer name eth0 netns {}", guest.netns());
        lab.host.ip(&format!("link add virt0 master virbr0 type veth {peer}"));
        lab.host.ip("link set virt0 up");
        guest.ip("addr add 192.168.122.2/24 dev eth0");
        guest.ip("link set eth0 up");
        guest.ip("route add default via 192.168.122.1");
        eventually("its guest is on its bridge", || guest.pings("192.168.122.1"));
        lab.wait_for_addresses();
        Self { daemon, guest }
    }

    fn reload(&mut self, lab: &Lab) {
        self.daemon.signal(Signal::SIGTERM);
        eventually("libvirtd ends", || self.daemon.has_ended());
        self.daemon = daemon(lab);
    }

    fn remove(self, lab: &Lab) {
        lab.host.run("virsh -q -c network:///system net-destroy default");
        self.daemon.signal(Signal::SIGTERM);
        eventually("libvirtd ends", || self.daemon.has_ended());
    }

    /// Its guest gets out.
    fn assert_goes_on(&self, _: &Lab, _: &Guest, what: &str) {
        let gets_out = || self.guest.pings("192.168.1.25");
        assert!(within(Duration::from_secs(5), gets_out), "{what}: a guest of libvirt's gets out");
    }

    /// Nothing gets to it.
    fn assert_keeps_closed(&self, lab: &Lab, what: &str) {
        lab.outside.ip("route replace 192.168.122.0/24 via 192.168.1.230");
        assert!(!lab.outside.pings("192.168.122.2"), "{what}: nobody outside gets to it");
    }
}

cells!(Libvirt, "libvirt");

#[test]
fn it_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Libvirt>();
}
