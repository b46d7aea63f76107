//! `kvmnet-bridge-helper`: who gets what.

use std::time::Duration;

use super::asking::{Asking, HELPER, install, name, write_as};
use super::kit::{ALICE, BOB, VMS, becomes, config, files, lab, ports, status};
use crate::lab::bench::settled;
use crate::lab::{Cli, Image, Lab, Network, Vm, eventually, turn, within};

const LAB: &str = "\n[network.lab]\nmode = \"isolated\"\nbridge = \"br-lab\"\nusers = [\"alice\"]\n";

/// A host with a network that alice may use, one for the group vms, and one for nobody.
pub fn granted() -> Lab {
    let lab = lab(Network::NAT);
    let vms = "\n[network.vms]\nmode = \"host-only\"\nbridge = \"br-vms\"\naddress = \"10.0.201.3/24\"\nusers = [\"@vms\"]\n";
    lab.write_config(&format!("{}{LAB}{vms}", config(Network::NAT)));
    install(&lab);
    lab
}

#[test]
fn who_may() {
    let lab = granted();
    let before = settled(&lab);
    let tap = Asking::alice(&lab, "lab").run().granted();
    assert_eq!(name(&tap), "kvm0");
    let again = Asking::alice(&lab, "br-lab").run().granted();
    let grouped = Asking::alice(&lab, "vms").run().granted();
    assert_eq!(
        (ports(&lab, "br-lab").as_slice(), ports(&lab, "br-vms").as_slice()),
        (&["kvm0".to_owned(), "kvm1".to_owned()][..], &["kvm2".to_owned()][..])
    );
    assert!(lab.host.run("nft list tables").contains("kvmnet-br-lab"), "with all that its mode means");
    // By the group that the process is in, whatever the file says of its user.
    Asking::new(&lab, BOB, &[BOB, VMS], &["--fd=FD", "--br=vms"]).run().granted();
    let root = Asking::new(&lab, 0, &[0], &["--use-vnet", "--fd=FD", "--br=default"]).run().granted();
    drop((tap, again, grouped, root));
    eventually("the taps go with their files", || lab.host.ip("-o link show type tun").is_empty());
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("all are gone", &before);
}

/// What tells guests their addresses is root's, and the user is told where root has not started it.
#[test]
fn a_network_that_nobody_serves() {
    let lab = granted();
    let before = settled(&lab);
    lab.write_config(&format!("{}users = [\"alice\"]\n", Network::NAT.config()));
    for _ in 0..2 {
        let answer = Asking::alice(&lab, "default").run();
        assert_eq!((answer.status, answer.tap.is_some()), (Some(0), true), "{}", answer.err);
        let line = "kvmnet-bridge-helper: guests are told no addresses until root has run `kvmnet gc`\n";
        assert_eq!(answer.err, line);
    }
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("all are gone", &before);
}

#[test]
fn who_may_not() {
    let lab = granted();
    let before = settled(&lab);
    for network in ["default", "br0"] {
        Asking::alice(&lab, network).run().refused("alice may not put guests on the network default");
    }
    Asking::bob(&lab, "lab").run().refused("bob may not");
    Asking::bob(&lab, "vms").run().refused("bob may not");
    Asking::new(&lab, ALICE, &[ALICE], &["--fd=FD", "--br=vms"]).run().refused("alice may not");
    Asking::new(&lab, 4711, &[4711], &["--fd=FD", "--br=lab"]).run().refused("user 4711 may not");
    Asking::alice(&lab, "nowhere").run().refused("nowhere");
    Asking::alice(&lab, "eth3").run().refused("eth3");
    // What QEMU's own helper is allowed is another matter: these are networks of kvmnet's.
    write_as(&lab, "/etc/qemu/bridge.conf", "644", "allow all\n");
    Asking::alice(&lab, "br0").run().refused("alice may not");
    Asking::bob(&lab, "br-lab").run().refused("bob may not");
    lab.assert_as_before("nothing was given", &before);
    // One that stands, and is in the configuration no longer.
    let one = lab.attach(1);
    lab.write_config(LAB);
    let standing = settled(&lab);
    Asking::alice(&lab, "br0").run().refused("alice may not");
    lab.write_config("bridge = \"br9\"\n");
    Asking::alice(&lab, "br0").run().refused("br0");
    lab.assert_as_before("nothing was given", &standing);
    drop(one);
}

/// QEMU's own list, for bridges that are none of kvmnet's: a port, and nothing else.
#[test]
fn other_bridges() {
    let lab = granted();
    lab.host.ip("link add virbr7 type bridge forward_delay 0");
    lab.host.ip("addr add 192.168.122.1/24 dev virbr7");
    // A container's, so that the bridge carries before and after.
    lab.host.ip("link add veth7 master virbr7 type veth peer name inside7");
    ["virbr7", "veth7", "inside7"].iter().for_each(|link| drop(lab.host.ip(&format!("link set {link} up"))));
    lab.settle_bridge("virbr7");
    let before = settled(&lab);
    Asking::alice(&lab, "virbr7").run().refused("/etc/qemu/bridge.conf does not allow");
    for (text, word) in [
        ("deny virbr7\nallow all\n", "does not allow"),
        ("allow virbr70\n", "does not allow"),
        ("allow\n", "bridge.conf:1"),
        ("include /etc/qemu/bridge.conf\nallow all\n", "include each other"),
    ] {
        write_as(&lab, "/etc/qemu/bridge.conf", "644", text);
        Asking::alice(&lab, "virbr7").run().refused(word);
    }
    write_as(&lab, "/etc/qemu/bridge.conf", "666", "allow all\n");
    Asking::alice(&lab, "virbr7").run().refused("can write to it");
    write_as(&lab, "/etc/qemu/bridge.conf", "600", "allow all\n");
    Asking::alice(&lab, "virbr7").run().refused("Permission denied");
    // A file for each user, as QEMU's documentation has it.
    write_as(
        &lab,
        "/etc/qemu/bridge.conf",
        "644",
        "include /etc/qemu/alice.conf\ninclude /etc/qemu/bob.conf\n",
    );
    for (user, number) in [("alice", ALICE), ("bob", BOB)] {
        let path = format!("/etc/qemu/{user}.conf");
        write_as(&lab, &path, "640", if user == "alice" { "allow virbr7\n" } else { "deny all\n" });
        lab.host.run(&format!("chgrp {number} {path}"));
    }
    lab.assert_as_before("nothing was given", &before);
    Asking::bob(&lab, "virbr7").run().refused("does not allow");
    let tap = Asking::alice(&lab, "virbr7").run().granted();
    assert!(ports(&lab, "virbr7").contains(&name(&tap)));
    drop(tap);
    lab.assert_as_before("the bridge is as it was", &before);
}

