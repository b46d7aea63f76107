//! What a hook costs, in system calls: the exact figures, so that a rise is seen and explained.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "qemu/kit.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod kit;
mod lab;

use std::fs;

use kit::Empty;
use lab::{Guest, Hook, Lab, Network, eventually};

/// System calls of the hook's own, in nat mode, for a network with an IPv4 and an IPv6 subnet: three of them give up rights. Those of the C
/// library's start come before and differ with its version.
const FIRST: usize = 94;
const NEXT: usize = 61;
const REPEATED: usize = 56;
/// What it costs to know who the guest is: the command line of QEMU and, here, that of the strace between them; and whether another
/// guest has its MAC.
const WHO: usize = 13;
/// A repeated run, which is what a person's second start of a guest is, stays under this with all of them.
const REPEATED_LIMIT: usize = 80;
/// The hook's first own call: it looks whether its standard files are open.
const FIRST_CALL: &str = "poll([{fd=0";

/// All system calls of a `qemu-ifup`, in order, as strace shows them. One that the kernel itself begins anew is one
/// call: a write to a setting of an interface does so while anybody else on the machine changes a network.
fn calls(lab: &Lab, guest: &Guest) -> Vec<String> {
    let arguments = ["-f", "-o", "/run/lab/trace", "/etc/qemu-ifup", guest.tap()];
    Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(guest.tap_fd()).run().ok();
    traced(lab)
}

fn traced(lab: &Lab) -> Vec<String> {
    let trace = lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
    // A debug build looks whether the files that it closes are open.
    let is_own = |line: &&str| !line.contains("ERESTARTNOINTR") && !line.contains("F_GETFD");
    let calls = trace.lines().filter(|line| line.contains('(')).filter(is_own);
    calls.map(str::to_owned).collect()
}

/// A network that has no use for who its guests are.
const PLAIN: Network = Network { keys: "dhcp = false\n", ..Network::NAT };

#[test]
fn a_hook_makes_exactly_so_many_system_calls() {
    assert_eq!(costs(&Lab::new(PLAIN)), [FIRST, NEXT, REPEATED], "first, next, repeated");
}

/// With subnets that are chosen, out by whatever the routes say: what is built in. A guest that comes asks once more, as only
/// the record says which addresses to ask for; no route is read after the first one's.
#[test]
fn a_network_that_chooses() {
    let lab = Lab::new(PLAIN);
    lab.write_config("dhcp = false\n");
    assert_eq!(costs(&lab)[1..], [NEXT + 1, REPEATED], "next, repeated");
}

/// Of the first hook of a network, that of the next guest, and a repeated one.
fn costs(lab: &Lab) -> [usize; 3] {
    let (one, two) = (lab.boot(1), lab.boot(2));
    let first = calls(lab, &one);
    // The kernel makes an IPv6 address's local route in its own time, and without it the next hook asks once more.
    eventually("the host's address is in use", || {
        lab.host.ip("-6 route show table local dev br0").contains(":100::3 ")
    });
    let traces = [first, calls(lab, &two), calls(lab, &one)];
    let shown = traces[2].join("\n");
    assert!(traces[2].len() < REPEATED_LIMIT, "a repeated run makes {}:\n{shown}", traces[2].len());
    traces.each_ref().map(|trace| own(trace))
}

fn own(trace: &[String]) -> usize {
    trace.iter().skip_while(|call| !call.contains(FIRST_CALL)).count()
}

/// Who the guest is, is asked once: by the hook that its QEMU runs.
#[test]
fn a_guest_is_asked_once_who_it_is() {
    let count = |network: Network| {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        kit::script(&lab, "/run/lab/up", "exec strace -f -o /run/lab/trace /etc/qemu-ifup \"$1\"");
        let arguments =
            "-name two -nic tap,ifname=vif1.0,mac=52:54:00:12:34:57,script=/run/lab/up,downscript=no";
        let two = Empty::run(&lab, arguments);
        let next = own(&traced(&lab));
        let repeated = own(&calls(&lab, &one));
        two.stop();
        // Whether the network is served, a repeated hook asks as well.
        next - repeated
    };
    assert_eq!(count(Network::NAT), count(PLAIN) + WHO, "what a new guest costs more than one that is on");
}
