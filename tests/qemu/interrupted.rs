//! Ctrl-C while the hook runs: the terminal sends it to QEMU, which dies of it there and then, and to the hook.

use std::fs;

use nix::sys::signal::{Signal, killpg};

use crate::kit::{self, Empty, Journal, exists, hold_lock, is_port, script, two_networks, waiting_hook};
use crate::lab::{Lab, Network, Snapshot, eventually};

/// A QEMU that is a process group, as a shell starts it, and that no test runner has taught to ignore signals.
const FOREGROUND: &str = "env --default-signal setsid";

/// Whether a process is dead, waited for or not.
fn is_dead(pid: nix::unistd::Pid) -> bool {
    !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The network is there as a whole or not at all, and after the next guest, whatever its network, nothing is left.
#[track_caller]
fn is_consistent(lab: &Lab, before: &Snapshot) {
    assert!(!exists(lab, "vif0.0"), "the tap has gone with QEMU and the hook");
    if Snapshot::of(&lab.host) != *before {
        let bridge = lab.host.ip("link show dev br0") + &lab.host.ip("addr show dev br0");
        let address = if lab.network == Network::BRIDGED { "192.168.1.230/24" } else { "10.0.100.3/24" };
        assert!(bridge.contains("alias kvmnet:") && bridge.contains(&format!("inet {address}")), "{bridge}");
        assert!(lab.host.run("nft list ruleset").contains("kvmnet-br0"));
    }
    eventually("the host reaches the outside", || lab.host.pings("192.168.1.25"));
    let next = Empty::on(lab, "lab0.0");
    lab.settle_bridge("br-lab");
    assert!(is_port(lab, "lab0.0", "br-lab") && !exists(lab, "br0"));
    next.stop();
    lab.assert_as_before("the next run is clean", before);
}

/// Ctrl-C while the hook waits for the lock.
#[test]
fn while_the_hook_waits_for_the_lock() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    let lock = hold_lock(&lab);
    let before = Snapshot::of(&lab.host);
    let one = Empty::start(&lab, FOREGROUND, "-netdev tap,id=n0,ifname=vif0.0");
    waiting_hook(one.pid());
    killpg(one.pid(), Signal::SIGINT).unwrap();
    eventually("QEMU is dead", || is_dead(one.pid()));
    drop(lock);
    assert!(!one.ends().0.success());
    is_consistent(&lab, &before);
}

/// Ctrl-C while the hook changes the network: at each of its last messages to the kernel, which strace holds up.
#[track_caller]
fn while_the_hook_changes(network: Network) {
    let lab = two_networks(network, Network::HOST_ONLY);
    let before = Snapshot::of(&lab.host);
    let trace = || lab.host.enter(|| fs::read_to_string(TRACE)).unwrap_or_default();
    trace_hook(&lab, "");
    Empty::run(&lab, TRACED_NIC).stop();
    let all = trace().lines().count();
    for from_last in [4, 2, 1, 0] {
        let number = all - from_last;
        trace_hook(&lab, &format!("-e inject=sendto,sendmsg:delay_enter=400000:when={number}"));
        let one = Empty::start(&lab, FOREGROUND, TRACED_NIC);
        // strace writes the end of a line when the call is over.
        let is_held_up = |trace: String| trace.lines().count() == number && !trace.ends_with('\n');
        eventually("the hook is held up", || is_held_up(trace()));
        killpg(one.pid(), Signal::SIGINT).unwrap();
        assert!(!one.ends().0.success());
        is_consistent(&lab, &before);
    }
}

const TRACE: &str = "/run/lab/trace";
const TRACED_NIC: &str = "-netdev tap,id=n0,ifname=vif0.0,script=/etc/traced-ifup";

/// A hook that writes its messages to the kernel into a new trace. strace lets Ctrl-C through to it alone.
fn trace_hook(lab: &Lab, inject: &str) {
    let strace = format!("strace -qq -o {TRACE} -e trace=sendto,sendmsg {inject}");
    script(lab, "/etc/traced-ifup", &format!("rm -f {TRACE}; exec {strace} /etc/qemu-ifup \"$@\""));
}

#[test]
fn while_the_hook_makes_a_network() {
    while_the_hook_changes(Network::NAT);
}

#[test]
fn while_the_hook_takes_the_nic() {
    while_the_hook_changes(Network::BRIDGED);
}

/// A hook that QEMU has started can be woken by an alarm, although QEMU blocks SIGALRM: its wait for the lock has an
/// end. When the lock comes free before, the guest starts.
#[test]
fn a_wait_for_the_lock_can_end() {
    let lab = kit::lab(Network::NAT);
    let lock = hold_lock(&lab);
    let mut journal = Journal::of(&lab);
    let before = Snapshot::of(&lab.host);
    let one = Empty::start(&lab, "", "-netdev tap,id=n0,ifname=vif0.0");
    let hook = waiting_hook(one.pid());
    let blocks_alarm = |pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> (Signal::SIGALRM as u32 - 1) & 1 == 1
    };
    assert!(blocks_alarm(one.pid()), "QEMU blocks it");
    assert!(!blocks_alarm(hook), "the hook does not");
    drop(lock);
    let one = one.running(&lab);
    assert!(is_port(&lab, "vif0.0", "br0"));
    one.stop();
    assert_eq!(journal.runs("qemu-ifup", "vif0.0"), 1);
    lab.assert_as_before("a guest that had to wait", &before);
}
