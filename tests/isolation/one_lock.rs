//! The suite itself is tested: where only one lock stands and that one is taken away, it finds the leak. And each of two locks
//! holds alone.

use std::collections::BTreeSet;

use crate::attack::{Attacks, Names};
use crate::ground::Ground;
use crate::judge::{Judge, Leak, is_option_error, tell};
use crate::lab::{Network, frame};

/// What gets through after this was done to the host.
#[track_caller]
fn leaks(network: Network, careless: bool, damage: &[&str]) -> Vec<Leak> {
    let ground = Ground::new(network, careless);
    for command in damage {
        ground.lab.host.run(command);
    }
    let attacks = Attacks::of(&Names::of(&ground));
    let mut judge = Judge::of(&ground);
    ground.send(attacks.all.iter().map(|attack| attack.frame.as_slice()));
    let leaks = judge.verdict();
    tell(&format!("{}, {damage:?}", network.mode), &attacks.all, &leaks);
    leaks
}

const FLUSH: &str = "nft flush ruleset";
const NO_FILTER: &str = "tc qdisc del dev br0 clsact";

/// Isolated: the table, the filter.
#[test]
fn each_lock_of_an_isolated_network_holds_alone() {
    for damage in [&[FLUSH][..], &[NO_FILTER], &["nft delete table netdev kvmnet-br0"]] {
        assert_eq!(leaks(Network::ISOLATED, true, damage).len(), 0, "{damage:?}");
    }
}

/// With both gone the host's stack is handed the frames, and the settings keep them from going further.
#[test]
fn without_both_locks_the_host_is_reached_but_nobody_beyond_it() {
    let mut leaks = leaks(Network::ISOLATED, true, &[FLUSH, NO_FILTER]);
    leaks.retain(|leak| !is_broadcast(leak) && !is_option_error(&leak.frame));
    assert!(leaks.iter().any(|leak| leak.place == "the host's stack on the bridge"));
    assert!(leaks.iter().all(|leak| leak.place.starts_with("the host's stack")), "{:?}", places(&leaks));
}

/// Where leaks are.
fn places(leaks: &[Leak]) -> BTreeSet<&str> {
    leaks.iter().map(|leak| leak.place.as_str()).collect()
}

#[test]
fn with_the_settings_put_back_as_well_everything_is_reached() {
    let damage = [
        FLUSH,
        NO_FILTER,
        "sysctl -qw net.ipv6.conf.br0.disable_ipv6=0",
        "sysctl -qw net.ipv4.conf.br0.forwarding=1",
        "sysctl -qw net.ipv4.conf.br0.rp_filter=0",
        "ip addr add 10.0.100.3/24 dev br0",
    ];
    let leaks = leaks(Network::ISOLATED, true, &damage);
    for place in ["the outside", "the machine behind eth4", "a guest of routed"] {
        assert!(leaks.iter().any(|leak| leak.place == place), "{place}");
    }
}

/// What a router passes on that was told to (bc_forwarding), whatever it forwards otherwise.
fn is_broadcast(leak: &Leak) -> bool {
    leak.frame[..6] == frame::BROADCAST
}

/// A packet of IPv4.
fn is_ipv4(leak: &Leak) -> bool {
    frame::ethertype(&leak.frame) == Some(frame::IPV4)
}

/// Host-only: with the table gone nothing is answered to whom a guest names, and nothing is forwarded, whatever the machine does for
/// others.
#[test]
fn a_host_only_network_holds_without_its_table() {
    for network in [Network::HOST_ONLY, Network::HOST_ONLY_VETH] {
        for careless in [false, true] {
            let leaks = leaks(network, careless, &[FLUSH]);
            assert_eq!(leaks.len(), 0, "{network:?}, a router: {careless}: {:?}", leaks.first());
        }
    }
}

/// A machine that becomes a router while the network is up sets the forwarding of every interface.
#[test]
fn a_host_only_network_holds_on_a_machine_that_becomes_a_router() {
    let router = ["sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv4.ip_forward=1", FLUSH];
    assert_eq!(leaks(Network::HOST_ONLY, true, &router).len(), 0);
}

/// The filter is what keeps forged IPv6: without it and without the table it is forwarded.
#[test]
fn a_host_only_network_without_table_and_filter_is_found_out() {
    let leaks = leaks(Network::HOST_ONLY, true, &[FLUSH, NO_FILTER]);
    assert!(leaks.iter().any(|leak| leak.place == "the outside" && !is_ipv4(leak)));
    // A routing header that has led on by the host is used up.
    let is_led = |leak: &Leak| leak.frame.get(20) == Some(&43) && leak.frame.get(57) == Some(&0);
    assert!(leaks.iter().any(is_led), "the host leads on");
    assert!(
        !leaks.iter().any(|leak| is_ipv4(leak) && !is_option_error(&leak.frame)),
        "the settings hold IPv4"
    );
}

