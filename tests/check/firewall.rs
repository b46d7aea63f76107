//! Chains of others that eat guests' packets: each time the guests are asked, too.

use crate::lab::{Cli, Guest, Lab, Network, eventually};
use crate::report::{all_right, check, put_right};

const OUTSIDE: [&str; 2] = ["192.168.1.25", "fd00:1::25"];

/// Somebody's firewall, whose policy for what passes through (or comes in) is drop.
pub fn closed_by(lab: &Lab, family: &str, table: &str, chain: &str) {
    let hook = if chain.eq_ignore_ascii_case("input") { "input" } else { "forward" };
    lab.host.run(&format!("nft add table {family} {table}"));
    lab.host.run(&format!(
        "nft add chain {family} {table} {chain} {{ type filter hook {hook} priority 0 ; policy drop ; }}"
    ));
}

/// A lab with a guest that reaches the outside, and the way back to it.
fn with_guest(network: Network) -> (Lab, Guest) {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    let one = lab.attach(1);
    lab.settle();
    reaches_all(&one, "before any firewall");
    (lab, one)
}

/// The guest reaches the outside by IPv4 and by IPv6, or only as said.
#[track_caller]
fn reaches_only(guest: &Guest, families: [bool; 2], when: &str) {
    for (address, wanted) in OUTSIDE.into_iter().zip(families) {
        match wanted {
            true => eventually(when, || guest.pings(address)),
            false => assert!(!guest.pings(address), "{when}: {address} answers"),
        }
    }
}

#[track_caller]
fn reaches_all(guest: &Guest, when: &str) {
    reaches_only(guest, [true, true], when);
}

/// At once, or when a neighbour that could not be found before is asked for again.
#[track_caller]
fn pings(guest: &Guest, address: &str) {
    eventually("the guest is answered", || guest.pings(address));
}

/// Every family of chains, in every mode that forwards: what check says is what the guest meets with, and after what it
/// says to do, the guest reaches the outside.
#[test]
fn a_forward_chain_that_drops() {
    const FAMILIES: [(&str, [bool; 2]); 3] =
        [("inet", [false, false]), ("ip", [false, true]), ("ip6", [true, false])];
    for (network, families) in [
        (Network::NAT, &FAMILIES[..]),
        (Network::ROUTED, &FAMILIES[..1]),
        (Network::NAT_VETH, &FAMILIES[..1]),
    ] {
        let (lab, one) = with_guest(network);
        for (family, still) in families.iter().copied() {
            closed_by(&lab, family, "filter", "forward");
            let report = check(&lab);
            let found = report.alone("problem", "firewall", &["network default", network.gate]);
            assert_eq!(
                found["place"],
                serde_json::json!({ "family": family, "table": "filter", "chain": "forward" })
            );
            reaches_only(&one, still, &format!("{family} in mode {}", network.mode));
            put_right(&lab, found);
            reaches_all(&one, "it was put right");
            check(&lab).alone("note", "firewall", &["rules of its table accept"]);
            lab.host.run(&format!("nft delete table {family} filter"));
        }
        all_right(&lab, "the firewalls are gone");
    }
}

#[test]
fn one_direction_is_not_enough() {
    let (lab, one) = with_guest(Network::NAT);
    closed_by(&lab, "inet", "filter", "forward");
    lab.host.run("nft add rule inet filter forward iifname \"br*\" counter accept");
    let report = check(&lab);
    let found = report.alone("problem", "firewall", &["what comes back", "established"]);
    reaches_only(&one, [false, false], "answers are dropped");
    put_right(&lab, found);
    reaches_all(&one, "it was put right");
    assert_eq!(check(&lab).status, 0);
}

/// Docker's chains as iptables-nft shows them: what is to be added goes where Docker leaves it alone, before its RETURN.
#[test]
fn dockers_chains() {
    let (lab, one) = with_guest(Network::NAT);
    closed_by(&lab, "ip", "filter", "FORWARD");
    lab.host.run("nft add chain ip filter DOCKER-USER");
    lab.host.run("nft add rule ip filter DOCKER-USER counter return");
    lab.host.run("nft add rule ip filter FORWARD counter jump DOCKER-USER");
    lab.host.run("nft add rule ip filter FORWARD iifname docker0 accept");
    let report = check(&lab);
    let found = report.alone("problem", "firewall", &["FORWARD", "kvmnet apply"]);
    reaches_only(&one, [false, true], "Docker drops IPv4");
    put_right(&lab, found);
    reaches_all(&one, "it was put right");
    assert_eq!(check(&lab).status, 0);
}

