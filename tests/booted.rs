//! A host as people have it: Debian's kernel, systemd, udev, networkd and resolved, with kvmnet installed. QEMU boots it.
//!
//! ```text
//!    web ── vif0.0 ┐                  the booted host
//!                  ├── br0 ── host ── ens2 192.168.1.230 ══════ the world 192.168.1.25, DNS for outside.example
//!     db ── vif1.0 ┘
//! ```
//!
//! What holds the taps there, and runs the hooks, is tests/guest/qemu.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "booted/host.rs"]
mod host;
#[path = "booted/installed.rs"]
mod installed;
mod lab;
#[path = "booted/taken_away.rs"]
mod taken_away;

use host::Host;

/// Busybox's DHCP client, with the script of Debian's package.
const UDHCPC: &str = "udhcpc -i eth0 -n -q -t 20 -T 1";

/// Starts a guest and has it told its address.
#[track_caller]
fn start_served(host: &mut Host, name: &str, number: u8) -> String {
    host.start_guest(name, number);
    assert_eq!(host.processes_of_hook(name), [] as [&str; 0], "the hook of {name} starts no process");
    host.in_guest(name, UDHCPC);
    host.address_of(name)
}

#[test]
fn a_guest_and_all_its_processes_are_killed_and_udev_has_its_network_swept() {
    let mut host = Host::boot("");
    host.start_guest("web", 0);
    host.start_guest("db", 1);
    for guest in ["web", "db"] {
        assert_eq!(host.processes_of_hook(guest), [] as [&str; 0], "the hook of {guest} starts no process");
    }
    host.kill_guest("web");
    host.must("udevadm settle");
    assert!(host.run("ip link show br0").0 == 0, "the other guest still has its network");
    host.kill_guest("db");
    host.eventually("the network is swept", "! ip link show br0 && ! nft list tables | grep kvmnet");
}

/// Somebody's file is for every bridge. What kvmnet made is none of networkd's all the same, also after it was started anew.
#[test]
fn networkd_leaves_alone_what_kvmnet_made() {
    let mut host = Host::boot("");
    let all = "[Match]\\nKind=bridge\\n[Network]\\nDHCP=yes\\n";
    host.must(&format!("printf '{all}' >/etc/systemd/network/90-bridges.network && networkctl reload"));
    host.must("ip link add br-other type bridge && ip link set br-other up");
    start_served(&mut host, "web", 0);
    for _ in 0..2 {
        host.must("udevadm settle");
        host.eventually("it is not networkd's", "networkctl --no-legend list br0 | grep -w unmanaged");
        host.eventually("another bridge is", "networkctl --no-legend list br-other | grep -wv unmanaged");
        host.must(
            "ip addr show br0 | grep -w 10.0.100.3/24 && readlink /sys/class/net/vif0.0/master | grep -w br0",
        );
        host.eventually("the guest gets out", "in-guest web 'ping -c 1 -W 5 192.168.1.25'");
        host.must("systemctl restart systemd-networkd");
    }
    host.kill_guest("web");
    host.eventually("the network is swept", "! ip link show br0");
}

#[test]
fn udev_has_systemd_serve_a_network_from_its_first_guest_to_its_last() {
    let mut host = Host::boot("");
    start_served(&mut host, "web", 0);
    let server = "systemctl show -P MainPID kvmnet-serve@br0.service";
    let first = host.must(server);
    assert_ne!(first.trim(), "0", "the unit runs");
    let dnsmasq = host.must("pidof dnsmasq");
    let group = host.must(&format!("cat /proc/{}/cgroup", dnsmasq.trim()));
    assert!(group.contains("kvmnet-serve@br0.service"), "dnsmasq is the unit's: {group}");
    let status =
        host.must(&format!("cat /proc/{first}/status /proc/{}/status", dnsmasq.trim(), first = first.trim()));
    assert_eq!(status.matches("Seccomp:\t2").count(), 2, "{status}");
    let journal = host.must("journalctl -b -u kvmnet-serve@br0.service --no-pager");
    assert!(!journal.contains("to itself") && !journal.contains("give up"), "all was taken away: {journal}");
    start_served(&mut host, "db", 1);
    for name in ["outside.example", "db.kvm", "host.kvm"] {
        host.eventually("a name answers", &format!("in-guest web 'ping -c 1 -W 5 {name}'"));
    }

    host.kill_guest("web");
    host.must("udevadm settle");
    assert_eq!(host.must(server), first, "who serves a network outlives the guest that it began with");

    host.must("kill -9 $(pidof dnsmasq)");
    host.eventually("dnsmasq is started again", "pidof dnsmasq");
    host.in_guest("db", UDHCPC);
    host.must("systemctl kill --kill-who=main --signal=KILL kvmnet-serve@br0.service");
    host.eventually("so is its parent", "systemctl is-active kvmnet-serve@br0.service");
    host.in_guest("db", UDHCPC);

    host.kill_guest("db");
    host.eventually(
        "nobody serves what is gone",
        "! systemctl is-active kvmnet-serve@br0.service && ! pidof dnsmasq",
    );
    assert_eq!(host.must("systemctl --failed --no-legend").trim(), "", "no unit has failed");
    assert_eq!(host.must("ls /run | grep kvmnet").trim(), "kvmnet.lock", "nothing is left but the lock");
}

#[test]
fn the_host_resolves_its_guests_by_the_lines_of_the_documentation() {
    let mut host = Host::boot("");
    let address = start_served(&mut host, "web", 0);
    host.must("resolvectl query outside.example");
    assert!(host.run("resolvectl query web.kvm").0 != 0, "nobody has told resolved of the domain");
    for line in ["resolvectl dns br0 10.0.100.3", "resolvectl domain br0 '~kvm'"] {
        host.must(line);
    }
    let said = host.must("resolvectl query -4 web.kvm");
    assert!(said.contains(&address), "resolved knows {address}: {said}");
    host.eventually("the guest answers by its name", "ping -c 1 -W 5 web.kvm");
    host.must("resolvectl query outside.example");
}

#[test]
fn a_guest_has_its_address_again_after_the_host_has_booted_anew() {
    let disk = "mke2fs -F /dev/vda && mkdir -p /var/lib/kvmnet && mount -t ext4 /dev/vda /var/lib/kvmnet";
    let mut host = Host::boot("");
    host.must(disk);
    host.start_guest("web", 0);
    // An address that nobody would give it by its MAC.
    host.in_guest("web", &format!("{UDHCPC} -r 10.0.100.99"));
    assert_eq!(host.address_of("web"), "10.0.100.99");
    let mut host = host.reboot();
    host.must(disk.trim_start_matches("mke2fs -F /dev/vda && "));
    start_served(&mut host, "db", 1);
    assert_eq!(start_served(&mut host, "web", 0), "10.0.100.99");
}