#[test]
fn the_table_of_a_host_only_network_holds_without_its_settings_and_its_filter() {
    let settings = [
        "sysctl -qw net.ipv4.conf.br0.forwarding=1",
        "sysctl -qw net.ipv4.conf.br0.rp_filter=0",
        "sysctl -qw net.ipv4.conf.br0.bc_forwarding=1",
    ];
    for damage in [&settings[..], &[&settings[..], &[NO_FILTER]].concat()] {
        assert_eq!(leaks(Network::HOST_ONLY, true, damage).len(), 0, "{damage:?}");
    }
}

/// One lock is enough to be missed where it is the only one.
#[test]
fn the_suite_finds_what_is_not_locked() {
    let forwards = "sysctl -qw net.ipv4.conf.br0.forwarding=1";
    let guard = ["tc qdisc del dev vif0.0 clsact", "ip link set vif0.0 type bridge_slave group_fwd_mask 0"];
    for (network, damage, place) in [
        (Network::HOST_ONLY, &[FLUSH, NO_FILTER, forwards][..], "the outside"),
        (Network::HOST_ONLY, &["nft flush chain inet kvmnet-br0 options", NO_FILTER], "the outside"),
        (Network::HOST_ONLY, &["nft flush chain inet kvmnet-br0 forward", NO_FILTER], "the outside"),
        (Network::ROUTED, &["nft flush chain inet kvmnet-br0 forward"], "the machine behind eth4"),
        (Network::ROUTED, &["nft flush chain inet kvmnet-br0 prerouting"], "the outside"),
        (
            Network::NAT,
            &["nft flush chain inet kvmnet-br0 leaving", "nft flush chain inet kvmnet-br0 translate"],
            "the outside",
        ),
        (
            Network::NAT,
            &["nft flush chain inet kvmnet-br0 forward", "nft flush chain inet kvmnet-br0 leaving"],
            "the machine behind eth4",
        ),
        (Network::ISOLATED, &guard, "the host's stack on the tap"),
        (Network::NAT, &guard, "the host's stack on the tap"),
        (Network::BRIDGED, &guard, "the host's stack on the tap"),
    ] {
        let leaks = leaks(network, true, damage);
        assert!(leaks.iter().any(|leak| leak.place == place), "{network:?}, {damage:?}: nothing to {place}");
    }
}

/// What people put in place of all that, on a bridge without an address.
#[test]
fn the_obvious_alternatives_leak() {
    let plain = [
        FLUSH,
        NO_FILTER,
        "sysctl -qw net.ipv6.conf.br0.disable_ipv6=0",
        "sysctl -qw net.ipv4.conf.br0.arp_ignore=0",
        "sysctl -qw net.ipv4.conf.br0.forwarding=1",
    ];
    let believes = "sysctl -qw net.ipv4.conf.br0.rp_filter=0";
    let drop = |hook: &str| {
        [
            "add table inet own".to_owned(),
            format!("add chain inet own {hook} {{ type filter hook {hook} priority 0 ; }}"),
        ]
        .into_iter()
        .chain([format!("add rule inet own {hook} iifname br0 drop")])
        .map(|rule| format!("nft {rule}"))
        .collect::<Vec<String>>()
    };
    let with = |more: &[String]| {
        let more = more.iter().map(String::as_str);
        let damage: Vec<&str> = plain.into_iter().chain(more).collect();
        leaks(Network::ISOLATED, true, &damage)
    };
    let reach_outside = |leaks: &[Leak], which: &dyn Fn(&Leak) -> bool| {
        leaks.iter().any(|leak| leak.place == "the outside" && which(leak))
    };
    assert!(reach_outside(&with(&[believes.to_owned()]), &is_ipv4), "a bridge without an address");
    assert!(reach_outside(&with(&[]), &|leak| !is_ipv4(leak)), "rp_filter");
    let filtered = with(&[vec![believes.to_owned()], drop("forward"), drop("input")].concat());
    let is_arp = |leak: &Leak| frame::ethertype(&leak.frame) == Some(frame::ARP);
    assert!(filtered.iter().any(is_arp), "INPUT and FORWARD drop: ARP");
    assert!(reach_outside(&filtered, &|leak| is_option_error(&leak.frame)), "INPUT and FORWARD drop: errors");
}
