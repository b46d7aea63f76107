//! Hosts with many routes: those of the NIC move, and those of others cost a hook nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fmt::Write;
use std::fs;

use lab::{Guest, Hook, Lab, Machine, Network, Snapshot, eventually};

/// As many as a provider of a small country tells its customers.
const ELSEWHERE: usize = 50_000;
const OF_THE_NIC: usize = 4_000;
/// What one more part of a dump may bring (NLMSG_GOODSIZE), in which what is wanted comes first.
const SLACK: usize = 2 * 4096;

/// Adds routes: `line` makes each one's words of two numbers below 256.
fn add_routes(host: &Machine, count: usize, line: impl Fn(usize, usize) -> String) {
    let batch = (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "route add {}", line(number / 256, number % 256)).unwrap();
        text
    });
    host.batch(&batch);
}

/// How many bytes a hook was told by the kernel.
fn told(lab: &Lab, program: &str, guest: &Guest) -> usize {
    let arguments = ["-f", "-e", "trace=recvfrom,recvmsg,read", "-o", "/run/lab/trace", program, guest.tap()];
    Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(guest.tap_fd()).run().ok();
    let trace = lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
    let sizes = trace.lines().filter_map(|line| line.rsplit_once(" = ")?.1.trim().parse::<usize>().ok());
    sizes.sum()
}

/// What the hooks of two guests were told: the first comes, the second, the second leaves, the first.
fn told_each(network: Network, prepare: impl Fn(&Lab)) -> [usize; 4] {
    let lab = Lab::new(network);
    prepare(&lab);
    let (one, two) = (lab.boot(1), lab.boot(2));
    let [up, down] = ["/etc/qemu-ifup", "/etc/qemu-ifdown"];
    let first = told(&lab, up, &one);
    lab.settle();
    let next = told(&lab, up, &two);
    if network.mode == "bridged" {
        assert!(one.pings("192.168.1.25"), "the guest is on the LAN");
    }
    [first, next, told(&lab, down, &two), told(&lab, down, &one)]
}

fn with_many_routes(lab: &Lab) {
    add_routes(&lab.host, ELSEWHERE, |a, b| format!("20.{a}.{b}.0/24 via 10.77.0.2 dev eth4"));
    add_routes(&lab.host, ELSEWHERE / 4, |a, b| format!("2a00:{a:x}:{b:x}::/48 via fd00:77::2 dev eth4"));
    add_routes(&lab.host, ELSEWHERE / 4, |a, b| format!("21.{a}.{b}.0/24 via 10.77.0.2 dev eth4 table 77"));
}

/// The same hooks beside many routes and beside few: they are told the same.
#[track_caller]
fn routes_elsewhere_do_not_matter(network: Network) {
    let few = told_each(network, |_| {});
    let many = told_each(network, with_many_routes);
    for (hook, (few, many)) in few.into_iter().zip(many).enumerate() {
        // A subnet is compared with all routes once, when its network is made.
        let is_making = hook == 0 && network.mode != "bridged" && network.mode != "isolated";
        assert!(is_making || many <= few + SLACK, "hook {hook} of {}: {few}, and {many} bytes", network.mode);
    }
}

#[test]
fn routes_elsewhere_do_not_matter_to_nat() {
    routes_elsewhere_do_not_matter(Network { uplink: "", ..Network::NAT });
}

#[test]
fn routes_elsewhere_do_not_matter_to_a_router() {
    let network = Network { uplink: "", ..Network::NAT };
    let [_, few, ..] = told_each(network, Lab::host_forwards_for_others);
    let [_, many, ..] = told_each(network, |lab| {
        lab.host_forwards_for_others();
        with_many_routes(lab);
    });
    assert!(many <= few + SLACK, "{few}, and {many} bytes");
}

#[test]
fn routes_elsewhere_do_not_matter_to_a_takeover() {
    routes_elsewhere_do_not_matter(Network { uplink: "uplink  = \"auto\"\n", ..Network::BRIDGED });
}

#[test]
fn routes_elsewhere_do_not_matter_to_an_isolated_network() {
    routes_elsewhere_do_not_matter(Network::ISOLATED);
}

/// All routes of the NIC move, and all come back, in as many sends as it takes.
#[test]
fn a_nic_with_thousands_of_routes_moves() {
    let lab = Lab::new(Network::BRIDGED);
    add_routes(&lab.host, OF_THE_NIC, |a, b| format!("20.{a}.{b}.0/24 via 192.168.1.25 dev eth3 metric 7"));
    add_routes(&lab.host, OF_THE_NIC, |a, b| {
        format!("2a00:{a:x}:{b:x}::/48 via fd00:1::25 dev eth3 metric 7")
    });
    let count = |link: &str| {
        let lines = |family: &str| lab.host.ip(&format!("{family} route show dev {link} metric 7"));
        ["-4", "-6"].map(|family| lines(family).lines().count())
    };
    let all = [OF_THE_NIC; 2];
    assert_eq!([count("eth3"), count("lo")], [all, [0; 2]]);
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    assert_eq!([count("br0"), count("eth3")], [all, [0; 2]]);
    eventually("the outside answers", || lab.host.pings("192.168.1.25") && lab.host.pings("fd00:1::25"));
    lab.detach(guest);
    assert_eq!(count("eth3"), all);
    lab.assert_as_before("the NIC is back", &before);
}
