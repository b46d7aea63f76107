//! What cuts guests off, or does not do what its owner thinks, and was written all the same.

use serde_json::Value;

use crate::lab::{Cli, Lab, Network, eventually, hooks_dir};
use crate::report::{all_right, check, line, put_right};

/// Answers to such a source come to nobody.
#[test]
fn a_nat_source_that_no_interface_has() {
    let lab = Lab::new(Network { keys: "nat_source = \"9.9.9.9\"\n", ..Network::NAT });
    let report = check(&lab);
    let found = report.alone("problem", "nat-source", &["9.9.9.9", "network default"]);
    assert_eq!(line(found), (Some(5), Some(14)));
    lab.host.ip("addr add 9.9.9.9/32 dev lo");
    all_right(&lab, "the host has the address");
}

#[test]
fn an_uplink_that_leads_nowhere() {
    for network in [Network::NAT, Network::ROUTED] {
        let lab = Lab::new(Network { uplink: "uplink  = \"lo\"\n", ..network });
        check(&lab).alone("problem", "uplink", &["lo", "network default"]);
    }
}

/// A tap gets the first network whose patterns fit, so one that stands behind a wider one gets none.
#[test]
fn taps_that_another_network_has_before() {
    let lab = Lab::new(Network::NAT);
    let network = |name: &str, number: u8, taps: &str| {
        format!(
            "[network.{name}]\ntaps = {taps}\nmode = \"host-only\"\nbridge = \"br-{name}\"\naddress = \"10.0.20{number}.3/24\"\n"
        )
    };
    let with = |first: &str, second: &str| {
        lab.write_config(&(network("one", 1, first) + &network("two", 2, second)));
        check(&lab)
    };
    for (first, second) in [
        ("\"vif*\"", "\"vif*\""),
        ("\"vif*\"", "[\"vif7.*\", \"vif[89].?\"]"),
        ("[\"a*\", \"b?\"]", "[\"ab*\", \"b[0-9]\"]"),
        ("\"*\"", "\"vif0.0\""),
    ] {
        let report = with(first, second);
        let found = report.alone("problem", "taps", &["network two", "network one"]);
        assert_eq!(line(found).0, Some(7), "{found:#}");
    }
    for second in ["[\"vif*\", \"lab*\"]", "[\"lab*\", \"vif7.0\"]"] {
        with("\"vif*\"", second).alone("note", "taps", &["network two", "network one"]);
    }
    for (first, second) in [("\"vif7.*\"", "\"vif*\""), ("\"vif?\"", "\"vif1?\""), ("\"[ab]*\"", "\"[bc]*\"")]
    {
        assert_eq!(with(first, second).findings().len(), 0, "{first} {second}");
    }
}

#[test]
fn ipv6_that_is_off() {
    let lab = Lab::new(Network::NAT);
    lab.host.sysctl("ipv6/conf/default/disable_ipv6", "1");
    let report = check(&lab);
    let found = report.alone("problem", "ipv6", &["fd00:100::3/64", "network default"]);
    put_right(&lab, found);
    all_right(&lab, "it is on");
    lab.host.sysctl("ipv6/conf/default/disable_ipv6", "1");
    lab.write_config(&Network::ISOLATED.config());
    all_right(&lab, "the host has no address there");
}

/// Whoever puts a NIC into kvmnet's bridge puts its guests on that LAN.
#[test]
fn a_nic_that_somebody_put_into_the_bridge() {
    let lab = Lab::new(Network::ISOLATED);
    let _one = lab.attach(1);
    lab.host.ip("link set eth4 master br0");
    let report = check(&lab);
    let found = report.alone("problem", "network", &["eth4", "br0", "LAN"]);
    put_right(&lab, found);
    all_right(&lab, "it is out again");
}

/// One thing to do for a guest whose tap was taken off: not to sweep its network, nor to detach it.
#[test]
fn a_living_guest_on_no_bridge() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    lab.settle();
    lab.host.ip("link set vif0.0 nomaster");
    let report = check(&lab);
    let found = report.alone("problem", "leftover", &["vif0.0", "kvmnet attach vif0.0"]);
    drop(found.clone());
    lab.ifup(&one).ok();
    lab.settle();
    all_right(&lab, "it is on again");
    // One that waits for its next process.
    Cli::new(&lab.host, &["attach", "--create", "fc0"]).run().ok();
    lab.detach(one);
    lab.host.ip("link set fc0 nomaster");
    check(&lab).alone("problem", "leftover", &["fc0", "kvmnet attach fc0"]);
}

/// With the table gone, what else is missing is not hidden.
#[test]
fn more_than_the_table_is_missing() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.settle();
    lab.host.run("nft flush ruleset");
    lab.host.ip("addr del 10.0.100.3/24 dev br0");
    check(&lab).alone("problem", "network", &["kvmnet-br0", "10.0.100.3/24", "kvmnet apply"]);
}

/// What is built in stands in no file.
#[test]
fn no_file_is_not_a_place() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("rm /etc/kvmnet.conf");
    let _one = lab.attach(1);
    lab.settle();
    lab.host.ip("route add 10.0.100.128/25 via 10.77.0.2 dev eth4");
    let report = check(&lab);
    assert_eq!(report.only("problem", "collision", &["10.0.100.128/25 over eth4"])["place"], Value::Null);
    let said = Cli::new(&lab.host, &["check"]).run().out;
    assert!(said.starts_with("problem: network default"), "{said}");
}

/// A file that cannot be read through is an error at once.
#[test]
fn a_configuration_that_is_not_a_file() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("rm /etc/kvmnet.conf");
    lab.host.run("mkfifo /etc/kvmnet.conf");
    check(&lab).alone("problem", "configuration", &["not a regular file"]);
    lab.host.run("rm /etc/kvmnet.conf");
    lab.host.run("ln -s /mnt/nowhere/kvmnet.conf /etc/kvmnet.conf");
    check(&lab).alone("problem", "configuration", &["/mnt/nowhere/kvmnet.conf", "which does not exist"]);
    let one = lab.boot(1);
    assert!(lab.ifup(&one).complains(2).contains("/mnt/nowhere/kvmnet.conf"));
}

/// Whoever asks and gets no answer is not told that all is well.
#[test]
fn an_answer_that_cannot_be_written() {
    let lab = Lab::new(Network::NAT);
    let program = hooks_dir().join("kvmnet");
    let run = |words: &str| {
        let script = format!("set -o pipefail; {} {words}", program.display());
        let mut bash = std::process::Command::new("bash");
        let bash = bash.args(["-c", &script]).env_clear();
        lab.host.enter(|| bash.output().unwrap())
    };
    for words in
        ["check", "check --json", "status", "status --json", "plan vif0.0", "config show", "config init"]
    {
        let output = run(&format!("{words} >/dev/full"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("No space left"), "{words}: {output:?}");
        let output = run(&format!("{words} | true"));
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    }
    eventually("nothing was changed", || !lab.host.run("nft list ruleset").contains("kvmnet"));
}
