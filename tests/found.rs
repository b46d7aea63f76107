//! Bridges that were there before kvmnet: whose they are decides whether guests may be on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Guest, Lab, Network, Place, Snapshot, eventually};

/// A bridge as libvirt has it: with an address of its own, NAT, and a guest on a tap.
fn with_virbr0(network: Network) -> (Lab, Guest) {
    let lab = Lab::new(network);
    lab.host_forwards_for_others();
    lab.host.ip("link add virbr0 address 52:54:00:99:99:99 type bridge");
    lab.host.ip("addr add 192.168.122.1/24 dev virbr0");
    lab.host.ip("link set virbr0 addrgenmode none up");
    lab.host.run("nft add table ip libvirt");
    lab.host.run("nft add chain ip libvirt out { type nat hook postrouting priority srcnat; }");
    lab.host.run("nft add rule ip libvirt out ip saddr 192.168.122.0/24 oifname eth3 masquerade");
    let theirs = lab.boot_at(&Place {
        tap: "vnet0".to_owned(),
        v4: "192.168.122.7".to_owned(),
        gateway4: "192.168.122.1".to_owned(),
        ..network.guest(2)
    });
    lab.host.ip("link set vnet0 master virbr0 up");
    eventually("the guest of others is on its network", || theirs.pings("192.168.1.25"));
    (lab, theirs)
}

fn config(mode: &str, more: &str) -> String {
    format!("mode = \"{mode}\"\nbridge = \"virbr0\"\nuplink = \"eth3\"\n{more}")
}

#[track_caller]
fn refused(lab: &Lab, guest: &Guest, words: &[&str]) {
    lab.wait_for_addresses();
    let before = Snapshot::of(&lab.host);
    let ran = lab.ifup(guest);
    let line = ran.complains(1);
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
    lab.assert_as_before("a refusal", &before);
}

/// Its guests would lose the outside, or ours would get what another program gives; with the bridge's own address both
/// are on one network.
#[test]
fn a_bridge_of_another_program_is_shared_by_its_address_only() {
    let (lab, theirs) = with_virbr0(Network::NAT);
    let one = lab.boot(1);
    one.run("ip addr flush dev eth0");
    one.ip("addr add 192.168.122.9/24 dev eth0");
    one.ip("route add default via 192.168.122.1");
    for mode in ["host-only", "routed", "nat"] {
        lab.write_config(&config(mode, ""));
        refused(&lab, &one, &["virbr0", "192.168.122.1/24"]);
    }
    for mode in ["isolated", "bridged"] {
        lab.write_config(&config(mode, ""));
        refused(&lab, &one, &["virbr0", "192.168.122.1/24"]);
    }
    lab.wait_for_addresses();
    let before = Snapshot::of(&lab.host);
    lab.write_config(&config("nat", "address = \"192.168.122.1/24\"\n"));
    lab.ifup(&one).ok();
    eventually("guests of both are on the network", || {
        one.pings("192.168.1.25") && theirs.pings("192.168.1.25") && one.pings("192.168.122.7")
    });
    lab.detach(one);
    assert!(theirs.pings("192.168.1.25"));
    lab.assert_as_before("the bridge is as it was", &before);
}

/// Guests that shall reach no LAN are put on no bridge that is one.
#[test]
fn a_bridge_with_a_nic_is_a_lan() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set eth4 master br0");
    lab.host.ip("link set br0 up");
    let one = lab.boot(1);
    lab.settle();
    for network in
        [Network::ISOLATED, Network::HOST_ONLY, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT]
    {
        lab.write_config(&network.config());
        refused(&lab, &one, &["br0", "eth4", network.mode]);
    }
    lab.write_config("mode = \"bridged\"\nuplink = \"eth4\"\n");
    lab.ifup(&one).ok();
}

/// What was right for a bridge of the LAN is not when the file says another mode.
#[test]
fn a_bridge_that_is_a_lan_stays_one_when_the_file_is_edited() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set eth4 master br0");
    lab.host.ip("link set br0 up");
    lab.write_config("mode = \"bridged\"\nuplink = \"eth4\"\n");
    let (one, two) = (lab.attach(1), lab.boot(2));
    lab.settle();
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::NAT] {
        lab.write_config(&network.config());
        refused(&lab, &two, &["br0", "eth4", network.mode]);
    }
    drop(one);
}

/// The kernel takes names that a person would not write, and an interface of such a name is there all the same.
#[test]
fn an_interface_of_any_name_keeps_its_network() {
    let lab = Lab::new(Network::HOST_ONLY);
    let one = lab.attach(1);
    lab.settle();
    let shell = |script: &str| {
        let status =
            lab.host.enter(|| std::process::Command::new("sh").args(["-ec", script]).status().unwrap());
        assert!(status.success(), "{script}");
    };
    for name in ["$(printf 'a\\001\\033[2J')", "$(printf '\\377\\376')"] {
        shell(&format!(
            "ip link add \"{name}\" type veth peer name far; ip link set \"{name}\" master br0 up; ip link set far up"
        ));
        let one = lab.boot(2);
        lab.ifup(&one).ok();
        one.kill();
        lab.host.run("ip link del far");
    }
    shell(
        "n=$(printf 'a\\001'); ip link add \"$n\" type veth peer name far; ip link set \"$n\" master br0 up; ip link set far up",
    );
    one.kill();
    let said = Cli::new(&lab.host, &["gc"]).run().ok();
    assert!(said.contains("nothing to do"), "somebody is a port of it: {said}");
    let said = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(said.contains("a\\u{1}") && !said.contains('\u{1}'), "{said:?}");
    lab.host.run("ip link del far");
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert!(!lab.host.try_run("ip link show dev br0").status.success());
}

/// A NIC is not put among the guests of another program, address or not.
#[test]
fn a_bridge_of_another_program_gets_no_nic() {
    let (lab, theirs) = with_virbr0(Network::BRIDGED);
    lab.write_config(&config("bridged", ""));
    let one = lab.boot(1);
    refused(&lab, &one, &["virbr0", "192.168.122.1/24", "eth3"]);
    lab.host.ip("addr flush dev virbr0");
    refused(&lab, &one, &["virbr0", "vnet0", "eth3"]);
    drop(theirs);
    lab.ifup(&one).ok();
    eventually("the guest is on the LAN", || one.pings("192.168.1.25"));
}
