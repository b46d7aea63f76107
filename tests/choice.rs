//! Which network a tap gets, and what a person can say for one guest alone: the hook's own name, the environment, the
//! patterns of the file, in this order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;

use lab::{Guest, Hook, Lab, Network, Snapshot, eventually};

/// A lab whose file has the network `default` (nat, on br0) and the network `lab` (host-only, on br-lab, `lab*`).
fn two_networks() -> Lab {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::HOST_ONLY.lab_table()));
    for name in ["qemu-ifup", "qemu-ifdown"] {
        lab.link_hook(&format!("{name}-lab"), name);
    }
    lab
}

/// The bridge that a tap is on.
fn bridge_of(lab: &Lab, tap: &str) -> Option<String> {
    let link = lab.host.ip(&format!("link show dev {tap}"));
    link.split_whitespace().skip_while(|&word| word != "master").nth(1).map(str::to_owned)
}

#[test]
fn a_pattern_of_the_file_chooses() {
    let lab = two_networks();
    let before = Snapshot::of(&lab.host);
    let (one, three) = (lab.attach(1), lab.attach_in_lab(1));
    assert_eq!(bridge_of(&lab, "vif0.0").unwrap(), "br0", "no pattern matches, so it is the network default");
    assert_eq!(bridge_of(&lab, "lab0.0").unwrap(), "br-lab");
    lab.detach(one);
    lab.detach(three);
    lab.assert_as_before("both networks are gone", &before);
}

#[test]
fn the_first_pattern_that_matches_chooses() {
    let lab = Lab::new(Network::NAT);
    let second = Network::HOST_ONLY.lab_table().replace("lab", "more").replace("10.0.200", "10.0.201");
    let second = second.replace("fd00:200", "fd00:201").replace("\"more*\"", "\"vif9*\", \"lab0.?\"");
    lab.write_config(&format!("{}{}{second}", Network::NAT.config(), Network::HOST_ONLY.lab_table()));
    let _guest = lab.attach_in_lab(1);
    assert_eq!(
        bridge_of(&lab, "lab0.0").unwrap(),
        "br-lab",
        "two tables match lab0.0, and the first one serves it"
    );
}

#[test]
fn the_name_of_the_hook_chooses_before_everything_else() {
    let lab = two_networks();
    let before = Snapshot::of(&lab.host);
    let one = lab.boot(1);
    lab.hook("/etc/qemu-ifup-lab", &one).env("KVMNET_NETWORK", "default").run().ok();
    assert_eq!(bridge_of(&lab, "vif0.0").unwrap(), "br-lab");
    lab.hook("/etc/qemu-ifdown-lab", &one).run().ok();
    drop(one);
    lab.assert_as_before("the network lab is gone", &before);
}

#[test]
fn the_environment_chooses_before_the_patterns() {
    let lab = two_networks();
    let three = lab.boot_at(&lab::Place::in_lab(1));
    lab.hook("/etc/qemu-ifup", &three).env("KVMNET_NETWORK", "default").run().ok();
    assert_eq!(bridge_of(&lab, "lab0.0").unwrap(), "br0");
}

#[test]
fn another_file_can_be_named() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    lab.host
        .enter(|| fs::write("/run/lab/mine.toml", "mode = \"isolated\"\nbridge = \"br-mine\"\n"))
        .unwrap();
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_CONFIG", "/run/lab/mine.toml").run().ok();
    assert_eq!(bridge_of(&lab, "vif0.0").unwrap(), "br-mine");
}

#[test]
fn every_key_can_be_overridden_for_one_guest() {
    let lab = Lab::new(Network::HOST_ONLY);
    let one = lab.boot(1);
    let overrides = [
        ("KVMNET_MODE", "nat"),
        ("KVMNET_BRIDGE", "br-one"),
        ("KVMNET_ADDRESS", "10.0.100.3/24, fd00:100::3/64"),
        ("KVMNET_UPLINK", "eth3 eth4"),
        ("KVMNET_NAT_SOURCE", "192.168.1.230"),
        ("KVMNET_VETH", "one"),
        ("KVMNET_KEEP", "true"),
    ];
    let hook = lab.hook("/etc/qemu-ifup", &one);
    overrides.iter().fold(hook, |hook, (name, value)| hook.env(name, value)).run().ok();
    assert_eq!(bridge_of(&lab, "vif0.0").unwrap(), "br-one");
    assert_eq!(bridge_of(&lab, "one.0").unwrap(), "br-one", "the veth pair has the name that was given");
    let addresses = lab.host.ip("addr show dev one.1");
    assert!(
        addresses.contains("inet 10.0.100.3/24") && addresses.contains("inet6 fd00:100::3/64"),
        "{addresses}"
    );
    eventually("both uplinks are used", || one.pings("192.168.1.25") && one.pings("fd00:77::2"));
    assert!(lab.host.run("nft list ruleset").contains("snat ip to 192.168.1.230"));
    lab.detach(one);
    assert!(lab.host.ip("link show dev br-one").contains("br-one"), "the network is kept");
}

/// A hook about to run for a guest that shall be isolated, whatever the file says.
fn isolated<'a>(lab: &'a Lab, guest: &Guest) -> Hook<'a> {
    lab.hook("/etc/qemu-ifup", guest).env("KVMNET_MODE", "isolated")
}

/// What one guest's environment has made of a network is not changed under that guest by another that starts without; nor
/// the other way round.
#[test]
fn neither_of_two_guests_changes_the_network_of_the_other() {
    let lab = Lab::new(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.boot(1), lab.boot(2));
    isolated(&lab, &one).run().ok();
    lab.settle();
    let as_made = Snapshot::of(&lab.host);
    assert_eq!(
        lab.ifup(&two).complains(1),
        "qemu-ifup: network default on br0 was made isolated by KVMNET_ variables, and is in use"
    );
    lab.assert_as_before("the plain start has changed nothing", &as_made);
    assert!(!one.pings("192.168.1.25") && !one.pings("10.0.100.3"), "the guest is isolated still");
    // The same guest again, and one that says the same.
    isolated(&lab, &one).run().ok();
    isolated(&lab, &two).run().ok();
    for guest in [one, two] {
        lab.detach(guest);
    }
    lab.assert_as_before("gone with its last guest", &before);
    let (one, two) = (lab.boot(1), lab.boot(2));
    lab.ifup(&two).ok();
    assert_eq!(
        isolated(&lab, &one).run().complains(1),
        "qemu-ifup: KVMNET_MODE would change network default, which other guests are using"
    );
    lab.detach(two);
}

/// A variable that says what the file says is not an override: what the file says later holds from the next guest on.
#[test]
fn a_variable_that_changes_nothing_keeps_nobody_out() {
    let lab = Lab::new(Network::NAT);
    let (one, two) = (lab.boot(1), lab.boot(2));
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_MODE", "nat").run().ok();
    lab.write_config(&Network::HOST_ONLY.config());
    lab.ifup(&two).ok();
    assert!(lab.host.ip("link show dev br0").contains("kvmnet:host-only"));
}

#[test]
fn a_configuration_is_not_needed() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("rm /etc/kvmnet.conf");
    let one = lab.boot(1);
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_MODE", "isolated").run().ok();
    assert_eq!(bridge_of(&lab, "vif0.0").unwrap(), "br0");
    assert!(!lab.host.ip("addr show dev br0").contains("inet"), "isolated, as the environment says");
}
