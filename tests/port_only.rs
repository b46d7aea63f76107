//! `mode = "bridged"` with `uplink = "none"`: a guest is a port of a bridge that is there, which stays as it was found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "qemu/kit.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod kit;
mod lab;

use kit::Empty;
use lab::{Cli, Guest, Lab, Network, Place, Snapshot, eventually};

const CONFIG: &str = "mode = \"bridged\"\nuplink = \"none\"\nbridge = \"virbr0\"\n";

/// A host with a bridge as libvirt has it: an address, NAT, a MAC of its own and nobody on it. `more` is said of the bridge.
fn with_virbr0(more: &str) -> Lab {
    let lab = Lab::new(Network::BRIDGED);
    lab.write_config(CONFIG);
    lab.host_forwards_for_others();
    lab.host.ip(&format!("link add virbr0 {more} type bridge"));
    lab.host.ip("addr add 192.168.122.1/24 dev virbr0");
    lab.host.ip("link set virbr0 addrgenmode none up");
    lab.host.ip("link set virbr0 alias theirs");
    if !more.is_empty() {
        // It has had a guest before: with the first one the kernel makes routes that stay.
        lab.host.ip("link add vnet0 type veth peer name far");
        lab.host.ip("link set far up");
        lab.host.ip("link set vnet0 master virbr0 up");
        lab.settle_bridge("virbr0");
        lab.host.ip("link del vnet0");
        eventually("the bridge is alone", || lab.host.ip("link show virbr0").contains("state DOWN"));
    }
    lab.host.run("nft add table ip libvirt");
    lab.host.run("nft add chain ip libvirt out { type nat hook postrouting priority srcnat; }");
    lab.host.run("nft add rule ip libvirt out ip saddr 192.168.122.0/24 oifname eth3 masquerade");
    lab
}

fn guest(lab: &Lab, number: u8) -> Guest {
    let gateway4 = "192.168.122.1".to_owned();
    let v4 = format!("192.168.122.{number}");
    lab.boot_at(&Place { v4, gateway4, ..lab.network.guest(number) })
}

/// What the bridge has, but for what its ports do.
fn bridge(lab: &Lab) -> String {
    let shown = lab.host.ip("-d -o addr show dev virbr0") + &lab.host.ip("-d -o link show dev virbr0");
    let words: Vec<&str> = shown.split_whitespace().collect();
    let value = |word: &str| {
        let at = words.iter().position(|known| *known == word);
        at.map_or_else(String::new, |at| format!("{word} {}", words[at + 1]))
    };
    ["inet", "mtu", "link/ether", "stp_state", "forward_delay", "vlan_filtering", "group", "alias"]
        .map(value)
        .join(" ")
}

/// Guests come and go, by each way: they have what the bridge's owner gives, and the bridge stays as it was.
#[test]
fn a_bridge_of_another_program_serves_guests_and_stays_as_it_was() {
    for mac in ["address 52:54:00:99:99:99", ""] {
        let lab = with_virbr0(mac);
        let all_before = Snapshot::of(&lab.host);
        let before = bridge(&lab);
        let (one, two) = (guest(&lab, 7), guest(&lab, 8));
        lab.ifup(&one).ok();
        lab.ifup(&two).ok();
        eventually("the guest is on", || one.pings("192.168.122.1"));
        assert_eq!(bridge(&lab), before, "{mac}: with guests");
        for address in ["192.168.122.8", "192.168.122.1", "198.51.100.7"] {
            assert!(one.pings(address), "{mac}: {address}");
        }
        let taps = lab.host.ip("-d link show vif6.0");
        assert!(taps.contains("master virbr0") && taps.contains("kvmnet:tap on=virbr0"), "{taps}");
        assert!(lab.host.try_run("ip link show br0").status.code() != Some(0), "no other bridge is made");
        let plan = Cli::new(&lab.host, &["plan", one.tap()]).run().ok();
        assert!(plan.contains("nothing to do"), "{plan}");
        // One is shut down, the other one killed.
        lab.detach(one);
        two.kill();
        eventually("the bridge is alone", || !lab.host.ip("link show").contains("master virbr0"));
        assert_eq!(bridge(&lab), before, "{mac}: without");
        if !mac.is_empty() {
            lab.assert_as_before("the guests came and went", &all_before);
        }
        assert!(Cli::new(&lab.host, &["gc"]).run().ok().contains("nothing to do"));
    }
}

/// The guard of a tap holds here as anywhere: the host answers nothing that comes up on the tap itself.
#[test]
fn a_persistent_tap_gets_back_what_it_had() {
    let lab = with_virbr0("address 52:54:00:99:99:99");
    lab.host.ip("tuntap add vif6.0 mode tap");
    lab.host.ip("link set vif6.0 mtu 1400 alias mine");
    let before = Snapshot::of(&lab.host);
    let one = guest(&lab, 7);
    lab.ifup(&one).ok();
    let tap = lab.host.ip("-d link show vif6.0");
    assert!(tap.contains("mtu 1500") && tap.contains("link/ether fe:"), "{tap}");
    let filter = lab.host.run("tc filter show dev vif6.0 egress") + &lab.host.run("tc qdisc show dev vif6.0");
    assert!(filter.contains("clsact"), "{filter}");
    drop(one);
    let waits = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(waits.contains("waits for a process"), "{waits}");
    Cli::new(&lab.host, &["detach", "vif6.0"]).run().ok();
    lab.assert_as_before("detached", &before);
}