/// With `firewall = "warn"` kvmnet has no rules there, and takes out those that it had.
#[test]
fn dockers_chains_are_left_alone() {
    let lab = Lab::new(Network::NAT);
    lab.outside_knows_the_way();
    closed_by(&lab, "ip", "filter", "FORWARD");
    lab.host.run("nft add chain ip filter DOCKER-USER");
    lab.host.run("nft add rule ip filter DOCKER-USER counter return");
    lab.host.run("nft add rule ip filter FORWARD counter jump DOCKER-USER");
    let before = lab.host.run("nft -s list table ip filter");
    let one = lab.attach(1);
    lab.settle();
    reaches_all(&one, "kvmnet has its rules there");
    lab.write_config(&(Network::NAT.config() + "firewall = \"warn\"\n"));
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert_eq!(lab.host.run("nft -s list table ip filter"), before);
    let report = check(&lab);
    let found = report.alone("problem", "firewall", &["FORWARD", "iptables -I DOCKER-USER -i br0 -j ACCEPT"]);
    reaches_only(&one, [false, true], "Docker drops IPv4");
    put_right(&lab, found);
    reaches_all(&one, "it was put right");
    lab.host.run("nft flush chain ip filter DOCKER-USER");
    lab.write_config(&(Network::NAT.config() + "firewall = \"ignore\"\n"));
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    all_right(&lab, "nobody wants to know");
}

#[test]
fn ufw_is_told_in_its_own_words() {
    let lab = Lab::new(Network { keys: "firewall = \"warn\"\n", ..Network::NAT });
    closed_by(&lab, "ip", "filter", "FORWARD");
    lab.host.run("nft add chain ip filter ufw-user-forward");
    check(&lab).alone("problem", "firewall", &["ufw route allow in on br0", "ufw route allow out on br0"]);
}

/// What kvmnet will open by itself is worth a note; and what came after the guests is opened with the next one.
#[test]
fn what_kvmnet_opens_by_itself() {
    let lab = Lab::new(Network::NAT);
    closed_by(&lab, "ip", "filter", "FORWARD");
    check(&lab).alone("note", "firewall", &["FORWARD", "kvmnet has rules there", "network default"]);
    let one = lab.attach(1);
    lab.settle();
    reaches_all(&one, "the chain is open");
    check(&lab).alone("note", "firewall", &["rules of its table accept"]);
    lab.host.run("nft flush chain ip filter FORWARD");
    check(&lab).alone("problem", "firewall", &["FORWARD"]);
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    reaches_all(&one, "it was put right");
    assert_eq!(check(&lab).status, 0);
}

/// Nothing is forwarded for these, so nothing of theirs is dropped.
#[test]
fn modes_that_do_not_forward() {
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::BRIDGED] {
        let lab = Lab::new(network);
        closed_by(&lab, "inet", "filter", "forward");
        let (one, _two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        all_right(&lab, network.mode);
        pings(&one, &lab.network.guest(2).v4);
    }
}

/// A drop in the host's own input chain is often meant so: worth knowing, as DHCP or DNS of the host may be missed.
#[test]
fn an_input_chain_that_drops() {
    for network in [Network::HOST_ONLY_VETH, Network::NAT, Network::ISOLATED] {
        let lab = Lab::new(network);
        let one = lab.attach(1);
        lab.settle();
        closed_by(&lab, "inet", "filter", "input");
        if network.mode == "isolated" {
            all_right(&lab, "nothing of an isolated network reaches the host anyway");
            continue;
        }
        let report = check(&lab);
        let found = report.alone("note", "firewall-input", &["filter", "network default"]);
        assert!(!one.pings("10.0.100.3"));
        put_right(&lab, found);
        pings(&one, "10.0.100.3");
        all_right(&lab, "guests are let in");
    }
}

