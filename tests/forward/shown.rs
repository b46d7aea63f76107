//! What people see of it: plans that a shell takes, status, check.

use std::net::TcpListener;

use crate::lab::{Cli, Guest, Lab, Network};
use crate::{attach, hook, lab_with};

const FORWARDS: &str = "2222:22 udp/127.0.0.1:5353:53 [::]:443:443 3000-3002:80";

/// All that is in the network's table, without the numbers of rules.
fn table(lab: &Lab) -> String {
    lab.host.run("nft list table inet kvmnet-br0")
}

fn plan(lab: &Lab, arguments: &[&str], guest: u8) -> String {
    let place = lab.network.guest(guest);
    let cli = Cli::new(&lab.host, arguments).env("KVMNET_FORWARD", FORWARDS);
    cli.env("KVMNET_GUEST_ADDRESS", &format!("{} {}", place.v4, place.v6)).run().ok()
}

/// Pastes a plan into a shell; each command must succeed.
fn paste(lab: &Lab, plan: &str) {
    lab.host.enter(|| std::fs::write("/run/lab/plan", format!("set -e\n{plan}"))).unwrap();
    lab.host.run("sh /run/lab/plan");
}

fn guest(lab: &Lab) -> Guest {
    let guest = lab.boot(1);
    paste(lab, &plan(lab, &["plan", "vif0.0"], 1));
    guest
}

#[test]
fn a_plan_is_what_the_hook_does() {
    for network in [Network::NAT, Network::ROUTED] {
        let (pasted, hooked) = (Lab::new(network), Lab::new(network));
        let one = guest(&pasted);
        let _two = attach(&hooked, 1, FORWARDS);
        assert_eq!(table(&pasted), table(&hooked));
        // The hook finds nothing to do.
        let before = table(&pasted);
        assert!(plan(&pasted, &["plan", "vif0.0"], 1).contains("nothing to do"));
        hook(&pasted, &one, 1, FORWARDS).run().ok();
        assert_eq!(table(&pasted), before);
        paste(&pasted, &plan(&pasted, &["plan", "--down", "vif0.0"], 1));
        assert_eq!(pasted.host.run("nft list tables"), "");
    }
}

#[test]
fn a_plan_of_one_guest_among_others() {
    let (lab, _one, _two) = lab_with(Network::NAT, "80:80");
    let before = table(&lab);
    let _three = lab.boot(4);
    paste(&lab, &plan(&lab, &["plan", "vif3.0"], 4));
    assert!(table(&lab).contains("tcp . 2222 comment \"vif3.0@"), "{}", table(&lab));
    paste(&lab, &plan(&lab, &["plan", "--down", "vif3.0"], 4));
    assert_eq!(table(&lab), before);
}

#[test]
fn status_shows_them() {
    let (lab, _one, _two) = lab_with(Network::NAT_SOURCE, FORWARDS);
    let status = Cli::new(&lab.host, &["status"]).run().ok();
    let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "tcp 2222 leads to 10.0.100.1:22",
        "tcp 2222 leads to [fd00:100::1]:22",
        "udp 127.0.0.1:5353 leads to 10.0.100.1:53",
        "tcp 443 leads to [fd00:100::1]:443",
        "tcp 3000-3002 leads to 10.0.100.1:80",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert!(status.contains("192.168.1.230") && !status.contains("SNAT to 10.0.100.3"), "{status}");
    let json = Cli::new(&lab.host, &["status", "--json"]).run().ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let forwards = json["networks"][0]["guests"][0]["forwards"].as_array().unwrap();
    assert_eq!(forwards.len(), 6, "{forwards:#?}");
}

#[test]
fn check_finds_what_is_wrong_with_them() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:22");
    let check = || Cli::new(&lab.host, &["check"]).run().out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!check().contains("2222"), "{}", check());
    let listener = lab.host.enter(|| TcpListener::bind("0.0.0.0:2222").unwrap());
    let finding = check();
    assert!(finding.contains("listens on 0.0.0.0:2222, and hears nothing"), "{finding}");
    drop(listener);
    lab.host.run("nft flush map inet kvmnet-br0 forward4");
    assert!(check().contains("lead ports to vif0.0"), "{}", check());
    hook(&lab, &one, 1, "2222:22").run().ok();
    assert!(!check().contains("lead ports to"), "{}", check());
    one.kill();
    assert!(check().contains("ports still lead to the guest that was on vif0.0"), "{}", check());
}
