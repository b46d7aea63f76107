//! Taps that are not one QEMU's alone: persistent ones, ones that two processes hold, ones that no hook knows.

use std::fs::{self, File};
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::kit::{self, Empty, Journal, exists, is_port, two_networks};
use crate::lab::{Machine, Network, Snapshot};

/// What a hook may change of a tap.
fn tap(host: &Machine, name: &str) -> Vec<(&'static str, Value)> {
    let links: Value = serde_json::from_str(&host.ip(&format!("-d -j link show dev {name}"))).unwrap();
    ["mtu", "ifalias", "inet6_addr_gen_mode", "master", "group", "address", "operstate"]
        .map(|key| (key, links[0][key].clone()))
        .to_vec()
}

/// A persistent tap stays when its guest leaves, down and on no bridge, with the MTU, alias and address mode it had.
#[test]
fn a_persistent_tap() {
    for network in [Network::NAT, Network::BRIDGED] {
        let lab = kit::lab(network);
        lab.host.ip("tuntap add dev vif0.0 mode tap");
        lab.host.ip("link set vif0.0 mtu 1400 alias web-server addrgenmode random");
        let (before, own) = (Snapshot::of(&lab.host), tap(&lab.host, "vif0.0"));
        for _ in 0..2 {
            let one = Empty::on(&lab, "vif0.0");
            lab.settle();
            let used = lab.host.ip("-d link show dev vif0.0");
            assert!(is_port(&lab, "vif0.0", "br0") && used.contains("addrgenmode none"), "{used}");
            // A bridge of kvmnet's follows its first port; one over a NIC has the NIC's.
            let mtu = if network == Network::BRIDGED { "mtu 1500 " } else { "mtu 1400 " };
            assert!(used.contains(mtu) && lab.host.ip("link show dev br0").contains(mtu), "{used}");
            one.stop();
            assert_eq!(tap(&lab.host, "vif0.0"), own, "{network:?}");
            lab.assert_as_before("a persistent tap", &before);
        }
    }
}

/// A guest with a persistent tap that was killed leaves the tap on its bridge. The next guest on it finds a network all the
/// same, whatever hooks ran in between, and gives back what the first one was lent.
#[test]
fn a_persistent_tap_whose_guest_was_killed() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    lab.host.ip("tuntap add dev vif0.0 mode tap");
    lab.host.ip("link set vif0.0 mtu 1400 alias web-server");
    let (before, own) = (Snapshot::of(&lab.host), tap(&lab.host, "vif0.0"));
    Empty::on(&lab, "vif0.0").kill();
    let other = Empty::on(&lab, "lab0.0");
    let again = Empty::on(&lab, "vif0.0");
    lab.settle();
    assert!(is_port(&lab, "vif0.0", "br0"));
    again.stop();
    other.stop();
    assert_eq!(tap(&lab.host, "vif0.0"), own);
    lab.assert_as_before("all are gone", &before);
}

/// Two QEMUs share a persistent tap with several queues, as during a migration on one host: the hook of the one that
/// leaves must not take away what the other uses.
#[test]
fn a_tap_that_another_qemu_has_open_too() {
    let lab = kit::lab(Network::NAT);
    lab.host.ip("tuntap add dev vif0.0 mode tap multi_queue");
    let before = Snapshot::of(&lab.host);
    let mut journal = Journal::of(&lab);
    let old = Empty::on(&lab, "vif0.0,queues=2");
    let new = Empty::on(&lab, "vif0.0,queues=2");
    lab.settle();
    let shared = Snapshot::of(&lab.host);
    old.stop();
    assert!(is_port(&lab, "vif0.0", "br0"), "the new one uses it: {:#?}", journal.lines());
    lab.assert_as_before("the old one is gone", &shared);
    new.stop();
    assert!(!is_port(&lab, "vif0.0", "br0"));
    lab.assert_as_before("the new one is gone, too", &before);
}

/// A tap is handed to another QEMU, open as it is, which takes the guest over: the hook of the old one must not take away
/// what the new one uses.
#[test]
fn a_tap_that_was_handed_on() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    let before = Snapshot::of(&lab.host);
    let mut journal = Journal::of(&lab);
    let old = Empty::on(&lab, "vif0.0");
    lab.settle();
    let shared = Snapshot::of(&lab.host);
    let mut new = Empty::run(&lab, "");
    assert_eq!(new.hand("tap", &take_tap(old.pid(), "vif0.0")), Ok(json!({})));
    assert_eq!(new.tell("netdev_add", &json!({ "type": "tap", "id": "n0", "fd": "tap" })), Ok(json!({})));
    old.stop();
    assert!(is_port(&lab, "vif0.0", "br0"), "the new one uses it: {:#?}", journal.lines());
    lab.assert_as_before("the old one is gone", &shared);
    new.stop();
    assert!(!exists(&lab, "vif0.0"), "a QEMU that is given its tap runs no hook");
    Empty::on(&lab, "lab0.0").stop();
    lab.assert_as_before("the next hook has swept", &before);
}

/// Taps with `script=no`, and without a script, are nobody's guests: a network goes with its last attached tap, and
/// comes to no harm from a down script that is run for one of them.
#[test]
fn taps_whose_hook_never_ran() {
    let lab = kit::lab(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let silent = Empty::run(&lab, "-netdev tap,id=n0,ifname=vif1.0,script=no,downscript=no");
    let empty = Empty::run(&lab, "-netdev tap,id=n0,ifname=vif2.0,script=,downscript=");
    lab.assert_as_before("no hook has run", &before);
    let one = Empty::on(&lab, "vif0.0");
    lab.settle();
    let with_one = Snapshot::of(&lab.host);
    let half = Empty::run(&lab, "-netdev tap,id=n0,ifname=vif3.0,script=no");
    half.stop();
    lab.assert_as_before("a down script ran for a tap that was never up", &with_one);
    assert!(is_port(&lab, "vif0.0", "br0"));
    one.stop();
    lab.assert_as_before("the only attached tap is gone", &before);
    silent.stop();
    empty.stop();
    lab.assert_as_before("all are gone", &before);
}

/// Gets a process's open tap from it.
fn take_tap(owner: Pid, name: &str) -> File {
    let files = fs::read_dir(format!("/proc/{owner}/fdinfo")).unwrap().flatten();
    let is_tap = |text: String| text.lines().any(|line| line == format!("iff:\t{name}"));
    let tap = files
        .filter(|file| fs::read_to_string(file.path()).is_ok_and(is_tap))
        .find_map(|file| file.file_name().to_str()?.parse::<i32>().ok())
        .expect("the process has the tap open");
    let owner = descriptor(libc::SYS_pidfd_open, owner.as_raw(), 0);
    let owner = std::os::fd::AsRawFd::as_raw_fd(&owner);
    descriptor(libc::SYS_pidfd_getfd, owner, tap).into()
}

/// The file that a system call opens which takes these numbers, and flags.
fn descriptor(call: libc::c_long, first: i32, second: i32) -> OwnedFd {
    // SAFETY: these calls take no pointers.
    let fd = Errno::result(unsafe { libc::syscall(call, first, second, 0) }).unwrap();
    // SAFETY: the kernel has just returned this descriptor, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd.try_into().unwrap()) }
}
