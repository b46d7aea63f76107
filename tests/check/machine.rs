//! The kernel's features, and the hooks.

use std::fs;
use std::os::unix::fs::symlink;

use crate::lab::{Lab, Network, hooks_dir};
use crate::report::{all_right, check};

#[test]
fn a_kernel_that_is_too_old() {
    for (network, is_wrong) in [(Network::ISOLATED, true), (Network::NAT_VETH, true), (Network::NAT, false)] {
        let lab = Lab::new(network);
        lab.host.enter(|| fs::write("/run/release", "5.10.0-28-amd64\n")).unwrap();
        lab.host.run("mount --bind /run/release /proc/sys/kernel/osrelease");
        if is_wrong {
            check(&lab).alone("problem", "kernel", &["5.10.0-28-amd64", "egress", "Linux 5.16"]);
        } else {
            all_right(&lab, "mode nat needs no egress chain");
        }
    }
}

#[test]
fn a_kernel_that_was_built_without() {
    let lab = Lab::new(Network::NAT_VETH);
    lab.host.run("mount -t tmpfs none /boot");
    let release = lab.host.run("uname -r");
    let config = format!("/boot/config-{}", release.trim());
    lab.host.enter(|| fs::write(config, "CONFIG_TUN=y\n# CONFIG_VETH is not set\n")).unwrap();
    check(&lab).alone("problem", "kernel", &["veth pairs", "CONFIG_VETH"]);
    lab.write_config(&Network::NAT.config());
    all_right(&lab, "no network needs one");
}

#[test]
fn no_device_for_taps() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("mount -t tmpfs none /dev/net");
    check(&lab).alone("problem", "kernel", &["/dev/net/tun", "modprobe tun"]);
}

/// The kernel of a machine without nf_tables refuses the socket: so does this one, to this one program.
#[test]
fn no_nftables() {
    for (network, is_wrong) in [(Network::NAT, true), (Network::BRIDGED, false)] {
        let lab = Lab::new(network);
        let program = hooks_dir().join("kvmnet");
        let traced = |inject: &str| {
            let line = format!(
                "env -i strace -f -o /run/trace -e trace=socket {inject} {} check --json",
                program.display()
            );
            lab.host.try_run(&line)
        };
        assert!(traced("").status.success());
        let trace = lab.host.enter(|| fs::read_to_string("/run/trace")).unwrap();
        let mut sockets = trace.lines().filter(|line| line.contains("socket("));
        let number = sockets.position(|call| call.contains("NETLINK_NETFILTER")).unwrap() + 1;
        let output = traced(&format!("-e inject=socket:error=EPROTONOSUPPORT:when={number}"));
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(is_wrong)), "{said}");
        assert_eq!(said.contains("CONFIG_NF_TABLES"), is_wrong, "{said}");
    }
}

#[test]
fn hooks_that_are_not_kvmnets() {
    let lab = Lab::new(Network::NAT);
    let run = |command: &str| lab.host.run(command);
    run("mv /etc/qemu-ifup /run/qemu-ifup");
    check(&lab).alone("note", "hooks", &["/etc/qemu-ifup", "is not there", "./install.sh"]);
    lab.host.enter(|| fs::write("/etc/qemu-ifup", "#!/bin/sh\nexec brctl addif br0 $1\n")).unwrap();
    check(&lab).alone("note", "hooks", &["/etc/qemu-ifup", "is not kvmnet's"]);
    run("cp /bin/true /etc/qemu-ifup");
    check(&lab).alone("note", "hooks", &["/etc/qemu-ifup", "is not kvmnet's"]);
    run("rm /etc/qemu-ifup");
    lab.host.enter(|| symlink("/usr/local/lib/kvmnet/qemu-ifup", "/etc/qemu-ifup")).unwrap();
    check(&lab).alone("note", "hooks", &["/usr/local/lib/kvmnet/qemu-ifup", "dangling link"]);
    run("rm /etc/qemu-ifup");
    lab.host.enter(|| symlink("/run/qemu-ifup", "/etc/qemu-ifup")).unwrap();
    all_right(&lab, "a link to a program of kvmnet's");
    run("chmod 644 /etc/qemu-ifdown");
    check(&lab).alone("note", "hooks", &["/etc/qemu-ifdown", "cannot be run", "chmod 755"]);
}

/// A bridge that another program made, whose spanning tree lets nothing through to a new guest at first.
#[test]
fn a_spanning_tree() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br0 type bridge stp_state 1 forward_delay 400");
    check(&lab).alone("note", "interface", &["br0", "8 s", "stp_state 0"]);
    let _one = lab.attach(1);
    check(&lab).alone("note", "interface", &["br0", "8 s"]);
    lab.host.ip("link set br0 type bridge stp_state 0");
    all_right(&lab, "a new port forwards at once");
}
