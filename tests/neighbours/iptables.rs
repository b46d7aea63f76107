//! Rules that somebody wrote with iptables: from a file, as netfilter-persistent loads it, and in the tables of iptables-legacy,
//! which netlink does not show.

use std::fs;
use std::time::Duration;

use crate::lab::{Cli, Guest, Lab, Listener, Network, within};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

/// Nothing passes through, and in comes what was asked for, pings and one service. Of this the file for IPv6 has its own words.
const RULES: [(&str, &str, &str, &str); 2] =
    [("iptables", "rules.v4", "icmp", "192.168.1.25"), ("ip6tables", "rules.v6", "ipv6-icmp", "fd00:1::25")];

fn rules(icmp: &str, friend: &str) -> String {
    format!(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A INPUT -i lo -j ACCEPT\n\
         -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A INPUT -p {icmp} -j ACCEPT\n\
         -A INPUT -s {friend} -p udp -m udp --dport 7000 -j ACCEPT\n\
         COMMIT\n"
    )
}

fn load(lab: &Lab, variant: &str) {
    lab.host.run("mkdir -p /etc/iptables");
    for (program, file, icmp, friend) in RULES {
        let file = format!("/etc/iptables/{file}");
        lab.host.enter(|| fs::write(&file, rules(icmp, friend))).expect("a private /etc can be written");
        lab.host.run(&format!("{program}{variant}-restore {file}"));
    }
}

/// What somebody types who wants to be rid of them.
fn flush(lab: &Lab, variant: &str) {
    for program in ["iptables", "ip6tables"] {
        for arguments in ["-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-F", "-X"] {
            lab.host.run(&format!("{program}{variant} {arguments}"));
        }
    }
}

/// The one service is open for whom it is, and for no guest.
fn service_is_open(lab: &Lab, guest: &Guest, what: &str) {
    let mut service = Listener::on(&lab.host);
    lab.outside.send("192.168.1.230", "from outside");
    assert!(within(Duration::from_secs(3), || service.has_heard("from outside")), "{what}: its service");
    guest.send("10.0.100.3", "from a guest");
    assert!(!within(Duration::from_millis(300), || service.has_heard("from a guest")), "{what}: a guest");
}

pub struct Restored;

impl Neighbour for Restored {
    fn start(lab: &Lab) -> Self {
        load(lab, "");
        Self
    }

    fn reload(&mut self, lab: &Lab) {
        load(lab, "");
    }

    fn remove(self, lab: &Lab) {
        flush(lab, "");
    }

    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        service_is_open(lab, guest, what);
    }
}

pub struct Legacy;

impl Neighbour for Legacy {
    fn start(lab: &Lab) -> Self {
        load(lab, "-legacy");
        Self
    }

    fn reload(&mut self, lab: &Lab) {
        load(lab, "-legacy");
    }

    fn remove(self, lab: &Lab) {
        flush(lab, "-legacy");
    }

    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        service_is_open(lab, guest, what);
    }

    fn closes(mode: &str) -> Option<&'static str> {
        matches!(mode, "routed" | "nat").then_some("named by `check`, with the commands")
    }
}

mod restored {
    use super::{Restored, cells};
    cells!(Restored, "iptables-restore");
}

mod legacy {
    use super::{Legacy, cells};
    cells!(Legacy, "iptables-legacy");
}

#[test]
fn what_was_restored_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Restored>();
}

#[test]
fn what_was_loaded_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Legacy>();
}

fn saved(lab: &Lab) -> [String; 2] {
    ["iptables-save", "ip6tables-save"].map(|save| lab.host.run(save))
}

fn load_saved(lab: &Lab, saved: &[String; 2]) {
    for (program, rules) in ["iptables", "ip6tables"].into_iter().zip(saved) {
        lab.host.enter(|| fs::write("/etc/iptables/saved", rules)).expect("a private /etc can be written");
        lab.host.run(&format!("{program}-restore /etc/iptables/saved"));
    }
}

#[track_caller]
fn assert_only_the_owners(lab: &Lab, what: &str) {
    let all = saved(lab).concat();
    let with_comment: Vec<&str> = all.lines().filter(|line| line.contains("kvmnet:")).collect();
    assert!(matches!(with_comment[..], [rule] if rule.contains("eth4")), "{what}: {with_comment:#?}");
}

/// What is saved has kvmnet's rules in it, in other words: they go with the last guest all the same, or with the next sweep.
#[test]
fn rules_that_were_saved_with_guests_on_do_not_stay() {
    for network in [Network::NAT, Network::NAT_VETH] {
        let lab = Lab::new(network);
        load(&lab, "");
        lab.host.run("iptables -A FORWARD -i eth4 -m comment --comment kvmnet:br0 -j ACCEPT");
        lab.write_config(&(network.config() + "dhcp = true\n"));
        let one = lab.attach(1);
        lab.settle();
        let with_guest = saved(&lab);
        load_saved(&lab, &with_guest);
        let loaded = lab.host.run("nft -a list table ip filter");
        lab.ifup(&one).ok();
        assert_eq!(lab.host.run("nft -a list table ip filter"), loaded, "they are known, and none is added");
        assert!(within(Duration::from_secs(3), || one.pings("192.168.1.25")));
        lab.detach(one);
        assert_only_the_owners(&lab, "the last guest is gone");
        load_saved(&lab, &with_guest);
        Cli::new(&lab.host, &["gc"]).run().ok();
        assert_only_the_owners(&lab, "they were loaded again, without a network");
    }
}

