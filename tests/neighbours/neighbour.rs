//! What is tried beside every one of them.

use std::fs;
use std::time::Duration;

use crate::lab::{Cli, Guest, Lab, Listener, Network, Place, Snapshot, within};
use crate::traces::without_counts;

/// Another program with a firewall, on the host of a lab.
pub trait Neighbour {
    /// Has it do its work.
    fn start(lab: &Lab) -> Self;
    /// Has it write its rules anew.
    fn reload(&mut self, lab: &Lab);
    /// Has it go, and its rules.
    fn remove(self, lab: &Lab);
    /// Waits until it knows what the hooks and `kvmnet` have told it, with guests on or without.
    fn has_heard(&self, _lab: &Lab, _of_guests: bool, _what: &str) {}
    /// Fails the test unless what is its own does what it should.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str);
    /// Fails the test unless what it keeps closed is closed, where nobody else opens it.
    fn assert_keeps_closed(&self, _lab: &Lab, _what: &str) {}
    /// Why guests of a mode do not get through it, where kvmnet cannot let them through.
    fn closes(_mode: &str) -> Option<&'static str> {
        None
    }
}

/// Who was there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NeighbourFirst,
    GuestsFirst,
}

/// All rules but kvmnet's, with their numbers: whoever writes one anew gives it another. What was counted is left out.
pub fn rules_of_others(lab: &Lab) -> Vec<String> {
    let mut is_own = false;
    let mut rules = Vec::new();
    for line in lab.host.run("nft -a list ruleset").lines() {
        if line.starts_with("table ") {
            // firewalld's follows its zones, and is compared as a whole, where nobody is in them.
            is_own = line.contains(" kvmnet-") || line.contains(" firewalld ");
        }
        if !is_own && !line.contains("kvmnet:") {
            rules.push(without_counts(line));
        }
    }
    let legacy = ["iptables-legacy-save", "ip6tables-legacy-save"].map(|save| lab.host.run(save)).concat();
    let lines = legacy.lines().filter(|line| !line.starts_with('#'));
    rules.extend(lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()));
    rules
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
            let guests = come(&lab, N::closes(network.mode).is_some(), &what);
            neighbour.has_heard(&lab, true, &what);
            has_what_its_mode_says(&lab, &guests[0], N::closes(network.mode).is_some(), &what);
            neighbour.assert_goes_on(&lab, &guests[0], &what);
            neighbour.assert_keeps_closed(&lab, &what);
            assert_same(&rules, &rules_of_others(&lab), &format!("{what}: its rules are untouched"));
            guests.into_iter().for_each(|guest| lab.detach(guest));
            neighbour.has_heard(&lab, false, &what);
            lab.assert_as_before(&what, &before);
        }
        Order::GuestsFirst => {
            let guests = come(&lab, false, &what);
            let mut neighbour = N::start(&lab);
            goes_on(&lab, &guests[0], &neighbour, &what);
            neighbour.reload(&lab);
            let mut rules = rules_of_others(&lab);
            goes_on(&lab, &guests[0], &neighbour, &format!("{what}, reloaded"));
            if N::closes(network.mode).is_some() {
                // Its owner has typed something.
                rules = rules_of_others(&lab);
            }
            guests.into_iter().for_each(|guest| lab.detach(guest));
            neighbour.has_heard(&lab, false, &what);
            assert_same(&rules, &rules_of_others(&lab), &format!("{what}: its rules are as it left them"));
            assert_no_trace(&lab, &what);
            goes_with_guests_on(&lab, neighbour, &what);
        }
    }
}

/// It goes while a guest is on, and nobody tells kvmnet; then the guest goes.
pub fn goes_before_the_guest<N: Neighbour>() {
    for network in [Network::NAT, Network::ROUTED_VETH] {
        let what = format!("{network:?}, gone before the guest");
        let lab = Lab::new(network);
        let neighbour = N::start(&lab);
        let one = lab.boot(1);
        assert_eq!(lab.ifup(&one).status, 0, "{what}");
        neighbour.remove(&lab);
        lab.detach(one);
        assert_no_trace(&lab, &what);
        assert!(!lab.host.run("ip link").contains("br0"), "{what}: its bridge is gone");
    }
}

/// Two guests. Where they are kept from the outside, the first one's hook says what does so, and what opens it.
#[track_caller]
fn come(lab: &Lab, closed: bool, what: &str) -> [Guest; 2] {
    let one = lab.boot(1);
    let ran = lab.ifup(&one);
    let says_so = names_what_drops(&ran.stderr);
    assert!(ran.status == 0 && says_so == closed, "{what}: {}", ran.stderr);
    let guests = [one, lab.attach(2)];
    lab.settle();
    guests
}

