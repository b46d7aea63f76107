//! Services that take away what guests need, as they start, stop or read their files anew: guests have it again, and nobody types
//! anything.

use crate::host::Host;
use crate::installed::{add_docker, add_ufw};
use crate::start_served;

/// The world, by IPv4 and IPv6.
const WORLD: [&str; 2] = ["192.168.1.25", "fd00:1::25"];

/// Waits until a guest reaches the world.
#[track_caller]
fn reaches_the_world(host: &mut Host, after: &str) {
    for address in WORLD {
        let ping = format!("in-guest web 'ping -c 1 -W 5 {address}'");
        host.eventually(&format!("after {after} the guest reaches {address}"), &ping);
    }
}

/// After all of it: nothing has failed, gone round in circles, or stayed.
#[track_caller]
fn assert_quiet(host: &mut Host) {
    host.kill_guest("web");
    host.eventually("the network is swept", "! ip link show br0 && ! nft list tables | grep kvmnet");
    assert_eq!(host.must("systemctl --failed --no-legend").trim(), "", "no unit has failed");
    let journal = host.must("journalctl -b --no-pager");
    let complaint =
        journal.lines().find(|line| line.contains("ordering cycle") || line.contains("start-limit"));
    assert_eq!(complaint, None);
}

/// Something that drops what it does not know, as Docker does.
const DOCKER: &str = "table ip filter {
    chain DOCKER-USER { return; }
    chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
";
const DOCKER_SERVICE: &str = "[Unit]\nDescription=Stands for Docker\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=nft -f /etc/docker.nft\n";

#[test]
fn services_with_a_firewall_start_stop_and_reload() {
    let mut host = Host::boot_with("", |files| {
        files.link(
            "/etc/systemd/system/sysinit.target.wants/nftables.service",
            "/usr/lib/systemd/system/nftables.service",
        );
        files.add_text("/etc/docker.nft", DOCKER);
        files.add_text("/etc/systemd/system/docker.service", DOCKER_SERVICE);
    });
    assert_eq!(
        host.must("nft list tables").trim(),
        "table inet filter",
        "nftables has started with the machine"
    );
    start_served(&mut host, "web", 0);
    reaches_the_world(&mut host, "its start");
    for what in [
        "restart nftables",
        "reload nftables",
        "stop nftables",
        "start nftables",
        "start docker",
        "restart nftables",
    ] {
        host.must(&format!("systemctl {what}"));
        host.must("nft list table inet kvmnet-br0");
        reaches_the_world(&mut host, what);
    }
    host.must("systemctl restart docker && nft list chain ip filter DOCKER-USER | grep kvmnet:br0");
    reaches_the_world(&mut host, "restart docker");
    let twice = "kvmnet apply --yes --quiet & one=$!; kvmnet apply --yes --quiet && wait $one";
    host.must(&format!("nft flush ruleset && {{ {twice}; }}"));
    reaches_the_world(&mut host, "kvmnet apply, twice at once");
    host.must("nft flush ruleset && systemctl restart nftables");
    assert_quiet(&mut host);
    host.must("systemctl restart nftables docker");
    assert!(!host.must("nft list ruleset").contains("kvmnet"), "nothing where no network is up");
}

/// The real one, with its default settings: it makes the host a router that drops what it does not know.
#[test]
fn docker_starts_and_starts_anew() {
    let mut host = Host::boot_with("", add_docker);
    eprintln!("{:?}", host.run("df /; free; dmesg | grep -i -e initramfs -e rootfs; strace -V | head -n 1; ls -la /etc/traced-ifup /usr/bin/strace /etc/qemu-ifup /usr/sbin/dockerd /bin/sh; /usr/sbin/dockerd --version; iptables -V; ls / /usr /usr/lib; ldconfig -p | head"));
    start_served(&mut host, "web", 0);
    reaches_the_world(&mut host, "its start");
    for what in ["start", "restart", "restart"] {
        host.must(&format!("systemctl --no-block {what} docker"));
        host.eventually("containerd has started", "systemctl is-active containerd");
        host.eventually(
            "dockerd has started",
            "[ -z \"$(systemctl --no-legend list-jobs)\" ] && systemctl is-active docker",
        );
        host.must("iptables -S FORWARD | grep -x -e '-P FORWARD DROP'");
        host.must("iptables -S DOCKER-USER | grep kvmnet:br0 && ip addr show docker0 | grep 172.17.0.1");
        reaches_the_world(&mut host, what);
        host.in_guest("web", crate::UDHCPC);
    }
    assert_quiet(&mut host);
    let rules = host.must("iptables -S");
    assert!(rules.contains("DOCKER") && !rules.contains("kvmnet"), "{rules}");
}

