//! A guest that never stops sending is heard by the host at no moment: not while its hooks run, not when they are killed,
//! and not when its bridge is deleted under it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::bench::{DOWN, NAME, UP};
use lab::{
    Bench, Cli, Fault, Frame, Lab, Listener, Machine, Network, Tap, eventually, frame, sample, within,
};

const ATTACKER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const HEARD: &str = "heard";

/// Datagrams for a service of the host, by every hardware address under which it might take one.
fn frames(host: &Machine, tap: &str) -> Vec<Vec<u8>> {
    let zero = Ipv4Addr::UNSPECIFIED;
    let [guest, outside, nic, other] =
        [[10, 0, 100, 1], [192, 168, 1, 25], [192, 168, 1, 230], [10, 77, 0, 1]].map(Ipv4Addr::from);
    let own: Ipv6Addr = "fe80::5054:ff:fe12:3456".parse().unwrap();
    let [all, nic6]: [Ipv6Addr; 2] = ["ff02::1", "fd00:1::230"].map(|address| address.parse().unwrap());
    // A bridge of kvmnet's has a MAC that follows from its name.
    let places =
        [host.mac(tap), [0x02, 0x19, 0x13, 0x6f, 0x7b, 0x9f], frame::BROADCAST, [0x33, 0x33, 0, 0, 0, 1]];
    let reserved = (0..16).map(|last| [0x01, 0x80, 0xc2, 0, 0, last]);
    let to = |to| Frame { from: ATTACKER, to };
    let each = |to: Frame| {
        [
            to.udp4(guest, nic, HEARD),
            to.udp4(outside, nic, HEARD),
            to.udp4(nic, other, HEARD),
            to.udp4(guest, Ipv4Addr::BROADCAST, HEARD),
            to.udp4(zero, Ipv4Addr::BROADCAST, HEARD),
            to.udp6(own, nic6, HEARD),
            to.udp6(own, all, HEARD),
        ]
    };
    places.into_iter().chain(reserved).map(to).flat_map(each).collect()
}

/// Does something while frames come in by a tap, without end and in turn; all have come in at least once before and
/// after.
fn while_sending<T>(tap: &Tap, frames: &[Vec<u8>], work: impl FnOnce() -> T) -> T {
    let (over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let round = || {
        let now = rounds.load(Ordering::Relaxed);
        eventually("all frames have been sent", || rounds.load(Ordering::Relaxed) > now + 1);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                frames.iter().for_each(|frame| tap.send(frame));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        round();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        if done.is_ok() {
            round();
        }
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[track_caller]
fn assert_silence(service: &mut Listener, what: &str) {
    within(Duration::from_millis(300), || service.has_heard(HEARD));
    let count = service.heard().len();
    assert_eq!(count, 0, "{what}: datagrams of the guest that the host has heard");
}

#[test]
fn isolated_is_not_heard_while_hooks_run() {
    let lab = Lab::new(Network::ISOLATED);
    let one = lab.attach(1);
    let mut service = Listener::on(&lab.host);
    while_sending(one.tap_fd(), &frames(&lab.host, "vif0.0"), || {
        for _ in 0..10 {
            lab.ifdown(&one).ok();
            lab.ifup(&one).ok();
            lab.ifup(&one).ok();
            Cli::new(&lab.host, &["detach", "vif0.0"]).run().ok();
            Cli::new(&lab.host, &["attach", "vif0.0"]).run().ok();
            Cli::new(&lab.host, &["down", "--force", "default"]).run().ok();
            lab.ifup(&one).ok();
            lab.host.run("nft flush ruleset");
            Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
        }
    });
    assert_silence(&mut service, "hooks");
}

/// From one network to another.
#[test]
fn isolated_is_not_heard_while_it_moves() {
    let lab = Lab::new(Network::ISOLATED);
    let lab_network = Network::ISOLATED.lab_table();
    lab.write_config(&format!("{}{lab_network}", Network::ISOLATED.config()));
    let one = lab.attach(1);
    let mut service = Listener::on(&lab.host);
    while_sending(one.tap_fd(), &frames(&lab.host, "vif0.0"), || {
        for _ in 0..10 {
            lab.hook(UP, &one).env("KVMNET_NETWORK", "lab").run().ok();
            assert!(lab.host.ip("link show vif0.0").contains("master br-lab"));
            lab.ifup(&one).ok();
            assert!(lab.host.ip("link show vif0.0").contains("master br0"));
        }
    });
    assert_silence(&mut service, "moves");
}

#[test]
fn isolated_is_not_heard_when_hooks_are_killed() {
    let bench = Bench::new(Network::ISOLATED);
    let frames = frames(&bench.lab.host, NAME);
    let mut service = Listener::on(&bench.lab.host);
    while_sending(&bench.tap, &frames, || {
        for call in sample(&bench.up_calls, 4) {
            bench.hook_with(UP, &call, Fault::Signal("KILL"));
            bench.hook(UP).ok();
            bench.hook(DOWN).ok();
        }
        bench.hook(UP).ok();
        for call in sample(&bench.down_calls, 4) {
            bench.hook_with(DOWN, &call, Fault::Signal("KILL"));
            bench.hook(DOWN).ok();
            bench.hook(UP).ok();
        }
    });
    assert_silence(&mut service, "killed hooks");
}

/// The tap stays up, and is an interface of the host's. Only what nobody says to everybody (DHCP) gets through; see
/// docs/security.md.
#[test]
fn isolated_is_not_heard_when_its_bridge_is_deleted() {
    let lab = Lab::new(Network::ISOLATED);
    let one = lab.attach(1);
    let zero = Ipv4Addr::UNSPECIFIED.octets();
    let mut frames = frames(&lab.host, "vif0.0");
    frames.retain(|frame| frame[12..14] != frame::IPV4.to_be_bytes() || frame[26..30] != zero);
    let mut service = Listener::on(&lab.host);
    let before = [lab.host.ip("-o addr show"), lab.host.ip("-6 route show default")];
    while_sending(one.tap_fd(), &frames, || {
        lab.host.ip("link del br0");
        assert!(lab.host.ip("link show vif0.0").contains(",UP"), "the tap stays up");
    });
    assert_silence(&mut service, "no bridge");
    lab.host.run("tc qdisc del dev vif0.0 clsact");
    while_sending(one.tap_fd(), &frames, || {});
    assert_silence(&mut service, "no bridge and no filter");
    let after = [lab.host.ip("-o addr show"), lab.host.ip("-6 route show default")];
    assert_eq!(before[1], after[1]);
    assert!(!after[0].contains("vif0.0"), "no address is on the tap: {}", after[0]);
}

/// The attack works on a tap that is up and on no bridge.
#[test]
fn a_tap_without_a_bridge_is_heard() {
    let lab = Lab::new(Network::ISOLATED);
    let one = lab.boot(1);
    let mut service = Listener::on(&lab.host);
    lab.host.ip("link set vif0.0 up");
    while_sending(one.tap_fd(), &frames(&lab.host, "vif0.0"), || {});
    eventually("the host hears the guest", || service.has_heard(HEARD));
}
