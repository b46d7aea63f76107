//! It comes, changes and goes.

use std::process::Command;

use crate::kit::{attach, hook_of, lab_with, program, rules};
use crate::lab::{Cli, Lab, Network, Snapshot, each_mode, eventually};

fn goes_on_as_without(network: Network) {
    let lab = lab_with(network, "filter = true\n");
    let (one, two) = (attach(&lab, 1), attach(&lab, 2));
    lab.settle();
    let places = [lab.network.guest(1), lab.network.guest(2)];
    assert_eq!(one.pings_each(&[places[1].v4.clone(), places[1].v6.clone()]), [true, true]);
    assert_eq!(two.pings_each(&[places[0].v4.clone(), places[0].v6.clone()]), [true, true]);
    let before = (program(&lab, &one), rules(&lab));
    assert!(!before.0.is_empty() && before.1.contains("table bridge kvmnet-br0"), "{before:?}");
    hook_of(&lab, &one, 1).run().ok();
    assert!(program(&lab, &one) == before.0, "the filter is another one");
    assert_eq!(rules(&lab), before.1);
}

each_mode!(goes_on_as_without);

fn leaves_no_trace(network: Network) {
    let lab = lab_with(network, "filter = true\n");
    let one = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    hook_of(&lab, &one, 1).run().ok();
    assert!(lab.host.ip("-d link show dev vif0.0").contains(" group 18"));
    lab.ifdown(&one).ok();
    lab.assert_as_before("down", &before);
    // On, and off again by an edit that is applied.
    hook_of(&lab, &one, 1).run().ok();
    lab.write_config(&network.config());
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert_eq!(program(&lab, &one), "");
    let shown = lab.host.ip("-d link show dev vif0.0");
    assert!(!shown.contains(" group 18") && !shown.contains("filter=") && !shown.contains("g=0"), "{shown}");
    lab.ifdown(&one).ok();
    lab.assert_as_before("off, and down", &before);
}

each_mode!(leaves_no_trace: isolated host_only nat_veth bridged);

/// What was said for one VM alone stays its own when others' configuration is applied; an edit of the file reaches those of whom nothing
/// was said.
#[test]
fn an_edit_reaches_guests_that_said_nothing_themselves() {
    let lab = lab_with(Network::NAT, "");
    let (one, two) = (lab.boot(1), attach(&lab, 2));
    hook_of(&lab, &one, 1).env("KVMNET_FILTER", "true").run().ok();
    let apply = || Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    apply();
    assert!(!program(&lab, &one).is_empty() && program(&lab, &two).is_empty());
    let filtered = format!("{}filter = true\n", Network::NAT.config());
    lab.write_config(&filtered);
    apply();
    let first = program(&lab, &two);
    assert!(!first.is_empty());
    lab.write_config(&format!("{filtered}allow_vlan_tags = true\n"));
    apply();
    assert!(program(&lab, &two) != first, "it is another one");
}

const ANOTHER: &str = "another filter in its place";

/// One that lets everything through.
fn put_another(lab: &Lab) {
    let words = "filter replace dev vif0.0 ingress pref 2 handle 1 protocol all bpf bytecode";
    let tc = lab.host.enter(|| {
        Command::new("tc")
            .args(words.split(' '))
            .args(["1,6 0 0 4294967295", "direct-action"])
            .output()
            .unwrap()
    });
    assert!(tc.status.success(), "{tc:?}");
}

/// What somebody takes away, the next hook puts back, and `check` misses it before.
#[test]
fn what_is_taken_away_comes_back() {
    let lab = lab_with(Network::NAT, "filter = true\ndhcp = false\n");
    let one = attach(&lab, 1);
    lab.settle();
    let (filter, all) = (program(&lab, &one), rules(&lab));
    for away in [
        "nft flush ruleset",
        "nft delete table bridge kvmnet-br0",
        "nft flush chain bridge kvmnet-br0 bound",
        "tc filter del dev vif0.0 ingress pref 2",
        ANOTHER,
        "ip link set vif0.0 group 0",
    ] {
        match away {
            ANOTHER => put_another(&lab),
            away => drop(lab.host.run(away)),
        }
        let found = Cli::new(&lab.host, &["check"]).run();
        assert_ne!(found.status, 0, "{away}: {found:?}");
        hook_of(&lab, &one, 1).run().ok();
        assert!(program(&lab, &one) == filter, "{away}");
        let without_handles = |rules: &str| rules.split("# handle").count();
        assert_eq!(without_handles(&rules(&lab)), without_handles(&all), "{away}");
    }
    // Under another name it is held to the same.
    lab.host.ip("link set dev vif0.0 down");
    lab.host.ip("link set dev vif0.0 name vif9.9");
    lab.host.ip("link set dev vif9.9 up");
    eventually("the guest is on again", || one.pings("10.0.100.3"));
    one.ip("addr add 10.0.100.99/24 dev eth0");
    one.ip("addr del 10.0.100.1/24 dev eth0");
    assert!(!one.pings("10.0.100.3"));
}
