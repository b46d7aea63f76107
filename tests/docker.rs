//! A host with Docker, or whoever else has a policy of drop in iptables' FORWARD chain, and shows it the frames inside
//! bridges: no table of kvmnet's could open that, so it has a few rules of its own there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Guest, Lab, Listener, Network, Place, Snapshot, within};

const MODES: [Network; 8] = [
    Network::ISOLATED,
    Network::HOST_ONLY,
    Network::HOST_ONLY_VETH,
    Network::ROUTED,
    Network::NAT,
    Network { uplink: "", ..Network::NAT },
    Network::NAT_VETH,
    Network::BRIDGED,
];

/// What dockerd does to a host, in the words of `nft`, as iptables' own are the same to the kernel; or somebody else, who
/// has no chain for rules of others.
fn with_policy(network: Network, docker: bool) -> Lab {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    lab.bridged_frames_pass_firewall(true);
    if docker {
        lab.host.sysctl("ipv4/ip_forward", "1");
    }
    for family in ["ip", "ip6"] {
        lab.host.run(&format!("nft add table {family} filter"));
        lab.host.run(&format!(
            "nft add chain {family} filter FORWARD {{ type filter hook forward priority 0 ; policy drop ; }}"
        ));
        if docker {
            lab.host.run(&format!("nft add chain {family} filter DOCKER-USER"));
            lab.host.run(&format!("nft add rule {family} filter DOCKER-USER counter return"));
            lab.host.run(&format!("nft add rule {family} filter FORWARD counter jump DOCKER-USER"));
        }
        lab.host.run(&format!("nft add rule {family} filter FORWARD iifname docker0 counter accept"));
    }
    lab
}

fn reaches(guest: &Guest, [v4, v6]: [&str; 2]) -> bool {
    within(Duration::from_secs(5), || guest.pings(v4) && guest.pings(v6))
}

#[track_caller]
fn assert_well(lab: &Lab, one: &Guest, what: &str) {
    let Place { v4, v6, .. } = lab.network.guest(2);
    assert!(reaches(one, [&v4, &v6]), "{what}: the guests talk");
    if matches!(lab.network.mode, "routed" | "nat" | "bridged") {
        assert!(reaches(one, ["192.168.1.25", "fd00:1::25"]), "{what}: and get out");
    }
    let is_reached = matches!(lab.network.mode, "routed" | "bridged");
    let mut service = Listener::on(one);
    lab.outside.send(&lab.network.guest(1).v4, "in");
    within(Duration::from_millis(if is_reached { 3000 } else { 300 }), || service.has_heard("in"));
    assert_eq!(service.has_heard("in"), is_reached, "{what}: and are reached where the mode says so");
}

/// Guests come and go; what is taken away by hand comes back; and all is as it was.
#[track_caller]
fn comes_and_goes(network: Network, docker: bool) {
    let lab = with_policy(network, docker);
    let what = format!("{network:?}, {docker}");
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    assert_well(&lab, &one, &what);
    let chain = if docker { "DOCKER-USER" } else { "FORWARD" };
    let rules = lab.host.run(&format!("nft list chain ip filter {chain}"));
    assert!(rules.contains("comment \"kvmnet:br0\""), "{what}: {rules}");
    if docker {
        lab.host.run("nft flush chain ip filter DOCKER-USER");
        lab.host.run("nft add rule ip filter DOCKER-USER counter return");
        lab.ifup(&two).ok();
        assert_well(&lab, &one, &format!("{what}, put back"));
    }
    let rules = lab.host.run("nft list ruleset");
    lab.ifup(&two).ok();
    assert_eq!(lab.host.run("nft list ruleset").lines().count(), rules.lines().count(), "{what}: only once");
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before(&what, &before);
}

#[test]
fn every_mode_beside_docker() {
    MODES.iter().for_each(|network| comes_and_goes(*network, true));
}

#[test]
fn every_mode_beside_a_policy_of_drop() {
    MODES.iter().for_each(|network| comes_and_goes(*network, false));
}

/// A network that becomes another one has what that needs, and no more.
#[test]
fn an_edit_changes_what_is_let_through() {
    let lab = with_policy(Network::NAT, true);
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    lab.write_config(&Network::HOST_ONLY.config());
    let two = lab.attach(2);
    let rules = lab.host.run("nft list chain ip filter DOCKER-USER");
    let own = rules.lines().filter(|rule| rule.contains("kvmnet:br0")).collect::<Vec<_>>();
    assert!(matches!(own[..], [rule] if rule.contains("iifname \"br0\" oifname \"br0\"")), "{rules}");
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("all is taken out", &before);
}

/// What the owner has decided holds, and what is said of all packets comes after what kvmnet lets through.
#[test]
fn the_owners_own_rules_come_first() {
    for docker in [true, false] {
        let lab = with_policy(Network::ROUTED, docker);
        let chain = if docker { "DOCKER-USER" } else { "FORWARD" };
        let insert = "nft insert rule ip filter";
        lab.host.run(&format!("{insert} {chain} iifname br0 ip daddr 192.168.1.25 counter drop"));
        lab.host.run("nft add chain ip filter refused");
        lab.host.run("nft add rule ip filter refused counter drop");
        lab.host.run("nft add rule ip filter FORWARD counter jump refused");
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        lab.settle();
        assert!(reaches(&one, ["192.168.1.230", "fd00:1::25"]), "what nothing is said of");
        assert!(!one.pings("192.168.1.25"), "what the owner drops, {docker}");
        let mut service = Listener::on(&one);
        assert!(
            within(Duration::from_secs(3), || {
                lab.outside.send(&lab.network.guest(1).v4, "in");
                service.has_heard("in")
            }),
            "{docker}: what comes in is let through before it is refused"
        );
        lab.detach(one);
        lab.assert_as_before("all is taken out", &before);
    }
}