/// iptables of Debian 13 asks the header of IPv4 for the protocol: such a rule is known as well.
#[test]
fn rules_in_the_words_of_a_newer_iptables_are_known() {
    let lab = Lab::new(Network::NAT);
    load(&lab, "");
    let one = lab.attach(1);
    let rules = || lab.host.run("nft -a list chain ip filter INPUT");
    let written = rules();
    let own = written.lines().find(|line| line.contains("echo-request accept comment")).expect("a rule");
    let handle = own.rsplit(' ').next().unwrap();
    let words = "iifname br0 ip protocol icmp icmp type echo-request accept comment \"kvmnet:br0\"";
    lab.host.run(&format!("nft replace rule ip filter INPUT handle {handle} {words}"));
    let replaced = rules();
    let words = lab.host.run("nft --debug=netlink list chain ip filter INPUT");
    assert!(words.contains("network header + 9"), "{words}");
    lab.ifup(&one).ok();
    assert_eq!(rules(), replaced, "none is added");
    lab.detach(one);
    assert!(!rules().contains("kvmnet:"), "it goes with the last guest");
}

/// The owner says something while guests are on: it holds with the next hook.
#[test]
fn what_the_owner_adds_later_holds_as_well() {
    let lab = Lab::new(Network::NAT);
    load(&lab, "");
    let one = lab.attach(1);
    lab.settle();
    assert!(within(Duration::from_secs(3), || one.pings("192.168.1.25")));
    lab.host.run("iptables -A FORWARD -d 192.168.1.25 -j DROP");
    let two = lab.attach(2);
    assert!(!one.pings("192.168.1.25"), "the owner's rule comes first");
    assert!(within(Duration::from_secs(3), || one.pings("fd00:1::25")), "and nothing else is closed");
    lab.host.run("iptables -A FORWARD -j REJECT");
    lab.host.run("iptables -A FORWARD -d 192.168.1.230 -j DROP");
    let rules = lab.host.run("nft -a list table ip filter");
    lab.ifup(&two).ok();
    assert_eq!(
        lab.host.run("nft -a list table ip filter"),
        rules,
        "once is enough, and what is never asked is no reason"
    );
    [one, two].into_iter().for_each(|guest| lab.detach(guest));
    assert!(!saved(&lab).concat().contains("kvmnet:"));
}

/// Behind a rule that rejects all, somebody has added others: no packet comes to them, and kvmnet's are before both.
#[test]
fn what_is_behind_a_reject_of_all_decides_nothing() {
    let lab = Lab::new(Network::NAT);
    for rule in ["-j REJECT", "-d 192.168.1.7 -j DROP"] {
        lab.host.run(&format!("iptables -A FORWARD {rule}"));
    }
    let one = lab.attach(1);
    lab.settle();
    assert!(within(Duration::from_secs(3), || one.pings("192.168.1.25")));
    lab.detach(one);
}

/// Nothing is dropped where all is accepted before: kvmnet has no rules there.
#[test]
fn what_is_behind_an_accept_of_all_drops_nothing() {
    for rules in [
        ["-P FORWARD ACCEPT", "-A FORWARD -j ACCEPT", "-A FORWARD -j REJECT"],
        ["-P FORWARD DROP", "-A FORWARD -i eth9 -j DROP", "-A FORWARD -j ACCEPT"],
    ] {
        let lab = Lab::new(Network::NAT);
        rules.iter().for_each(|rule| drop(lab.host.run(&format!("iptables {rule}"))));
        let one = lab.attach(1);
        lab.settle();
        assert!(!saved(&lab).concat().contains("kvmnet:"), "{rules:?}");
        assert!(within(Duration::from_secs(3), || one.pings("192.168.1.25")), "{rules:?}");
        lab.detach(one);
    }
}

/// But it may be where the chain jumps to before.
#[test]
fn an_accept_of_all_behind_a_jump_decides_nothing() {
    let lab = Lab::new(Network::NAT);
    for rule in ["-N OWN", "-A OWN -j DROP", "-P FORWARD DROP", "-A FORWARD -j OWN", "-A FORWARD -j ACCEPT"] {
        lab.host.run(&format!("iptables {rule}"));
    }
    let one = lab.attach(1);
    lab.settle();
    assert!(within(Duration::from_secs(3), || one.pings("192.168.1.25")));
    lab.detach(one);
}