#[test]
fn a_bridge_chain_that_drops() {
    let lab = Lab::new(Network::ISOLATED);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    closed_by(&lab, "bridge", "filter", "forward");
    check(&lab).alone("problem", "firewall", &["frames between the guests", "bridge"]);
    assert!(!one.pings("10.0.100.2"));
    lab.host.run("nft insert rule bridge filter forward iifname vif* accept");
    pings(&one, "10.0.100.2");
    check(&lab).alone("note", "firewall", &["frames between the guests"]);
}

/// With br_netfilter frames between two guests of an isolated network meet the host's forward chain.
#[test]
fn bridged_frames_that_pass_the_firewall() {
    let lab = Lab::new(Network::ISOLATED);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    lab.bridged_frames_pass_firewall(true);
    check(&lab).alone("note", "br-netfilter", &["IPv4 and IPv6"]);
    pings(&one, "10.0.100.2");
    closed_by(&lab, "ip", "filter", "FORWARD");
    let report = check(&lab);
    let found = report.alone("problem", "br-netfilter", &["ip filter FORWARD", "br0", "IPv4"]);
    assert!(!one.pings("10.0.100.2"));
    pings(&one, "fd00:100::2");
    put_right(&lab, found);
    pings(&one, "10.0.100.2");
    check(&lab).alone("note", "br-netfilter", &["IPv4 and IPv6"]);
    lab.bridged_frames_pass_firewall(false);
    all_right(&lab, "the bridge is out of the firewall's way");
    lab.host.run("nft flush chain ip filter FORWARD");
    lab.bridged_frames_pass_firewall(true);
    lab.host.run("nft insert rule ip filter FORWARD iifname br0 oifname br0 accept");
    pings(&one, "10.0.100.2");
    check(&lab).alone("note", "br-netfilter", &[]);
}

/// The tables of iptables-legacy cannot be read over netlink, and are read otherwise: what drops there is named where something
/// is forwarded.
#[test]
fn the_legacy_tables() {
    for (network, is_told) in [(Network::NAT, true), (Network::HOST_ONLY, false)] {
        let (lab, one) = (Lab::new(network), "iptables-legacy -I FORWARD -i br0 -j ACCEPT");
        lab.outside_knows_the_way();
        lab.host.run("iptables-legacy -L");
        all_right(&lab, "it lets everything through");
        for closed in ["-P FORWARD DROP", "-A FORWARD -j REJECT"] {
            lab.host.run(&format!("iptables-legacy {closed}"));
            if is_told {
                let report = check(&lab);
                put_right(&lab, report.alone("problem", "firewall-legacy", &["FORWARD", one]));
                assert_eq!(check(&lab).status, 0, "what was said opens it");
            } else {
                all_right(&lab, "nothing is forwarded");
            }
            lab.host.run("iptables-legacy -P FORWARD ACCEPT");
            lab.host.run("iptables-legacy -F");
        }
    }
}

/// Adds a chain of somebody's, hooked or for others to jump to, with these rules.
fn chain(lab: &Lab, table: &str, name: &str, hook: &str, rules: &[&str]) {
    lab.host.run(&format!("nft add table {table}"));
    let hook = if hook.is_empty() { String::new() } else { format!("{{ type filter hook {hook} ; }}") };
    lab.host.run(&format!("nft add chain {table} {name} {hook}"));
    for rule in rules {
        lab.host.run(&format!("nft add rule {table} {name} {rule}"));
    }
}

/// The policy is to accept, and the last rule lets nothing through: in the chain itself, or where it jumps to.
#[test]
fn a_last_rule_that_drops() {
    for (last, in_jump) in [("drop", false), ("counter reject", true), ("goto rest", false)] {
        let (lab, one) = with_guest(Network::NAT);
        lab.host.run("nft add table inet mine");
        chain(&lab, "inet mine", "rest", "", &["iifname \"docker0\" return", "counter drop"]);
        chain(&lab, "inet mine", "end", "", &["iifname \"docker0\" accept", last]);
        let last = if in_jump { "jump end" } else { last };
        let rules = [
            "ct state established,related accept",
            "iifname \"docker0\" accept",
            "tcp dport 22 accept",
            last,
        ];
        chain(&lab, "inet mine", "passing", "forward priority 0", &rules);
        let report = check(&lab);
        let found = report.alone("problem", "firewall", &["network default", "send out", "passing"]);
        reaches_only(&one, [false, false], last);
        put_right(&lab, found);
        reaches_all(&one, "it was put right");
        all_right(&lab, "it was put right");
    }
}

