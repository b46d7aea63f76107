//! Who a guest is: its name and its MAC as its QEMU says them, and that no other has them, or its address, while it runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "qemu/kit.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod kit;
mod lab;

use serde_json::{Value, json};

use kit::{Empty, exists, is_port, lab, two_networks};
use lab::{Cli, Lab, Network, Tap, eventually};

const NAT: Network = Network::NAT;

/// What the record on a tap says of the guest.
fn record(lab: &Lab, tap: &str) -> String {
    let shown = lab.host.ip(&format!("link show dev {tap}"));
    let alias = shown.lines().find_map(|line| line.trim().strip_prefix("alias ")).unwrap_or_default();
    let is_guest = |word: &&str| ["vm=", "nic=", "at="].iter().any(|kind| word.starts_with(kind));
    alias.split(' ').filter(is_guest).collect::<Vec<_>>().join(" ")
}

/// What a guest has for itself.
fn claims(lab: &Lab, tap: &str) -> Vec<String> {
    let shown = lab.host.ip(&format!("link show dev {tap}"));
    shown.lines().filter_map(|line| line.trim().strip_prefix("altname ")).map(str::to_owned).collect()
}

/// A QEMU that must not start, and what its hook says.
#[track_caller]
fn refused(lab: &Lab, before: &str, arguments: &str) -> String {
    let (status, said) = Empty::start(lab, before, arguments).ends();
    assert!(!status.success(), "it must not start");
    said
}

#[test]
fn its_qemu_says_who_it_is() {
    let lab = lab(NAT);
    let mut one =
        Empty::run(&lab, "-name guest=Web-1,debug-threads=on -nic tap,ifname=vif0.0,mac=52:54:00:12:34:57");
    assert_eq!(record(&lab, "vif0.0"), "vm=web-1 nic=52:54:00:12:34:57");
    assert_eq!(claims(&lab, "vif0.0"), ["kvmnet-br0-525400123457"]);
    // QEMU's own MACs, and a tap whose name QEMU did not say.
    assert!(is_port(&lab, "vif0.0", "br0"));
    one.quit();
    eventually("the tap is gone", || !exists(&lab, "vif0.0"));
}

/// QEMU's own MACs: the next for the next NIC, also on taps whose names QEMU was not told.
#[test]
fn nics_and_taps_that_were_given_nothing() {
    let lab = lab(NAT);
    let _one = Empty::run(&lab, "-nic tap,ifname=vif0.0 -nic tap -nic tap");
    let nics = ["vif0.0", "tap0", "tap1"].map(|tap| record(&lab, tap));
    assert_eq!(nics, ["nic=52:54:00:12:34:56", "nic=52:54:00:12:34:57", "nic=52:54:00:12:34:58"]);
}

/// A script of the owner's stands between QEMU and the hook.
#[test]
fn a_script_that_runs_the_hook() {
    let lab = lab(NAT);
    kit::script(&lab, "/run/lab/up", "/etc/qemu-ifup \"$1\"");
    let _one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0,script=/run/lab/up");
    assert_eq!(record(&lab, "vif0.0"), "vm=web nic=52:54:00:12:34:56");
}

#[test]
fn a_second_guest_with_its_mac_is_refused() {
    let lab = lab(NAT);
    let one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
    let said = refused(&lab, "", "-nic tap,ifname=vif1.0");
    assert!(said.contains("52:54:00:12:34:56 is the MAC of vif0.0 (web)"), "{said}");
    assert!(said.contains("mac=52:54:00:") && said.contains("gives the same one to all"), "{said}");
    assert!(is_port(&lab, "vif0.0", "br0"), "the first is well");
    let two = Empty::run(&lab, "-nic tap,ifname=vif1.0,mac=52:54:00:12:34:57");
    // Killed, and started again at once; and the other one when the first is gone.
    one.kill();
    let one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
    one.stop();
    let _three = Empty::run(&lab, "-nic tap,ifname=vif2.0");
    two.stop();
}

#[test]
fn a_second_guest_with_its_address_is_refused() {
    let lab = lab(NAT);
    let address = "env KVMNET_GUEST_ADDRESS=10.0.100.7,fd00:100::7";
    let one = Empty::start(&lab, address, "-name web -nic tap,ifname=vif0.0").running(&lab);
    assert_eq!(record(&lab, "vif0.0"), "vm=web nic=52:54:00:12:34:56 at=10.0.100.7 at=fd00:100::7");
    let two = "-nic tap,ifname=vif1.0,mac=52:54:00:12:34:57";
    let said = refused(&lab, "env KVMNET_GUEST_ADDRESS=10.0.100.7", two);
    assert!(said.contains("10.0.100.7 is the address of vif0.0 (web)"), "{said}");
    let said = refused(&lab, "env KVMNET_GUEST_ADDRESS=fd00:100::7", two);
    assert!(said.contains("fd00:100::7 is the address of vif0.0 (web)"), "{said}");
    one.kill();
    Empty::start(&lab, "env KVMNET_GUEST_ADDRESS=10.0.100.7", two).running(&lab).stop();
}