fn names_what_drops(text: &str) -> bool {
    let words = [
        "chain ",
        " drops what the guests of network default send out, and what comes back",
        "what opens it: ",
    ];
    words.iter().all(|word| text.contains(word))
}

/// Whether `kvmnet status` says so.
fn status_names_what_drops(lab: &Lab) -> bool {
    let said = Cli::new(&lab.host, &["status", "--json"]).run().ok();
    names_what_drops(&said)
}

/// The program is there when the guests come, and gone when they leave.
fn goes_with_guests_on(lab: &Lab, neighbour: impl Neighbour, what: &str) {
    let what = &format!("{what}, removed");
    let guests = come(lab, false, what);
    neighbour.remove(lab);
    applied(lab);
    has_what_its_mode_says(lab, &guests[0], false, what);
    guests.into_iter().for_each(|guest| lab.detach(guest));
    assert_no_trace(lab, what);
}

#[track_caller]
fn assert_no_trace(lab: &Lab, what: &str) {
    let all = lab.host.run("nft list ruleset");
    // firewalld's chains of a zone, which may stay, have its name in theirs.
    let is_left = ["kvmnet:", " kvmnet-br"].iter().any(|own| all.contains(own));
    assert!(!is_left, "{what}: nothing of kvmnet's is left\n{all}");
}

/// What comes after the program has started or written its rules anew.
#[track_caller]
fn goes_on<N: Neighbour>(lab: &Lab, one: &Guest, neighbour: &N, what: &str) {
    let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run();
    // Where it has kvmnet's tables back, it says what else drops.
    let is_fine = said.err.is_empty() || N::closes(lab.network.mode).is_some() && names_what_drops(&said.err);
    assert!(said.status == 0 && is_fine, "{what}: {said:?}");
    neighbour.has_heard(lab, true, what);
    if N::closes(lab.network.mode).is_some() {
        has_what_its_mode_says(lab, one, true, what);
        assert!(status_names_what_drops(lab), "{what}: status says what drops");
        open_as_told(lab, what);
    }
    assert!(!status_names_what_drops(lab), "{what}: nothing drops");
    has_what_its_mode_says(lab, one, false, what);
    neighbour.assert_goes_on(lab, one, what);
    neighbour.assert_keeps_closed(lab, what);
}

/// What the drop-ins of the services run.
#[track_caller]
pub fn applied(lab: &Lab) {
    Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().ok();
}

/// Types what `kvmnet check` says of the chains that drop guests' packets.
#[track_caller]
fn open_as_told(lab: &Lab, what: &str) {
    let said = Cli::new(&lab.host, &["check", "--json"]).run();
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("check prints JSON");
    let findings = report["findings"].as_array().into_iter().flatten();
    let is_problem = |one: &&serde_json::Value| {
        one["severity"] == "problem" && one["kind"].as_str().is_some_and(|kind| kind.starts_with("firewall"))
    };
    let commands: Vec<&str> = findings
        .filter(is_problem)
        .flat_map(|one| one["fix"].as_array().into_iter().flatten())
        .filter_map(|command| command.as_str())
        .collect();
    assert!(!commands.is_empty(), "{what}: check names what drops\n{report:#}");
    type_in(lab, &commands.join("\n"));
}

/// Has a shell run these lines.
pub fn type_in(lab: &Lab, lines: &str) {
    lab.host.enter(|| fs::write("/run/lab/typed", lines)).expect("a private /run can be written");
    lab.host.run("sh -e /run/lab/typed");
}

/// With `closed`, another program's chain keeps guests from the outside.
#[track_caller]
pub fn has_what_its_mode_says(lab: &Lab, one: &Guest, closed: bool, what: &str) {
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
        "routed" | "nat" | "bridged" if !closed => {
            assert!(reaches(one, outside), "{what}: the guests get out")
        }
        _ => assert!(!one.pings(outside[0]) && !one.pings(outside[1]), "{what}: nothing gets out"),
    }
    let is_reached = matches!(mode, "routed" | "bridged") && !closed;
    let Place { v4, v6, .. } = lab.network.guest(1);
    let mut service = Listener::on(one);
    for (address, text) in [(v4, "by IPv4"), (v6, "by IPv6")] {
        lab.outside.send(&address, text);
        let is_heard =
            |service: &mut Listener| within(Duration::from_millis(300), || service.has_heard(text));
        // Docker writes its rules anew a little after firewalld: one datagram may be lost.
        for _ in 0..if is_reached { 10 } else { 1 } {
            if is_heard(&mut service) {
                break;
            }
            lab.outside.send(&address, text);
        }
        assert_eq!(service.has_heard(text), is_reached, "{what}: reached from outside {text}");
    }
}

fn reaches(guest: &Guest, [v4, v6]: [&str; 2]) -> bool {
    within(Duration::from_secs(5), || guest.pings(v4) && guest.pings(v6))
}