/// Its commands start no service.
#[test]
fn the_owner_of_ufw_types_commands() {
    let mut host = Host::boot_with("", add_ufw);
    host.must("systemctl is-active kvmnet-ufw.path");
    start_served(&mut host, "web", 0);
    for what in [
        "ufw --force enable",
        "ufw reload",
        "ufw allow 22/tcp",
        "systemctl restart ufw",
        "ufw disable",
        "ufw --force enable",
    ] {
        eprintln!("{}", host.must(what));
        reaches_the_world(&mut host, what);
        host.in_guest("web", crate::UDHCPC);
    }
    host.must("iptables -S FORWARD | grep kvmnet:br0");
    assert_quiet(&mut host);
    assert!(!host.must("nft list ruleset").contains("kvmnet"));
}

/// What an administrator writes who means a machine that is not a router.
const NO_ROUTER: &str = "net.ipv4.ip_forward=0
net.ipv4.conf.all.forwarding=0
net.ipv4.conf.default.forwarding=0
net.ipv6.conf.all.forwarding=0
net.ipv6.conf.default.forwarding=0
net.ipv4.conf.all.rp_filter=1
net.ipv4.conf.default.rp_filter=1
net.ipv4.conf.*.rp_filter=1
";

#[test]
fn settings_are_read_anew() {
    let mut host = Host::boot_with("", |files| files.add_text("/etc/sysctl.d/99-no-router.conf", NO_ROUTER));
    start_served(&mut host, "web", 0);
    host.must("udevadm settle");
    reaches_the_world(&mut host, "its start");
    for what in [
        "systemctl restart systemd-sysctl",
        "networkctl reload",
        "networkctl reconfigure ens2",
        "systemctl restart systemd-networkd",
    ] {
        host.must(what);
        reaches_the_world(&mut host, what);
    }
    assert_quiet(&mut host);
    assert_eq!(host.must("cat /proc/sys/net/ipv6/conf/all/forwarding").trim(), "0");
}

/// What ifupdown is told of the uplink. Its scripts run by busybox there, whose `ip` and `ifup` are not what they want for IPv6 and by
/// their names.
const INTERFACES: &str = "auto ens2
iface ens2 inet static
    address 192.168.1.230/24
    gateway 192.168.1.25
";

#[test]
fn ifupdown_has_the_uplink() {
    let mut host = Host::boot_with("", |files| files.add_text("/etc/network/interfaces", INTERFACES));
    host.must("systemctl stop systemd-networkd.socket systemd-networkd && ip addr flush dev ens2 && /usr/sbin/ifup ens2");
    start_served(&mut host, "web", 0);
    host.in_guest("web", "ping -c 1 -W 5 192.168.1.25");
    for what in ["/usr/sbin/ifdown ens2 && /usr/sbin/ifup ens2", "systemctl restart networking"] {
        host.must(what);
        host.must(
            "ip addr show br0 | grep -w 10.0.100.3/24 && readlink /sys/class/net/vif0.0/master | grep -w br0",
        );
        host.eventually(what, "in-guest web 'ping -c 1 -W 5 192.168.1.25'");
    }
    assert_quiet(&mut host);
}

/// All processes stand still and all devices are put to sleep, for five seconds: all but the firmware's part (pm_test), as QEMU's
/// machine does not wake from that.
#[test]
fn the_host_sleeps() {
    let mut host = Host::boot("");
    start_served(&mut host, "web", 0);
    reaches_the_world(&mut host, "its start");
    let slept = "cat /sys/power/suspend_stats/success";
    assert_eq!(host.must(slept).trim(), "0");
    host.must("echo devices >/sys/power/pm_test");
    host.must("systemctl start suspend.target");
    assert_eq!(host.must(slept).trim(), "1", "it has slept");
    reaches_the_world(&mut host, "its sleep");
    host.in_guest("web", crate::UDHCPC);
    assert_quiet(&mut host);
}