/// A QEMU of alice's.
fn start(lab: &Lab, name: &str, arguments: &[&str]) -> Vm {
    lab.host.run("chmod 1777 /run/lab");
    let (alice, groups) = (ALICE.to_string(), format!("{ALICE},{VMS}"));
    let words = ["setpriv", "--reuid", &alice, "--regid", &alice, "--groups", &groups, "qemu-system-x86_64"];
    let before: Vec<String> = words.iter().chain(&["-name", name]).map(|&word| word.to_owned()).collect();
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    Vm::start_by(&lab.host, &before, name, &Image::busybox(), &arguments)
}

/// Two guests of a user, each by another way of QEMU's, reach one another and, as their network is isolated, nobody else.
#[test]
fn two_guests_of_qemu() {
    let lab = granted();
    let before = settled(&lab);
    let _turn = turn();
    let nic = format!("bridge,br=lab,helper={HELPER},model=virtio-net-pci,mac=52:54:00:00:00:01");
    let mut one = start(&lab, "one", &["-nic", &nic]);
    let netdev = format!("bridge,id=n0,br=br-lab,helper={HELPER}");
    let mut two = start(
        &lab,
        "two",
        &["-netdev", &netdev, "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:02"],
    );
    for (vm, number) in [(&mut one, 1), (&mut two, 2)] {
        vm.booted();
        vm.must(&format!("ip addr add 10.0.100.{number}/24 dev eth0 && ip link set eth0 up"));
        let process = vm.process();
        becomes(process, "qemu-system");
        assert_eq!(status(process, "CapPrm"), "0000000000000000");
        let taps = files(process).into_iter().filter(|(_, target)| target.ends_with("net/tun")).count();
        assert_eq!(taps, 1, "{:?}", files(process));
    }
    assert_eq!(ports(&lab, "br-lab"), ["kvm0", "kvm1"]);
    assert!(one.pings("10.0.100.2"));
    assert!(!one.pings("10.0.100.3") && !one.pings("192.168.1.230"));
    let said = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(said.contains("one") && said.contains("two") && said.contains("52:54:00:00:00:01"), "{said}");
    drop((one, two));
    eventually("the taps go with QEMU", || ports(&lab, "br-lab").is_empty());
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("both are gone", &before);
}

/// QEMU shows the line to the person, and does not start.
#[test]
fn a_qemu_that_is_refused() {
    let lab = granted();
    let before = settled(&lab);
    let netdev = format!("bridge,id=n0,br=default,helper={HELPER}");
    let (alice, qemu) = (ALICE.to_string(), "qemu-system-x86_64");
    let user = [
        "--reuid",
        &alice,
        "--regid",
        &alice,
        "--clear-groups",
        qemu,
        "-machine",
        "none",
        "-netdev",
        &netdev,
    ];
    let mut process = lab.host.start("setpriv", &user);
    assert!(within(Duration::from_secs(60), || process.has_ended()));
    assert!(!process.wait().success());
    assert!(
        process.printed().contains("alice may not put guests on the network default"),
        "{}",
        process.printed()
    );
    lab.assert_as_before("nothing was given", &before);
}

/// In a network with DHCP the VM's name and the MACs of its NICs are on the taps, each on its own.
#[test]
fn who_the_guest_is() {
    let lab = lab(Network::NAT);
    lab.write_config(&(Network::NAT.config() + "users = [\"alice\"]\n"));
    install(&lab);
    lab.host.run("chmod 1777 /run/lab");
    let nic =
        |mac: &str| format!("bridge,br=br0,helper={HELPER},model=virtio-net-pci,mac=52:54:00:00:00:{mac}");
    let (alice, [one, two]) = (ALICE.to_string(), ["01", "02"].map(nic));
    let words = ["--reuid", &alice, "--regid", &alice, "--clear-groups", "qemu-system-x86_64", "-nodefaults"];
    let rest = ["-S", "-display", "none", "-name", "web", "-nic", &one, "-nic", &two];
    let process = lab.host.start("setpriv", &[&words[..], &rest].concat());
    eventually("both taps are on", || ports(&lab, "br0").len() == 2 || process.has_ended());
    let alias = |tap: &str| lab.host.ip(&format!("link show dev {tap}"));
    for (tap, mac) in [("kvm0", "01"), ("kvm1", "02")] {
        let alias = alias(tap);
        assert!(alias.contains("vm=web") && alias.contains(&format!("nic=52:54:00:00:00:{mac}")), "{alias}");
        assert_eq!(alias.matches("nic=").count(), 1, "{alias}");
    }
}
