//! What is deleted is the network's own, whatever has its name by now; and the record has room, and heals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "instance/neighbours.rs"]
mod neighbours;

use std::fmt::Write;
use std::fs;
use std::process::Command;

use lab::bench::settled;
use lab::{Cli, Lab, Network, Snapshot, Tap, eventually};

/// Any text, with spaces or none at all.
fn set_alias(lab: &Lab, link: &str, alias: &str) {
    let mut ip = Command::new("ip");
    let ip = ip.args(["link", "set", "dev", link, "alias", alias]);
    assert!(lab.host.enter(|| ip.status().unwrap()).success());
}

/// All ways in which an unused network is swept.
fn sweep(lab: &Lab, way: &str) {
    match way {
        "gc" => drop(Cli::new(&lab.host, &["gc"]).run().ok()),
        "a hook" => {
            let tap = Tap::open(&lab.host, "nobody");
            lab::Hook::new(&lab.host, "/etc/qemu-ifdown", &["nobody"]).tap(&tap).run().ok();
        }
        _ => drop(Cli::new(&lab.host, &["down", "default"]).run()),
    }
}

/// Somebody deleted the bridge, and made another one of its name: that one stays as it is.
#[test]
fn a_bridge_that_somebody_made_anew_is_not_deleted() {
    for network in [Network::NAT, Network::ISOLATED, Network::HOST_ONLY_VETH, Network::BRIDGED] {
        for way in ["gc", "a hook", "down"] {
            let lab = Lab::new(network);
            lab.attach(1).kill();
            lab.host.ip("link del br0");
            lab.host.ip("link add br0 type bridge");
            lab.host.ip("link set br0 up");
            lab.host.ip("addr add 10.77.5.1/24 dev br0");
            let foreign = lab.host.ip("-o -4 addr show dev br0");
            sweep(&lab, way);
            let what = format!("{}, {way}", network.mode);
            assert_eq!(lab.host.ip("-o -4 addr show dev br0"), foreign, "{what}");
            assert_eq!(lab.host.run("nft list tables"), "", "{what}: all else is undone");
            assert_eq!(lab.host.read_sysctl("ipv4/conf/eth3/forwarding").unwrap(), "0", "{what}");
        }
    }
}

/// The same where the bridge was somebody's from the start: what kvmnet gave went with it.
#[test]
fn a_found_bridge_that_somebody_made_anew_is_left_alone() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br0 type bridge");
    lab.attach(1).kill();
    lab.host.ip("link del br0");
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set br0 alias mine");
    lab.host.ip("addr add 10.0.100.3/24 dev br0");
    Cli::new(&lab.host, &["gc"]).run().ok();
    let bridge = lab.host.ip("-d addr show dev br0");
    assert!(bridge.contains("10.0.100.3/24") && bridge.contains("alias mine"), "{bridge}");
    assert_eq!(lab.host.run("nft list tables"), "");
}

/// A tap that has the name of the pair's end by now is somebody's.
#[test]
fn an_interface_with_the_name_of_the_pair_is_not_deleted() {
    let lab = Lab::new(Network::HOST_ONLY_VETH);
    lab.attach(1).kill();
    lab.host.ip("link del veth1.1");
    lab.host.ip("tuntap add dev veth1.1 mode tap");
    let two = lab.boot(2);
    let refused = lab.ifup(&two);
    assert_eq!(refused.status, 1);
    assert!(refused.stderr.contains("veth1.1 exists already and is not kvmnet's"), "{}", refused.stderr);
    Cli::new(&lab.host, &["gc"]).run().ok();
    let links = lab.host.ip("link show");
    assert!(links.contains("veth1.1") && !links.contains("br0"), "{links}");
}

