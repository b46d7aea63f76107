//! What a hook costs, in system calls: the exact figures, so that a rise is seen and explained.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;

use lab::{Guest, Hook, Lab, Network};

/// System calls of the release build with glibc, in nat mode, for a network with an IPv4 and an IPv6 subnet.
const FIRST: usize = 101;
const NEXT: usize = 79;
const REPEATED: usize = 77;
/// A repeated run, which is what a person's second start of a guest is, stays under this whatever the libc.
const REPEATED_LIMIT: usize = 80;

/// All system calls of a `qemu-ifup`, in order, as strace shows them.
fn calls(lab: &Lab, guest: &Guest) -> Vec<String> {
    let arguments = ["-f", "-o", "/run/lab/trace", "/etc/qemu-ifup", guest.tap()];
    Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(guest.tap_fd()).run().ok();
    let trace = lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
    trace.lines().filter(|line| line.contains('(')).map(str::to_owned).collect()
}

#[test]
fn a_hook_makes_exactly_so_many_system_calls() {
    let lab = Lab::new(Network::NAT);
    let (one, two) = (lab.boot(1), lab.boot(2));
    let traces = [calls(&lab, &one), calls(&lab, &two), calls(&lab, &one)];
    let [first, next, repeated] = traces.each_ref().map(Vec::len);
    let shown = traces[2].join("\n");
    assert!(repeated < REPEATED_LIMIT, "a repeated run makes {repeated}:\n{shown}");
    assert_eq!(
        [first, next, repeated],
        [FIRST, NEXT, REPEATED],
        "first, next, repeated; the last one:\n{shown}"
    );
}