/// What is not right is said, with what to write, and nothing is done.
#[test]
fn what_is_not_a_bridge_to_join_is_refused() {
    let lab = with_virbr0("address 52:54:00:99:99:99");
    let one = guest(&lab, 7);
    let refused = |config: &str, line: &str, hint: &str| {
        lab.write_config(config);
        lab.wait_for_addresses();
        let before = Snapshot::of(&lab.host);
        let ran = lab.ifup(&one);
        assert!(ran.complains(1).contains(line) && ran.stderr.contains(hint), "{}", ran.stderr);
        lab.assert_as_before("a refusal", &before);
        let check = Cli::new(&lab.host, &["check"]).run().out;
        let check = check.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(check.contains(line), "{check}");
    };
    let of = |bridge: &str| CONFIG.replace("virbr0", bridge);
    refused(&of("br7"), "there is no bridge br7", "ip -br link show type bridge");
    refused(&of("eth3"), "eth3 is not a bridge but a veth", "set `bridge`");
    lab.host.ip("link set virbr0 down");
    refused(CONFIG, "the bridge virbr0 is down", "ip link set virbr0 up");
    lab.host.ip("link set virbr0 up");
    let lan = "[network.lan]\nmode = \"bridged\"\nuplink = \"none\"\nbridge = \"br0\"\ntaps = [\"vif6.0\"]\n";
    lab.write_config("bridge = \"br0\"\n");
    Cli::new(&lab.host, &["up", "default"]).run().ok();
    refused(
        &format!("bridge = \"br1\"\n{lan}"),
        "br0 is the bridge of kvmnet's network default",
        "KVMNET_NETWORK=default",
    );
    // What nothing keeps is swept first, so that its bridge is gone as well.
    Cli::new(&lab.host, &["down", "default"]).run().ok();
    lab.write_config(CONFIG);
    lab.ifup(&one).ok();
}

/// One VM only, from the environment; and from a network of kvmnet's to such a bridge and back.
#[test]
fn by_the_environment_and_from_network_to_network() {
    let lab = with_virbr0("address 52:54:00:99:99:99");
    lab.write_config("");
    let before = Snapshot::of(&lab.host);
    let one = guest(&lab, 7);
    let by_environment = || {
        let hook =
            lab.hook("/etc/qemu-ifup", &one).env("KVMNET_MODE", "bridged").env("KVMNET_UPLINK", "none");
        hook.env("KVMNET_BRIDGE", "virbr0").run()
    };
    by_environment().ok();
    lab.settle_bridge("virbr0");
    assert!(one.pings("198.51.100.7"));
    lab.ifup(&one).ok();
    assert!(lab.host.ip("link show vif6.0").contains("master br0"));
    by_environment().ok();
    assert!(lab.host.ip("link show vif6.0").contains("master virbr0"));
    assert!(!lab.host.try_run("ip link show br0").status.success(), "the network that it left is gone");
    lab.detach(one);
    lab.assert_as_before("the guest came and went", &before);
}

/// status, JSON and check know such guests; what another hand changes of them is found and put right.
#[test]
fn people_see_them() {
    let lab = with_virbr0("address 52:54:00:99:99:99");
    let check = || Cli::new(&lab.host, &["check"]).run().out.split_whitespace().collect::<Vec<_>>().join(" ");
    let status = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(status.contains("default: bridged on virbr0, not up"), "{status}");
    let one = guest(&lab, 7);
    lab.ifup(&one).ok();
    lab.settle_bridge("virbr0");
    let status = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(
        status.contains("default: bridged, up") && status.contains("virbr0, was there before"),
        "{status}"
    );
    assert!(status.contains("vif6.0") && !status.contains("not on any"), "{status}");
    let json = Cli::new(&lab.host, &["status", "--json"]).run().ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["networks"][0]["guests"][0]["tap"], "vif6.0");
    assert_eq!(json["strays"].as_array().unwrap().len(), 0);
    let said = check();
    assert!(said.contains("1 guest") && !said.contains("vif6.0"), "{said}");
    lab.host.run("tc filter del dev vif6.0 ingress");
    lab.host.run("tc filter del dev vif6.0 egress");
    lab.host.ip("link set vif6.0 type bridge_slave group_fwd_mask 0");
    assert!(check().contains("network default was changed by something else"), "{}", check());
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert!(!check().contains("was changed"), "{}", check());
    // Off its bridge, it is put back.
    lab.host.ip("link set vif6.0 nomaster");
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    eventually("the guest is on again", || one.pings("192.168.122.1"));
    lab.host.ip("link set virbr0 type bridge stp_state 1");
    assert!(check().contains("its spanning tree is on"), "{}", check());
}

/// QEMU itself, shut down and killed.
#[test]
fn a_qemu_comes_and_goes() {
    let lab = with_virbr0("address 52:54:00:99:99:99");
    let before = Snapshot::of(&lab.host);
    for is_killed in [false, true] {
        let qemu =
            Empty::run(&lab, "-nic tap,ifname=vif6.0,script=/etc/qemu-ifup,downscript=/etc/qemu-ifdown");
        assert!(kit::is_port(&lab, "vif6.0", "virbr0"));
        if is_killed {
            qemu.kill()
        } else {
            qemu.stop()
        }
        lab.assert_as_before("a QEMU came and went", &before);
    }
}