/// Where nobody has a use for it, nothing is asked and nothing refused: `kvmnet check` finds two with one MAC.
#[test]
fn a_network_without_a_use_for_it() {
    for network in [Network::HOST_ONLY, Network::ISOLATED, Network { keys: "dhcp = false\n", ..NAT }] {
        let lab = lab(network);
        let _one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
        let _two = Empty::run(&lab, "-name web -nic tap,ifname=vif1.0");
        for tap in ["vif0.0", "vif1.0"] {
            assert_eq!((record(&lab, tap).as_str(), claims(&lab, tap).len()), ("", 0));
        }
    }
}

/// On purpose, as in a bond.
#[test]
fn two_nics_of_one_vm_may_have_one_mac() {
    let lab = lab(NAT);
    let nic = |tap: &str| format!("-nic tap,ifname={tap},mac=52:54:00:12:34:57");
    let bond = Empty::run(&lab, &format!("-name bond {} {}", nic("vif0.0"), nic("vif1.0")));
    assert!(is_port(&lab, "vif0.0", "br0") && is_port(&lab, "vif1.0", "br0"));
    let said = refused(&lab, "", &nic("vif2.0"));
    assert!(said.contains("is the MAC of vif0.0 (bond)"), "{said}");
    bond.stop();
    Empty::run(&lab, &nic("vif2.0")).stop();
}

/// One MAC on two networks, and two VMs of one name, are nobody's business.
#[test]
fn what_two_may_have() {
    let lab = two_networks(NAT, NAT);
    let _one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
    let _two = Empty::run(&lab, "-name web -nic tap,ifname=lab0.0");
    let _three = Empty::run(&lab, "-name web -nic tap,ifname=vif1.0,mac=52:54:00:12:34:57");
    assert_eq!(claims(&lab, "lab0.0"), ["kvmnet-br-lab-525400123456"]);
}

/// A guest sends what it likes; it does not thereby keep another from starting.
#[test]
fn frames_with_the_mac_of_another_keep_nobody_out() {
    let lab = lab(NAT);
    let forger = lab.attach(1);
    let victim = "52:54:00:12:34:57";
    for _ in 0..3 {
        forger.ip(&format!("link set eth0 address {victim}"));
        forger.pings("10.0.100.3");
    }
    eventually("the bridge has learned it", || lab.host.run("bridge fdb show br br0").contains(victim));
    let two = Empty::run(&lab, &format!("-name two -nic tap,ifname=vif1.0,mac={victim}"));
    assert_eq!(record(&lab, "vif1.0"), format!("vm=two nic={victim}"));
    two.stop();
}

/// A name is what somebody typed: whatever it is, a label of the DNS comes of it, or nothing.
#[test]
fn names_of_any_kind() {
    let lab = lab(NAT);
    let long = "x".repeat(300);
    for (name, expected) in [
        ("$(reboot);`id`", "vm=reboot-id"),
        ("\u{6f22}\u{5b57}", ""),
        ("b\u{fc}cher", "vm=b-cher"),
        ("../../etc/passwd", "vm=etc-passwd"),
        ("a,,b=c", "vm=a-b-c"),
        ("\u{1b}[2J\u{7f}x", "vm=2j-x"),
        ("was=x", "vm=was-x"),
        (&long, &format!("vm={}", "x".repeat(63))),
    ] {
        let one = Empty::run(&lab, &format!("-name guest={name} -nic tap,ifname=vif0.0"));
        let record = record(&lab, "vif0.0");
        let named: Vec<&str> = record.split(' ').filter(|word| word.starts_with("vm=")).collect();
        assert_eq!(named.join(" "), expected, "{name}");
        one.stop();
    }
}

/// What is known of a guest is seen.
#[test]
fn status_and_check_know_it() {
    let lab = lab(NAT);
    let address = "env KVMNET_GUEST_ADDRESS=10.0.100.7";
    let _one = Empty::start(&lab, address, "-name Web_1 -nic tap,ifname=vif0.0").running(&lab);
    let data: Value = serde_json::from_str(&Cli::new(&lab.host, &["status", "--json"]).run().ok()).unwrap();
    let guest = &data["networks"][0]["guests"][0];
    assert_eq!((&guest["vm"], &guest["name"]), (&json!("Web_1"), &json!("web-1")));
    assert_eq!(
        (&guest["mac_given"], &guest["kept_addresses"]),
        (&json!("52:54:00:12:34:56"), &json!(["10.0.100.7"]))
    );
    let text = Cli::new(&lab.host, &["status"]).run().ok();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("10.0.100.7 kept for it, called web-1"), "{text}");
    // One that took the MAC by itself is found, and each by its name.
    let two = lab.attach(2);
    two.ip("link set eth0 address 52:54:00:12:34:56");
    eventually("the bridge has learned it", || {
        two.pings("10.0.100.3");
        let said = Cli::new(&lab.host, &["check", "--json"]).run();
        said.out.contains("vif0.0 (Web_1, process ") && said.out.contains("52:54:00:12:34:56")
    });
}