/// Rules that do not mean these guests, and rules that let them through before.
#[test]
fn a_last_rule_that_drops_others() {
    let (lab, one) = with_guest(Network::NAT);
    let rules = [
        "ct state { established, related } accept",
        "ct state vmap { invalid : drop }",
        "iifname \"br0\" oifname \"eth3\" accept",
        "reject",
    ];
    chain(&lab, "inet mine", "passing", "forward priority 0", &rules);
    chain(
        &lab,
        "ip other",
        "passing",
        "forward priority 10",
        &["iifname \"docker0\" drop", "oifname != \"eth3\" iifname != \"eth3\" drop"],
    );
    reaches_all(&one, "the guest is let through");
    all_right(&lab, "the guest is let through");
}

/// The answers are what is eaten.
#[test]
fn a_last_rule_that_drops_answers() {
    let (lab, one) = with_guest(Network::NAT);
    chain(&lab, "inet mine", "passing", "forward priority 0", &["iifname \"br0\" accept", "drop"]);
    let report = check(&lab);
    let found = report.alone("problem", "firewall", &["what comes back", "established"]);
    reaches_only(&one, [false, false], "answers are dropped");
    put_right(&lab, found);
    reaches_all(&one, "it was put right");
}

/// What guests ask the host itself for.
#[test]
fn a_last_rule_that_drops_input() {
    let lab = Lab::new(Network::HOST_ONLY);
    let one = lab.attach(1);
    lab.settle();
    let rules =
        ["ct state established,related accept", "iifname \"lo\" accept", "tcp dport 22 accept", "reject"];
    chain(&lab, "inet mine", "coming", "input priority 0", &rules);
    let report = check(&lab);
    let found = report.alone("note", "firewall-input", &["network default", "coming"]);
    assert!(!one.pings("10.0.100.3"));
    put_right(&lab, found);
    pings(&one, "10.0.100.3");
    all_right(&lab, "it was put right");
}

/// The chains of firewalld, as it makes them for the zone `public`: kvmnet has it open them; the rest is for its owner
/// to say.
#[test]
fn firewallds_chains() {
    let (lab, one) = with_guest(Network::NAT);
    let table = "inet firewalld";
    lab.host.run("nft add table inet firewalld");
    for way in ["IN", "FWD"] {
        let allow: &[&str] = if way == "IN" {
            &["tcp dport 22 ct state { new, untracked } accept"]
        } else {
            &["oifname \"eth9\" accept"]
        };
        chain(&lab, table, &format!("filter_{way}_public_deny"), "", &[]);
        chain(&lab, table, &format!("filter_{way}_public_allow"), "", allow);
        let jumps = ["deny", "allow"].map(|part| format!("jump filter_{way}_public_{part}"));
        let rules = [
            &jumps[0],
            &jumps[1],
            "meta l4proto { 1, 58 } accept",
            "reject with icmpx type admin-prohibited",
        ];
        let rules = if way == "IN" { &rules[..] } else { &[rules[0], rules[1], rules[3]][..] };
        chain(&lab, table, &format!("filter_{way}_public"), "", rules);
    }
    for (name, hook, way) in [("filter_INPUT", "input", "IN"), ("filter_FORWARD", "forward", "FWD")] {
        let zones = format!("{name}_ZONES");
        let to_zone = format!("goto filter_{way}_public");
        chain(&lab, table, &zones, "", &[&format!("iifname \"eth3\" {to_zone}"), &to_zone]);
        let rules = [
            "ct state { established, related } accept",
            "ct status dnat accept",
            "iifname \"lo\" accept",
            "ct state invalid drop",
            &format!("jump {zones}"),
            "reject with icmpx type admin-prohibited",
        ];
        chain(&lab, table, name, &format!("{hook} priority 10"), &rules);
    }
    reaches_only(&one, [false, false], "firewalld rejects what the guest sends out");
    let report = check(&lab);
    report.only("problem", "firewall", &["filter_FORWARD", "send out", "kvmnet apply"]);
    report.only("note", "firewall-input", &["filter_INPUT", "--zone=kvmnet"]);
}
