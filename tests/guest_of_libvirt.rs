//! A guest of libvirt's with `<interface type='ethernet'>` and the hooks as its scripts: libvirtd, and not QEMU, makes the tap and runs
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::env;
use std::fs;

use lab::{Cli, Lab, Network, Process, Qemu, Snapshot, Vm, eventually, guest_dir, turn};

/// QEMU's user comes with a package that the tests do not need, and so do libvirt's other daemons.
const FILES: [(&str, &str); 2] = [
    ("/etc/libvirt/libvirtd.conf", "auth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n"),
    (
        "/etc/libvirt/qemu.conf",
        "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\nnamespaces = []\nstdio_handler = \"file\"\n\
         cgroup_controllers = []\nremember_owner = 0\n",
    ),
];

/// The interface is as docs/neighbours.md has it.
const DOMAIN: &str = "<domain type='qemu'><name>web</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>GUEST/vmlinuz</kernel><initrd>GUEST/initrd.gz</initrd>
<cmdline>console=ttyS0 quiet mitigations=off no_timer_check</cmdline></os><features><acpi/></features><devices><emulator>QEMU</emulator>
<interface type='ethernet'>
  <mac address='52:54:00:12:34:56'/>
  <script path='/etc/qemu-ifup'/>
  <downscript path='/etc/qemu-ifdown'/>
  <target dev='vif0.0'/>
  <model type='virtio'/>
</interface>
<serial type='file'><source path='/run/lab/console-web'/></serial>
<serial type='unix'><source mode='bind' path='/run/lab/agent-web'/></serial></devices></domain>";

fn prepare(lab: &Lab) {
    for folder in ["/var/cache/libvirt", "/var/log/libvirt"] {
        lab.host.run(&format!("mkdir -p {folder}"));
        lab.host.run(&format!("mount -t tmpfs tmpfs {folder}"));
    }
    lab.host.run("mkdir -p /run/libvirt /etc/libvirt/qemu/networks");
    let paths = env::var("PATH").unwrap();
    let mut programs = paths.split(':').map(|folder| format!("{folder}/qemu-system-x86_64"));
    let qemu = programs.find(|path| fs::exists(path).unwrap()).expect("there is a QEMU");
    let domain = DOMAIN.replace("QEMU", &qemu).replace("GUEST", &guest_dir().display().to_string());
    for (file, text) in FILES.into_iter().chain([("/run/lab/web.xml", domain.as_str())]) {
        lab.host.enter(|| fs::write(file, text)).expect("a private file can be written");
    }
    for (file, line) in [
        ("/etc/passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/bin/false\n"),
        ("/etc/group", "libvirt-qemu:x:64055:\n"),
    ] {
        let text = lab.host.enter(|| fs::read_to_string(file)).expect("there are users");
        lab.host.enter(|| fs::write(file, text + line)).expect("a private file can be written");
    }
}

fn virsh(lab: &Lab, command: &str) -> bool {
    lab.host.try_run(&format!("virsh -q -c qemu:///system {command}")).status.success()
}

/// Its hooks have the environment that it has: nothing in it is for them.
fn daemon(lab: &Lab) -> Process {
    let path = format!("PATH={}", env::var("PATH").unwrap());
    let daemon = lab.host.start("env", &["-i", &path, "libvirtd"]);
    eventually("libvirtd runs", || daemon.has_ended() || virsh(lab, "list"));
    assert!(!daemon.has_ended(), "libvirtd: {}", daemon.printed());
    daemon
}

/// libvirt's QEMU would outlive the test.
struct Ends<'a>(&'a Lab);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        virsh(self.0, "destroy web");
    }
}

#[test]
fn has_its_hooks_run() {
    let lab = Lab::new(Network::NAT);
    prepare(&lab);
    let before = Snapshot::of(&lab.host);
    let _turn = turn();
    for end in ["by libvirt", "by itself"] {
        let daemon = daemon(&lab);
        let _ends = Ends(&lab);
        lab.host.run("virsh -q -c qemu:///system create /run/lab/web.xml");
        let mut guest = Qemu::of(Vm::of(&lab.host, "web", daemon), Network::NAT.guest(1));
        guest.ready();
        for address in ["192.168.1.25", "fd00:1::25", "10.0.100.3"] {
            eventually(&format!("{address} answers"), || guest.pings(address));
        }
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert!(status.contains("vif0.0    web"), "{status}");
        match end {
            "by libvirt" => lab.host.run("virsh -q -c qemu:///system destroy web"),
            _ => {
                guest.tell("poweroff -f");
                String::new()
            }
        };
        eventually(&format!("it ended {end}, and so did its network"), || {
            !lab.host.ip("link show").contains("br0")
        });
        lab.assert_as_before(end, &before);
    }
}