/// The alias of the bridge was wiped out: the copy knows it, and writes it again or takes it away.
#[test]
fn a_wiped_record_heals() {
    for network in [Network::NAT, Network::ISOLATED, Network::HOST_ONLY_VETH, Network::BRIDGED] {
        let lab = Lab::new(network);
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        let on = settled(&lab);
        set_alias(&lab, "br0", "");
        lab.ifup(&one).ok();
        lab.assert_as_before(&format!("{}: written again", network.mode), &on);
        set_alias(&lab, "br0", "");
        lab.detach(one);
        lab.assert_as_before(&format!("{}: taken away", network.mode), &before);
    }
}

/// What the bridge bears.
fn alias(lab: &Lab) -> String {
    lab.host.enter(|| fs::read_to_string("/sys/class/net/br0/ifalias")).unwrap().trim_end().to_owned()
}

fn nft(lab: &Lab, commands: &str) {
    let mut nft = Command::new("nft");
    assert!(lab.host.enter(|| nft.arg(commands).status().unwrap()).success(), "{commands}");
}

fn copy(lab: &Lab) -> String {
    lab.host.run("nft list set inet kvmnet-br0 record")
}

/// Earlier versions had the copy in the table's comment, and in a chain where that had no room.
#[test]
fn a_record_of_an_earlier_version_is_written_anew_and_undone() {
    for network in [Network::NAT, Network::ROUTED, Network::ISOLATED, Network::BRIDGED] {
        for is_long in [false, true] {
            let lab = Lab::new(network);
            let before = settled(&lab);
            let one = lab.attach(1);
            lab.settle();
            let on = settled(&lab);
            let record = alias(&lab);
            let as_before = || {
                let (head, _) = record.split_once(" made").unwrap();
                let (comment, chain) = match is_long {
                    true => {
                        let (first, second) = record.split_at(record.len() / 2);
                        let rules = format!("continue comment \"{first}\"; continue comment \"{second}\";");
                        (format!("{head} more"), format!("chain record {{ {rules} }};"))
                    }
                    false => (record.clone(), String::new()),
                };
                let table = format!("comment \"{comment} #0123456789abcdef\"; {chain}");
                // In this order the next run has them in that of before.
                let names = ["netdev", "inet"].map(|family| format!("table {family} kvmnet-br0"));
                let old = names.each_ref().map(|name| format!("{name} {{}}; delete {name}")).join("; ");
                nft(&lab, &format!("{old}; {} {{ {table} }}", names[1]));
                set_alias(&lab, "br0", "");
            };
            let what = format!("{}, {is_long}", network.mode);
            as_before();
            lab.ifup(&one).ok();
            lab.assert_as_before(&format!("{what}: written anew"), &on);
            as_before();
            lab.detach(one);
            lab.assert_as_before(&format!("{what}: taken away"), &before);
        }
    }
}

/// Another entry in the record leaves the rules of the network alone.
#[test]
fn an_entry_is_written_without_the_rules() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    let handle = || lab.host.run("nft -a list table inet kvmnet-br0").lines().next().unwrap().to_owned();
    let first = handle();
    assert!(!copy(&lab).contains("held") && first.contains("handle"), "{first}");
    let said = Cli::new(&lab.host, &["up", "default"]).run().ok();
    assert!(copy(&lab).contains("\"held\"") && alias(&lab).contains(" held"), "{said}");
    assert!(handle() == first && !alias(&lab).contains("pending"), "{said}");
    let again = Cli::new(&lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(again.contains("nothing to do"), "{again}");
}

/// A run was cut off when the bridge had the new record and its table that of before.
#[test]
fn a_copy_that_was_not_written_is_written_by_the_next_run() {
    for network in [Network::NAT, Network::ISOLATED] {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        lab.settle();
        let on = settled(&lab);
        nft(
            &lab,
            "flush set inet kvmnet-br0 record; add element inet kvmnet-br0 record { 1 comment \"old\" }",
        );
        set_alias(&lab, "br0", &alias(&lab).replace(" made", " made pending"));
        lab.ifup(&one).ok();
        lab.assert_as_before(network.mode, &on);
    }
}

