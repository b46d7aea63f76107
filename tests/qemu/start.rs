//! QEMU starts: what it runs its hooks for, and what it makes of their answer.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;

use crate::kit::{self, Empty, Journal, Qmp, exists, is_port, script, two_networks};
use crate::lab::{Monitor, Network, Qemu, Snapshot, Style, eventually, turn};

/// QEMU runs the hook once for a tap with four queues, and its guest is on the network.
#[test]
fn a_tap_with_four_queues() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    let turn = turn();
    let mut one = Qemu::start(&lab, &lab.network.guest(1), Style::Queues);
    one.ready();
    lab.settle();
    assert!(lab.host.ip("-d link show dev vif0.0").contains("multi_queue "));
    assert!(one.pings("192.168.1.25"), "the guest reaches the outside");
    assert!(one.stop().success());
    drop(turn);
    assert_eq!([journal.runs("qemu-ifup", "vif0.0"), journal.runs("qemu-ifdown", "vif0.0")], [1, 1]);
    lab.assert_as_before("a guest with four queues", &before);
}

/// A guest that reboots finds its network as it was: nothing on the host changes, and no hook runs.
#[test]
fn a_guest_that_reboots() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let turn = turn();
    let mut one = Qemu::start(&lab, &lab.network.guest(1), Style::Netdev);
    one.ready();
    lab.settle();
    assert!(one.pings("192.168.1.25"), "before");
    let before = Snapshot::of(&lab.host);
    let mut monitor = Monitor::start(&lab.host);
    let mut qmp = Qmp::connect(&lab, &one.monitor()).expect("QEMU runs");
    qmp.tell("set-action", &json!({ "reboot": "reset" })).unwrap();
    qmp.tell("system_reset", &json!({})).unwrap();
    one.ready_again();
    let mut changes = monitor.changes();
    changes.retain(|line| !line.contains("FEATURE CHANGE"));
    assert_eq!(
        changes,
        [] as [&str; 0],
        "nothing but the checksums that QEMU asks of its tap, and the bridge of its ports"
    );
    assert!(one.pings("192.168.1.25"), "the guest talks again");
    lab.assert_as_before("a reboot", &before);
    assert!(one.stop().success());
    drop(turn);
    assert_eq!([journal.runs("qemu-ifup", "vif0.0"), journal.runs("qemu-ifdown", "vif0.0")], [1, 1]);
}

/// A guest in the background (umask 027, standard files on /dev/null, a session of its own) comes and goes like any.
#[test]
fn daemonize() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    // It leaves its parent, but not its PID namespace, which ends with the test.
    script(&lab, "/run/lab/init", "\"$@\" && exec sleep infinity");
    let init = "unshare --pid --fork --kill-child --mount-proc /run/lab/init";
    let arguments = "-netdev tap,id=n0,ifname=vif0.0 -daemonize";
    let mut one = Empty::start(&lab, init, arguments).running(&lab);
    assert!(is_port(&lab, "vif0.0", "br0") && one.is_well());
    one.quit();
    eventually("QEMU is gone", || !exists(&lab, "vif0.0"));
    assert_eq!([journal.runs("qemu-ifup", "vif0.0"), journal.runs("qemu-ifdown", "vif0.0")], [1, 1]);
    assert_eq!(one.said(), "");
    lab.assert_as_before("a guest in the background", &before);
}

/// A person who starts a guest in the background reads what its hook says, and it does not start.
#[test]
fn daemonize_with_a_hook_that_fails() {
    let lab = kit::lab(Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    let one = Empty::start(&lab, "", "-netdev tap,id=n0,ifname=vif0.0 -daemonize");
    let (status, said) = one.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("eth9") && said.contains("hint: "), "{said}");
    lab.assert_as_before("nothing started", &before);
}

/// A name longer than an interface's is cut by QEMU, before the tap is made and for both hooks alike.
#[test]
fn a_name_that_is_too_long() {
    let lab = kit::lab(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let one = Empty::on(&lab, "a-name-longer-than-fifteen-bytes");
    assert!(is_port(&lab, "a-name-longer-t", "br0"));
    one.stop();
    lab.assert_as_before("a long name", &before);
}

/// A QEMU that finds its tap open in another one ends before any hook runs, and the other one does not notice.
#[test]
fn two_guests_with_the_same_tap() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    let mut one = Empty::on(&lab, "vif0.0");
    lab.settle();
    let with_one = Snapshot::of(&lab.host);
    let (status, said) = Empty::start(&lab, "", "-netdev tap,id=n0,ifname=vif0.0").ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("vif0.0"), "{said}");
    assert_eq!([journal.runs("qemu-ifup", "vif0.0"), journal.runs("qemu-ifdown", "vif0.0")], [1, 0]);
    lab.assert_as_before("the second one did not start", &with_one);
    assert!(is_port(&lab, "vif0.0", "br0") && one.is_well());
    one.stop();
    lab.assert_as_before("and the first one is gone", &before);
}

/// A start that fails after the hooks have run, for a device that does not exist, undoes what they did.
#[test]
fn a_device_that_does_not_exist() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    let (status, said) = Empty::start(&lab, "", "-netdev tap,id=n0,ifname=vif0.0 -device nosuchdev").ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("nosuchdev"), "{said}");
    assert_eq!([journal.runs("qemu-ifup", "vif0.0"), journal.runs("qemu-ifdown", "vif0.0")], [1, 1]);
    lab.assert_as_before("a failed start", &before);
}

/// Of two NICs the second one's hook fails: QEMU does not start, and the first one's network goes with it.
#[test]
fn a_second_nic_whose_hook_fails() {
    let lab = two_networks(Network::NAT, Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    let arguments = "-netdev tap,id=n0,ifname=vif0.0 -netdev tap,id=n1,ifname=lab0.0";
    let (status, said) = Empty::start(&lab, "", arguments).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("eth9") && said.contains("hint: "), "{said}");
    lab.assert_as_before("a failed start", &before);
}

/// A sandbox that forbids children ends QEMU when it starts its hook; nothing is left of it.
#[test]
fn a_sandbox_that_denies_the_hook() {
    let lab = kit::lab(Network::NAT);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    let (status, said) =
        Empty::start(&lab, "", "-netdev tap,id=n0,ifname=vif0.0 -sandbox on,spawn=deny").ends();
    assert!(!status.success() && (status.signal().is_some() || !said.is_empty()), "{status}: {said}");
    assert_eq!(journal.lines(), [] as [&str; 0]);
    assert!(!exists(&lab, "vif0.0"));
    lab.assert_as_before("a QEMU that was not allowed to run its hook", &before);
}
