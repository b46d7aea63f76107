//! Guests that leave otherwise than by a shutdown.

use nix::sys::signal::{Signal, kill};
use serde_json::json;

use crate::kit::{self, Empty, Journal, exists, is_port, two_networks};
use crate::lab::{Network, Snapshot, eventually};

/// A NIC that is plugged into a running QEMU gets its network, and takes it away when it is unplugged.
#[test]
fn hot_plug_and_unplug() {
    let lab = two_networks(Network::NAT, Network::BRIDGED);
    let before = Snapshot::of(&lab.host);
    let mut one = Empty::run(&lab, "");
    for (tap, bridge) in [("vif0.0", "br0"), ("lab0.0", "br-lab")] {
        let nic = json!({ "type": "tap", "id": "n0", "ifname": tap });
        assert_eq!(one.tell("netdev_add", &nic), Ok(json!({})));
        lab.settle_bridge(bridge);
        assert!(is_port(&lab, tap, bridge));
        assert_eq!(one.tell("netdev_del", &json!({ "id": "n0" })), Ok(json!({})));
        assert!(!exists(&lab, tap) && !exists(&lab, bridge));
        lab.assert_as_before("the NIC is unplugged", &before);
    }
    one.stop();
}

/// A hook that fails is an error of the monitor's command; the VM, and the NICs that it has, live on.
#[test]
fn hot_plug_with_a_hook_that_fails() {
    let lab = two_networks(Network::NAT, Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    let mut one = Empty::on(&lab, "vif0.0");
    lab.settle();
    let with_one = Snapshot::of(&lab.host);
    let refused = one.tell("netdev_add", &json!({ "type": "tap", "id": "n1", "ifname": "lab0.0" }));
    assert!(refused.as_ref().is_err_and(|error| error.contains("/etc/qemu-ifup")), "{refused:?}");
    assert!(one.said().contains("eth9") && one.said().contains("hint: "), "{}", one.said());
    assert!(one.is_well() && is_port(&lab, "vif0.0", "br0") && !exists(&lab, "lab0.0"));
    lab.assert_as_before("nothing was plugged in", &with_one);
    one.quit();
    assert!(one.ends().0.success());
    lab.assert_as_before("the guest is gone", &before);
}

/// SIGINT and SIGHUP end a guest as SIGTERM does: its hook runs.
#[test]
fn ctrl_c_and_a_closed_terminal() {
    let lab = kit::lab(Network::NAT);
    let before = Snapshot::of(&lab.host);
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        let one = Empty::start(&lab, "env --default-signal", "-netdev tap,id=n0,ifname=vif0.0").running(&lab);
        kill(one.pid(), signal).unwrap();
        assert!(one.ends().0.success());
        lab.assert_as_before("a guest was ended by a signal", &before);
    }
}

/// A guest that gave up root cannot undo its network: its hook says nothing, touches nothing and does not fail, and the
/// next hook of another guest sweeps.
#[test]
fn runas() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    // QEMU 10 has another word for it.
    let has_runas = lab.host.run("qemu-system-x86_64 -help").contains("-runas");
    let user = if has_runas { "-runas nobody" } else { "-run-with user=nobody" };
    let one = Empty::run(&lab, &format!("-netdev tap,id=n0,ifname=vif0.0 {user}"));
    lab.settle();
    let rules = lab.host.run("nft list ruleset");
    one.stop();
    assert!(journal.lines().iter().any(|line| line.contains("qemu-ifdown") && line.contains("no rights")));
    eventually("QEMU's tap is gone", || !exists(&lab, "vif0.0"));
    assert_eq!(lab.host.run("nft list ruleset"), rules, "no rule was touched");
    assert!(lab.host.ip("addr show dev br0").contains("inet 10.0.100.3/24"), "nor an address");
    let two = Empty::on(&lab, "lab0.0");
    assert!(!exists(&lab, "br0"), "the next hook sweeps");
    two.stop();
    lab.assert_as_before("both guests are gone", &before);
}

/// What a guest that was killed leaves is swept by the next hook: of the same network, and of another one.
#[test]
fn killed() {
    for network in [Network::NAT, Network::BRIDGED] {
        let lab = two_networks(network, Network::HOST_ONLY);
        let before = Snapshot::of(&lab.host);
        Empty::on(&lab, "vif0.0").kill();
        assert!(exists(&lab, "br0") && !exists(&lab, "vif0.0"));
        let next = Empty::on(&lab, "vif1.0");
        lab.settle();
        assert!(is_port(&lab, "vif1.0", "br0"), "the network is used again");
        next.kill();
        let other = Empty::on(&lab, "lab0.0");
        assert!(!exists(&lab, "br0"), "a hook of the other network sweeps");
        other.stop();
        lab.assert_as_before("two guests were killed", &before);
    }
}
