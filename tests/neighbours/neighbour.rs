//! What is tried beside every one of them.

use std::time::Duration;

use crate::lab::{Cli, Guest, Lab, Listener, Network, Place, Snapshot, within};

/// Another program with a firewall, on the host of a lab.
pub trait Neighbour {
    /// Has it do its work.
    fn start(lab: &Lab) -> Self;
    /// Has it write its rules anew.
    fn reload(&mut self, lab: &Lab);
    /// Fails the test unless what is its own does what it should.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str);
}

/// Who was there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NeighbourFirst,
    GuestsFirst,
}

/// All rules of iptables, but for those of kvmnet's and what was counted.
pub fn rules_of_others(lab: &Lab) -> Vec<String> {
    let all = ["iptables-save", "ip6tables-save"].map(|save| lab.host.run(save)).concat();
    let counts = |line: &&str| !line.starts_with('#') && !line.contains("kvmnet:");
    let without_counts = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
    all.lines().filter(counts).map(without_counts).collect()
}

#[track_caller]
fn assert_same(before: &[String], after: &[String], what: &str) {
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(before == after, "{what}\nit had: {}\nit has: {}", only(before, after), only(after, before));
}

/// All that is to be seen of one mode: guests that come, that are there while the other program starts or writes its rules anew,
/// and that go.
pub fn lives_beside<N: Neighbour>(network: Network, order: Order) {
    let what = format!("{network:?}, {order:?}");
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    match order {
        Order::NeighbourFirst => {
            let neighbour = N::start(&lab);
            let (before, rules) = (Snapshot::of(&lab.host), rules_of_others(&lab));
            let guests = [lab.attach(1), lab.attach(2)];
            lab.settle();
            has_what_its_mode_says(&lab, &guests[0], &what);
            neighbour.assert_goes_on(&lab, &guests[0], &what);
            assert_same(&rules, &rules_of_others(&lab), &format!("{what}: its rules are untouched"));
            guests.into_iter().for_each(|guest| lab.detach(guest));
            lab.assert_as_before(&what, &before);
        }
        Order::GuestsFirst => {
            let guests = [lab.attach(1), lab.attach(2)];
            lab.settle();
            let mut neighbour = N::start(&lab);
            goes_on(&lab, &guests[0], &neighbour, &what);
            neighbour.reload(&lab);
            let rules = rules_of_others(&lab);
            goes_on(&lab, &guests[0], &neighbour, &format!("{what}, reloaded"));
            guests.into_iter().for_each(|guest| lab.detach(guest));
            assert_same(&rules, &rules_of_others(&lab), &format!("{what}: its rules are as it left them"));
            let all = lab.host.run("nft list ruleset");
            assert!(!all.contains("kvmnet"), "{what}: nothing of kvmnet's is left\n{all}");
        }
    }
}

/// What comes after the program has started or written its rules anew.
#[track_caller]
fn goes_on(lab: &Lab, one: &Guest, neighbour: &impl Neighbour, what: &str) {
    applied(lab);
    has_what_its_mode_says(lab, one, what);
    neighbour.assert_goes_on(lab, one, what);
}

/// What the drop-ins of the services run.
#[track_caller]
pub fn applied(lab: &Lab) {
    Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().ok();
}

#[track_caller]
fn has_what_its_mode_says(lab: &Lab, one: &Guest, what: &str) {
    let Place { v4, v6, .. } = lab.network.guest(2);
    let mode = lab.network.mode;
    assert!(reaches(one, [&v4, &v6]), "{what}: the guests talk");
    let host = ["10.0.100.3", "fd00:100::3"];
    match mode {
        "isolated" => assert!(!one.pings(host[0]) && !one.pings(host[1]), "{what}: the host is closed"),
        "bridged" => assert!(reaches(one, ["192.168.1.230", "fd00:1::230"]), "{what}: the host answers"),
        _ => assert!(reaches(one, host), "{what}: the host answers"),
    }
    let outside = ["192.168.1.25", "fd00:1::25"];
    match mode {
        "routed" | "nat" | "bridged" => assert!(reaches(one, outside), "{what}: the guests get out"),
        _ => assert!(!one.pings(outside[0]) && !one.pings(outside[1]), "{what}: nothing gets out"),
    }
    let is_reached = matches!(mode, "routed" | "bridged");
    let Place { v4, v6, .. } = lab.network.guest(1);
    let mut service = Listener::on(one);
    for (address, text) in [(v4, "by IPv4"), (v6, "by IPv6")] {
        lab.outside.send(&address, text);
        within(Duration::from_millis(if is_reached { 3000 } else { 300 }), || service.has_heard(text));
        assert_eq!(service.has_heard(text), is_reached, "{what}: reached from outside {text}");
    }
}

fn reaches(guest: &Guest, [v4, v6]: [&str; 2]) -> bool {
    within(Duration::from_secs(5), || guest.pings(v4) && guest.pings(v6))
}