/// A persistent tap waits for its next process, and who that is, it says itself.
#[test]
fn a_persistent_tap() {
    let lab = lab(NAT);
    lab.host.ip("tuntap add vif0.0 mode tap");
    let one = Empty::run(&lab, "-name one -nic tap,ifname=vif0.0,downscript=no");
    one.stop();
    let said = refused(&lab, "", "-nic tap,ifname=vif1.0");
    assert!(said.contains("is the MAC of vif0.0 (one)"), "it waits: {said}");
    let two = Empty::run(&lab, "-name two -nic tap,ifname=vif0.0,mac=52:54:00:12:34:58,downscript=no");
    assert_eq!(record(&lab, "vif0.0"), "vm=two nic=52:54:00:12:34:58");
    assert_eq!(claims(&lab, "vif0.0"), ["kvmnet-br0-525400123458"]);
    two.stop();
    // A person who attaches it again knows no better.
    Cli::new(&lab.host, &["attach", "vif0.0"]).run().ok();
    assert_eq!(record(&lab, "vif0.0"), "vm=two nic=52:54:00:12:34:58");
    Cli::new(&lab.host, &["detach", "vif0.0"]).run().ok();
    assert_eq!((record(&lab, "vif0.0").as_str(), claims(&lab, "vif0.0").len()), ("", 0));
    assert!(!lab.host.ip("link show dev vif0.0").contains("altname"));
    let three = Empty::run(&lab, "-nic tap,ifname=vif1.0,mac=52:54:00:12:34:58");
    three.stop();
}

/// It is found by what it has, whatever its owner calls it by now.
#[test]
fn a_tap_with_another_name() {
    let lab = lab(NAT);
    let one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
    lab.host.ip("link set vif0.0 down");
    lab.host.ip("link set vif0.0 name mine");
    lab.host.ip("link set mine up");
    let said = refused(&lab, "", "-nic tap,ifname=vif1.0");
    assert!(said.contains("is the MAC of mine (web)"), "{said}");
    one.kill();
    Empty::run(&lab, "-nic tap,ifname=vif1.0").stop();
}

#[test]
fn a_tap_that_moves_to_another_network() {
    let lab = two_networks(NAT, NAT);
    let one = Empty::run(&lab, "-name web -nic tap,ifname=vif0.0");
    Cli::new(&lab.host, &["attach", "vif0.0"]).env("KVMNET_NETWORK", "lab").run().ok();
    assert_eq!(claims(&lab, "vif0.0"), ["kvmnet-br-lab-525400123456"]);
    assert_eq!(record(&lab, "vif0.0"), "vm=web nic=52:54:00:12:34:56");
    Empty::run(&lab, "-nic tap,ifname=vif1.0").stop();
    one.stop();
}

/// `kvmnet apply` has no environment of the guests': it keeps what was said, and puts it back.
#[test]
fn apply_keeps_what_is_known() {
    let lab = lab(NAT);
    let address = "env KVMNET_GUEST_ADDRESS=10.0.100.7";
    let _one = Empty::start(&lab, address, "-name web -nic tap,ifname=vif0.0").running(&lab);
    let before = (record(&lab, "vif0.0"), claims(&lab, "vif0.0"));
    assert_eq!(before.1.len(), 2);
    lab.host.ip("link property del dev vif0.0 altname kvmnet-br0-10.0.100.7");
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert_eq!((record(&lab, "vif0.0"), claims(&lab, "vif0.0")), before);
}

/// A tap that somebody else made says what it likes.
#[test]
fn a_forged_record() {
    let lab = lab(NAT);
    let tap = Tap::open(&lab.host, "vif5.0");
    let forged = "kvmnet:tap on=br0 vm=x nic=52:54:00:12:34:57 at=10.0.100.3 at=192.168.1.1 later=1";
    lab.host.batch(&format!("link set vif5.0 alias \"{forged}\"\n"));
    lab.host.ip("link property add dev vif5.0 altname kvmnet-br0-10.0.100.9");
    let said = refused(&lab, "env KVMNET_GUEST_ADDRESS=10.0.100.9", "-nic tap,ifname=vif0.0");
    assert!(
        said.contains("10.0.100.9 is the address of vif5.0 (x)"),
        "it is named, as one that can be deleted: {said}"
    );
    Cli::new(&lab.host, &["attach", "vif5.0"]).run().ok();
    assert_eq!(record(&lab, "vif5.0"), "vm=x nic=52:54:00:12:34:57");
    assert!(lab.host.ip("link show dev vif5.0").contains("later=1"));
    drop(tap);
    Empty::run(&lab, "-nic tap,ifname=vif0.0,mac=52:54:00:12:34:57").stop();
}
