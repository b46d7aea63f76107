//! Firewalls that do not even let the host itself send: what guests are told gets to them all the same.

use std::time::Duration;

use crate::dns::{A, Answer, Resolver, ask};
use crate::kit::Serving;
use crate::lab::{Lab, eventually, within};
use crate::neighbour::{applied, rules_of_others};

const HOST: &str = "10.0.100.3";

/// A guest that comes anew gets its address and names, and gets out, by both families.
#[track_caller]
fn is_served(serving: &Serving, number: u8, what: &str) {
    let guest = serving.attach(number);
    let told = serving.lease(&guest, what);
    assert!(told["new_ip_address"].starts_with("10.0.100."), "{what}: {told:?}");
    assert_eq!(ask(&guest, HOST, "host.kvm", A), Answer::Found(vec![HOST.to_owned()]), "{what}");
    eventually("the guest has made itself an address of what was announced", || {
        guest.ip("-6 addr show dev eth0 scope global").contains("fd00:100::")
    });
    let v6 = || guest.pings("fd00:100::3") && guest.pings("fd00:1::25");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25") && v6()), "{what}: it gets out");
    serving.lab.detach(guest);
}

/// Answers go out, and the host's questions to one resolver.
fn close_output(lab: &Lab) {
    for (program, icmp) in [("iptables", "icmp"), ("ip6tables", "ipv6-icmp")] {
        for rule in [
            "-o lo".to_owned(),
            "-m conntrack --ctstate RELATED,ESTABLISHED".to_owned(),
            format!("-o eth3 -p {icmp}"),
        ] {
            lab.host.run(&format!("{program} -A OUTPUT {rule} -j ACCEPT"));
        }
        lab.host.run(&format!("{program} -P OUTPUT DROP"));
    }
    lab.host.run("iptables -A OUTPUT -d 192.168.1.25 -p udp --dport 53 -j ACCEPT");
}

#[test]
fn iptables() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    close_output(lab);
    let rules = rules_of_others(lab);
    is_served(&serving, 1, "closed before");
    serving.assert_ends();
    assert_eq!(rules_of_others(lab), rules, "its rules are as they were");
    let all = lab.host.run("nft list ruleset");
    assert!(!all.contains("kvmnet:"), "nothing of kvmnet's is left\n{all}");
}

/// `ufw default deny outgoing`, before a guest and while one is on.
#[test]
fn ufw() {
    let serving = Serving::nat();
    let lab = &serving.lab;
    let _resolver = Resolver::start(&lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let zero = serving.attach(7);
    lab.host.run("ufw default deny outgoing");
    lab.host.run("ufw --force enable");
    applied(lab);
    is_served(&serving, 1, "enabled");
    lab.host.run("ufw reload");
    is_served(&serving, 2, "reloaded");
    lab.host.run("ufw deny out on br0 to any port 68 proto udp");
    let three = serving.attach(3);
    assert!(!serving.try_lease_soon(&three), "what the owner denies stays denied");
    [zero, three].into_iter().for_each(|guest| lab.detach(guest));
    serving.assert_ends();
    assert!(!lab.host.run("nft list ruleset").contains("kvmnet:"), "nothing of kvmnet's is left");
}
