//! A host whose network never stands still: what is read in several parts is cut through by changes again and again, and is
//! read anew. Nothing is missed, and nothing is swept that somebody is on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::is_long;
use lab::{Cli, Lab, Network, hooks_dir};

/// Interfaces that make a dump one of many parts.
const OTHERS: usize = 150;

/// Interfaces, addresses, routes, rules and tables come and go for as long as it runs.
const CHANGES: &str = "
while :; do
    ip link add churn0 type veth peer name churn1
    ip addr add 10.250.0.1/32 dev other1
    ip rule add pref 7 from 10.250.0.2 table 7
    ip route add 10.251.0.0/16 dev other2 table 7
    nft add table ip churn
    nft delete table ip churn
    ip route flush table 7
    ip rule del pref 7
    ip addr del 10.250.0.1/32 dev other1
    ip link del churn0
done";

/// How many parts of dumps tell a look at all of it that a change has come in between. Watched as it is it may be too slow to
/// come to an end.
fn cut_through(lab: &Lab) -> usize {
    let program = hooks_dir().join("kvmnet");
    let output = lab.host.try_run(&format!("strace -f -e trace=recvfrom {} status", program.display()));
    String::from_utf8_lossy(&output.stderr).matches("DUMP_INTR").count()
}

#[test]
fn a_host_that_never_stands_still() {
    let lab = Lab::new(Network::HOST_ONLY_VETH);
    let others: String =
        (0..OTHERS).map(|n| format!("link add other{n} type veth peer name peer{n}\n")).collect();
    lab.host.enter(|| std::fs::write("/run/lab/others", others)).unwrap();
    lab.host.ip("-batch /run/lab/others");
    lab.host.ip("link set other1 up");
    lab.host.ip("link set other2 up");
    lab.host.ip("link set peer1 up");
    lab.host.ip("link set peer2 up");
    let (one, two) = (lab.attach(1), lab.boot(2));
    let changes = lab.host.start("sh", &["-c", CHANGES]);
    let mut cut = 0;
    for round in 0..if is_long() { 200 } else { 10 } {
        lab.ifup(&two).ok();
        assert!(two.pings("10.0.100.1"), "round {round}: guests reach one another");
        lab.ifdown(&two).ok();
        assert!(one.pings("10.0.100.3"), "round {round}: guest 1 keeps its network");
        let status = Cli::new(&lab.host, &["status", "--json"]).run().ok();
        assert!(status.contains("\"vif0.0\""), "round {round}: {status}");
        if cut == 0 {
            cut = cut_through(&lab);
        }
    }
    assert!(!changes.has_ended(), "they went on all the while");
    println!("{cut} parts of dumps told of a change");
    assert!(cut > 0, "dumps are cut through");
}
