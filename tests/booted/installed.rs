//! What is on the booted host beside Debian: kvmnet as install.sh installs it, and what the tests start it by.

use std::path::Path;
use std::process::Command;

use crate::lab::{Initramfs, hooks_dir};

const PROGRAM: &str = "/usr/local/bin/kvmnet";

/// The host's own network, which networkd keeps.
const UPLINK: &str = "[Match]
Name=en*
[Network]
Address=192.168.1.230/24
Address=fd00:1::230/64
Gateway=192.168.1.25
Gateway=fd00:1::25
DNS=192.168.1.25
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
";

/// Notes each process that a hook starts, and is not its parent: QEMU is.
const TRACED_IFUP: &str = "#!/bin/sh
exec strace -D -f -qq --seccomp-bpf -e signal=none -e trace=execve,execveat,fork,vfork,clone,clone3 -o \"/run/hook-$1\" /etc/qemu-ifup \"$1\"
";

/// Runs a command in a guest: `in-guest NAME COMMAND`. Its resolv.conf is its own, and it is not to tell the host's resolved of its
/// resolvers.
const IN_GUEST: &str = "#!/bin/sh
own=/run/resolv-$1
touch \"$own\"
exec nsenter --net=\"/proc/$(systemctl show -P MainPID \"vm-$1\")/ns/net\" \
    unshare -m sh -c \"mount --bind $own /etc/resolv.conf; mount --bind /dev/null /sbin/resolvconf; $2\"
";

/// What udev, networkd and systemd read, as install.sh installs it.
const FILES: [(&str, &str); 5] = [
    ("udev/rules.d/60-kvmnet.rules", include_str!("../../share/60-kvmnet.rules")),
    ("systemd/system/kvmnet-serve@.service", include_str!("../../share/kvmnet-serve@.service")),
    ("systemd/network/10-kvmnet.network", include_str!("../../share/10-kvmnet.network")),
    ("systemd/system/kvmnet-apply.service", include_str!("../../share/kvmnet-apply.service")),
    ("systemd/system/kvmnet-ufw.path", include_str!("../../share/kvmnet-ufw.path")),
];

/// The drop-ins of services, which need not be there.
const DROP_INS: [(&str, &str); 6] = [
    ("docker", include_str!("../../share/kvmnet-apply.conf")),
    ("firewalld", include_str!("../../share/kvmnet-apply.conf")),
    ("libvirtd", include_str!("../../share/kvmnet-apply.conf")),
    ("nftables", include_str!("../../share/kvmnet-apply-flush.conf")),
    ("systemd-sysctl", include_str!("../../share/kvmnet-apply-sysctl.conf")),
    ("ufw", include_str!("../../share/kvmnet-apply-ufw.conf")),
];

/// Puts kvmnet and this test's own files where they are on a host.
pub fn install(initramfs: &mut Initramfs, config: &str) {
    for hook in ["qemu-ifup", "qemu-ifdown"] {
        initramfs.add_file(Path::new("/usr/local/lib/kvmnet").join(hook), &hooks_dir().join(hook));
        initramfs.link(Path::new("/etc").join(hook), &format!("/usr/local/lib/kvmnet/{hook}"));
    }
    initramfs.add_file(PROGRAM, &hooks_dir().join("kvmnet"));
    for (path, text) in FILES {
        initramfs.add_text(Path::new("/etc").join(path), &text.replace("@kvmnet@", PROGRAM));
    }
    for (service, text) in DROP_INS {
        let path = format!("/etc/systemd/system/{service}.service.d/kvmnet.conf");
        initramfs.add_text(path, &text.replace("@kvmnet@", PROGRAM));
    }
    initramfs.add_text("/etc/systemd/network/10-uplink.network", UPLINK);
    initramfs.add("/etc/traced-ifup", TRACED_IFUP.as_bytes());
    initramfs.add("/usr/bin/in-guest", IN_GUEST.as_bytes());
    if !config.is_empty() {
        initramfs.add_text("/etc/kvmnet.conf", config);
    }
}

/// Adds iptables of this machine, with what it loads.
fn add_iptables(files: &mut Initramfs, multiarch: &str) {
    files.add_program_below_usr("/usr/sbin/xtables-nft-multi");
    for name in ["iptables", "ip6tables"] {
        for end in ["", "-restore", "-save"] {
            files.link(format!("/usr/sbin/{name}{end}"), "xtables-nft-multi");
        }
    }
    files.add_folder(Path::new(&format!("/usr/lib/{multiarch}/xtables")), &[]);
}

/// Adds Docker of this machine, as its package enables it: systemd has its socket, and it starts when somebody says so. Its images are
/// in no file system that this kernel would need a module for.
pub fn add_docker(files: &mut Initramfs) {
    for program in ["/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/runc", "/usr/sbin/docker-proxy"] {
        files.add_program_below_usr(program);
    }
    add_iptables(files, &format!("{}-linux-gnu", std::env::consts::ARCH));
    for unit in ["docker.service", "docker.socket", "containerd.service"] {
        files.add_file(
            Path::new("/usr/lib/systemd/system").join(unit),
            &Path::new("/lib/systemd/system").join(unit),
        );
    }
    files.link(
        "/etc/systemd/system/sockets.target.wants/docker.socket",
        "/usr/lib/systemd/system/docker.socket",
    );
    // There is no group of its own here.
    files.add_text("/etc/systemd/system/docker.socket.d/group.conf", "[Socket]\nSocketGroup=root\n");
    files.add_text("/etc/docker/daemon.json", "{ \"storage-driver\": \"vfs\" }\n");
}

/// Adds ufw of this machine, with Python and iptables, enabled as its package does: the service starts, the firewall is off.
pub fn add_ufw(files: &mut Initramfs) {
    files.add_program_below_usr("/usr/bin/python3");
    let asked =
        "import sysconfig; print(sysconfig.get_path('stdlib'), sysconfig.get_config_var('MULTIARCH'))";
    let said = Command::new("/usr/bin/python3").args(["-c", asked]).output().expect("ufw needs Python");
    let said = String::from_utf8(said.stdout).expect("paths are UTF-8");
    let (python, multiarch) = said.trim().split_once(' ').expect("two words");
    add_iptables(files, multiarch);
    let large = [
        "__pycache__",
        "test",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "ensurepip",
        "config-3.11-x86_64-linux-gnu",
        "unittest",
        "asyncio",
        "messages",
    ];
    for folder in [python, "/usr/lib/python3/dist-packages/ufw", "/usr/share/ufw", "/etc/ufw"] {
        files.add_folder(Path::new(folder), &large);
    }
    for file in ["/usr/sbin/ufw", "/etc/default/ufw"] {
        files.add_file(file, Path::new(file));
    }
    for file in ["ufw/ufw-init", "ufw/ufw-init-functions", "systemd/system/ufw.service"] {
        files.add_file(Path::new("/usr/lib").join(file), &Path::new("/lib").join(file));
    }
    files.link(
        "/etc/systemd/system/multi-user.target.wants/ufw.service",
        "/usr/lib/systemd/system/ufw.service",
    );
}