/// Somebody emptied or deleted the copy: the bridge bears it still.
#[test]
fn a_copy_that_is_gone_is_missed_by_nobody() {
    for damage in ["flush set", "delete set"] {
        let lab = Lab::new(Network::NAT);
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        nft(&lab, &format!("{damage} inet kvmnet-br0 record"));
        lab.ifup(&one).ok();
        lab.detach(one);
        lab.assert_as_before(damage, &before);
    }
}

/// What a later version has recorded stays recorded until that version undoes it; all else is undone.
#[test]
fn an_entry_of_a_later_version_is_kept_and_named() {
    for network in [Network::NAT, Network::ISOLATED, Network::BRIDGED] {
        let lab = Lab::new(network);
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        let on = settled(&lab);
        set_alias(&lab, "br0", &format!("{} later=yes", alias(&lab)));
        lab.ifup(&one).ok();
        assert!(alias(&lab).ends_with(" later=yes"), "{}", alias(&lab));
        lab.detach(one);
        let left = copy(&lab);
        assert!(left.contains("\"later=yes\"") && !left.contains("made"), "{left}");
        let gc = Cli::new(&lab.host, &["gc"]).run();
        assert!(gc.status == 1 && gc.err.contains("br0") && gc.err.contains("later=yes"), "{}", gc.err);
        assert_eq!(copy(&lab), left, "it stays as it is");
        let check = Cli::new(&lab.host, &["check"]).run();
        assert!(check.out.contains("default has left later=yes"), "{}", check.out);
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert!(status.contains("a later version of kvmnet has recorded later=yes"), "{status}");
        let two = lab.attach(1);
        lab.settle();
        assert!(copy(&lab).contains("made") && copy(&lab).contains("later=yes"), "{}", copy(&lab));
        set_alias(&lab, "br0", &alias(&lab).replace(" later=yes", " pending"));
        lab.ifup(&two).ok();
        lab.assert_as_before(&format!("{}: undone by that version", network.mode), &on);
        lab.detach(two);
        lab.assert_as_before(&format!("{}: nothing is left", network.mode), &before);
    }
}

/// 64 uplinks and 64 addresses: more than fits into an alias.
fn crowded() -> (Lab, Snapshot) {
    let lab = Lab::new(Network::NAT);
    lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
    let (mut uplinks, mut addresses) = (String::new(), String::new());
    for number in 0..64 {
        lab.host.ip(&format!("link add enp{number}s0f1np1 type veth peer name far{number}"));
        write!(uplinks, "\"enp{number}s0f1np1\", ").unwrap();
        write!(addresses, "\"10.1.{number}.3/24\", \"fd00:a{number}::3/64\", ").unwrap();
    }
    lab.write_config(&format!("mode = \"nat\"\naddress = [{addresses}]\nuplink = [\"eth3\", {uplinks}]\n"));
    let before = settled(&lab);
    (lab, before)
}

#[test]
fn the_record_has_room_for_64_uplinks_and_addresses() {
    let (lab, before) = crowded();
    let one = lab.attach(1);
    lab.settle();
    for link in ["enp0s0f1np1", "enp63s0f1np1"] {
        assert_eq!(lab.host.read_sysctl(&format!("ipv4/conf/{link}/forwarding")).unwrap(), "1");
    }
    let on = settled(&lab);
    let again = Cli::new(&lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(again.contains("nothing to do"), "{again}");
    set_alias(&lab, "br0", "");
    lab.ifup(&one).ok();
    lab.assert_as_before("the alias was lost", &on);
    lab.host.run("nft flush ruleset");
    lab.ifup(&one).ok();
    lab.assert_as_before("the tables were lost", &on);
    lab.detach(one);
    lab.assert_as_before("the guest has left", &before);
}

/// What has no room on the bridge is lost with the tables: then no interface goes on forwarding.
#[test]
fn a_record_that_is_lost_in_part_leaves_nothing_open() {
    let (lab, before) = crowded();
    let one = lab.attach(1);
    lab.settle();
    lab.host.run("nft flush ruleset");
    lab.detach(one);
    eventually("all is closed", || Snapshot::of(&lab.host) == before);
}
