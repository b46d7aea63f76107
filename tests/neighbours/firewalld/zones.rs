//! Which interfaces are in kvmnet's zones, and what is left there of guests that have gone.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Firewalld, call, copy_zones, daemon, files, has_zones, zone};
use crate::lab::{Cli, Lab, Network, Process, eventually, within};
use crate::neighbour::{Neighbour, applied};

/// What was a guest's is nobody's: the next bridge of that name is in no zone of kvmnet's.
#[test]
fn a_killed_guest_leaves_no_zone_behind() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    drop(guest);
    // A firewalld that is slow to answer is asked again.
    eventually("it is swept", || Cli::new(&lab.host, &["gc"]).run().status == 0);
    assert_eq!([zone(&lab, "kvmnet"), files(&lab)].concat().matches("br0").count(), 0, "swept");
    lab.host.ip("link add br0 type bridge");
    eventually("nothing is to be swept", || Cli::new(&lab.host, &["gc"]).run().status == 0);
    call(&lab, "", "reload", "");
    assert_eq!(zone(&lab, "kvmnet"), "as 0\n", "somebody's bridge");
}

/// An interface follows its network's mode, and leaves with `firewall = "warn"`.
#[test]
fn zones_follow_the_configuration() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    lab.write_config(&Network::HOST_ONLY.config());
    applied(&lab);
    has_zones(&lab, ["", "br0", ""], "host-only");
    lab.write_config(&format!("firewall = \"warn\"\n{}", Network::NAT.config()));
    let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run();
    assert!(said.status == 0 && said.err.contains("firewalld filter_FORWARD"), "{}", said.err);
    has_zones(&lab, ["", "", ""], "firewall = warn");
    assert!(!guest.pings("192.168.1.25"), "it is left as it is");
    lab.write_config(&Network::NAT.config());
    applied(&lab);
    has_zones(&lab, ["br0", "", ""], "integrated again");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")));
}

/// A bridge that somebody made stays in the zone where it is.
#[test]
fn a_bridge_that_was_found_is_not_put_into_a_zone_for_guests_alone() {
    for (network, zones) in [(Network::ISOLATED, ["", "", ""]), (Network::NAT_VETH, ["veth1.1", "", ""])] {
        let lab = Lab::new(network);
        let _firewalld = Firewalld::start(&lab);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 up");
        let guest = lab.attach(1);
        applied(&lab);
        has_zones(&lab, zones, network.mode);
        lab.detach(guest);
    }
}

/// What its owner has put into a zone stays there.
#[test]
fn another_zone_is_its_owners_choice() {
    let lab = Lab::new(Network::NAT);
    let _firewalld = Firewalld::start(&lab);
    call(&lab, ".zone", "addInterface", "ss trusted br0");
    let guest = lab.attach(1);
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!([zone(&lab, "kvmnet"), zone(&lab, "trusted")].concat(), "as 0\nas 1 \"br0\"\n");
    lab.detach(guest);
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!(zone(&lab, "trusted"), "as 1 \"br0\"\n");
}

/// `kvmnet check` then names the zone where that one lets nothing through, and the way out of it; what it says is typed.
#[test]
fn another_zone_is_named_where_guests_are_cut_off() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    call(&lab, ".zone", "addInterface", "ss dmz br0");
    let will_be = Cli::new(&lab.host, &["check"]).run().out;
    assert!(will_be.contains("put into the zone dmz"), "{will_be}");
    let guest = lab.attach(1);
    applied(&lab);
    assert!(!guest.pings("192.168.1.25"), "dmz lets nothing through");
    let said = Cli::new(&lab.host, &["check", "--json"]).run();
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("check prints JSON");
    let problem = &report["findings"][0];
    assert!(
        problem["problem"].as_str().is_some_and(|text| text.contains("put into the zone dmz")),
        "{report:#}"
    );
    let commands: Vec<String> = serde_json::from_value(problem["fix"].clone()).expect("commands");
    for command in &commands {
        match command.strip_prefix("kvmnet ") {
            Some(_) => applied(&lab),
            None => drop(lab.host.run(command)),
        }
    }
    firewalld.has_heard(&lab, true, "typed");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")), "{commands:?}");
}

/// Many at once, while guests come and go: in the end the zones are what is.
#[test]
fn several_at_once_agree() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    for round in 0..3 {
        let guest = lab.attach(1);
        let at_once: Vec<Process> = (0..4).map(|_| lab.host.start("/etc/kvmnet", &["gc"])).collect();
        firewalld.has_heard(&lab, true, &format!("round {round}"));
        lab.detach(guest);
        eventually("all have ended", || at_once.iter().all(Process::has_ended));
        firewalld.has_heard(&lab, false, &format!("round {round}"));
    }
}

/// Nor is anything left of one that went while firewalld was away.
#[test]
fn a_guest_that_leaves_without_firewalld_leaves_no_zone_behind() {
    let lab = Lab::new(Network::NAT);
    let mut firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    firewalld.daemon.signal(Signal::SIGTERM);
    eventually("firewalld ends", || firewalld.daemon.has_ended());
    lab.detach(guest);
    assert!(files(&lab).contains("br0"), "nobody could say so");
    firewalld.daemon = daemon(&lab);
    applied(&lab);
    firewalld.has_heard(&lab, false, "started again");
}

/// Installed while firewalld ran: it reads new files when it is told to.
#[test]
fn zones_that_are_not_known_yet_are_named() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::of(&lab, false);
    let guest = lab.attach(1);
    let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().complains(1);
    assert!(
        said.contains("does not know the zone kvmnet") && said.contains("firewall-cmd --reload"),
        "{said}"
    );
    let findings = Cli::new(&lab.host, &["check"]).run().out;
    assert!(findings.contains("firewall-cmd --reload"), "{findings}");
    lab.host.enter(copy_zones);
    call(&lab, "", "reload", "");
    applied(&lab);
    firewalld.has_heard(&lab, true, "reloaded");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")));
    let findings = Cli::new(&lab.host, &["check"]).run().out;
    assert!(findings.contains("No problem"), "{findings}");
    lab.detach(guest);
}

/// The same where only frames between guests are cut off.
#[test]
fn zones_that_are_not_known_yet_are_named_for_frames_too() {
    for network in [Network::ISOLATED, Network::BRIDGED] {
        let lab = Lab::new(network);
        lab.bridged_frames_pass_firewall(true);
        let _firewalld = Firewalld::of(&lab, false);
        let _guest = lab.attach(1);
        let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().complains(1);
        assert!(said.contains("does not know") && said.contains("firewall-cmd --reload"), "{said}");
        let findings = Cli::new(&lab.host, &["check"]).run().out;
        assert!(findings.contains("firewall-cmd --reload"), "{findings}");
        assert!(!findings.contains("sysctl -w net.bridge.bridge-nf-call-iptables"), "{findings}");
    }
}
