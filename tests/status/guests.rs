//! Who is behind the taps.

use serde_json::json;

use crate::kit::{Seen, look, look_until, texts};
use crate::lab::{Cli, Lab, Network};
use crate::qemu::Empty;

/// QEMU tells its guest's name, in either form; without one it is the program's.
#[test]
fn names_and_processes_of_guests() {
    let lab = Lab::new(Network::NAT);
    let on = |before: &str, tap: &str| Empty::run(&lab, &format!("{before} -netdev tap,id=n0,ifname={tap}"));
    let (one, two, three) =
        (on("-name web", "vif0.0"), on("-name guest=mail,debug-threads=on", "vif1.0"), on("", "vif2.0"));
    let seen = look(&lab);
    for (tap, vm, qemu) in
        [("vif0.0", "web", &one), ("vif1.0", "mail", &two), ("vif2.0", "qemu-system-x86_64", &three)]
    {
        let guest = seen.guest(tap);
        assert_eq!(guest["vm"], vm);
        let process =
            json!({ "pid": qemu.pid().as_raw(), "program": "qemu-system-x86_64", "elsewhere": false });
        assert_eq!(guest["processes"], json!([process]));
        assert_eq!((&guest["attached"], &guest["persistent"]), (&json!(true), &json!(false)));
        seen.says(&format!("{tap} {vm}, up, received"));
        seen.says(&format!("qemu-system-x86_64 (pid {})", qemu.pid()));
    }
    seen.says("guests 3");
    [one, two, three].into_iter().for_each(Empty::stop);
}

/// One QEMU with two taps, one of them with four queues, is one process behind each.
#[test]
fn one_guest_with_two_taps() {
    let lab = Lab::new(Network::NAT);
    let taps = "-netdev tap,id=n0,ifname=vif0.0,queues=4 -netdev tap,id=n1,ifname=vif1.0";
    let one = Empty::run(&lab, &format!("-name router {taps}"));
    let seen = look(&lab);
    for tap in ["vif0.0", "vif1.0"] {
        assert_eq!(seen.guest(tap)["vm"], "router");
        assert_eq!(seen.guest(tap)["processes"].as_array().unwrap().len(), 1);
    }
    seen.says("guests 1, on 2 taps");
    one.stop();
}

/// The classic: two guests that were given no MAC have the same one.
#[test]
fn two_guests_with_the_same_mac() {
    // With DHCP the second does not start.
    let lab = Lab::new(Network { keys: "dhcp = false\n", ..Network::NAT });
    let boot = |tap: &str, mac: &str| {
        let nic = format!("-netdev tap,id=n0,ifname={tap} -device virtio-net-pci,netdev=n0,romfile={mac}");
        Empty::run(&lab, &format!("-machine pc,accel=tcg -S -m 32 {nic}"))
    };
    let (one, two) = (boot("vif0.0", ""), boot("vif1.0", ""));
    let three = boot("vif2.0", ",mac=52:54:00:12:34:57");
    let seen = look(&lab);
    assert_eq!(seen.guest("vif0.0")["mac_given"], "52:54:00:12:34:56");
    assert_eq!(texts(&seen.guest("vif0.0")["same_mac_as"]), ["vif1.0"]);
    assert_eq!(texts(&seen.guest("vif1.0")["same_mac_as"]), ["vif0.0"]);
    assert_eq!(texts(&seen.guest("vif2.0")["same_mac_as"]), [] as [&str; 0]);
    seen.says("52:54:00:12:34:57 by its command line, not seen yet");
    seen.says("has the same MAC as vif1.0: give each guest one of its own");
    [one, two, three].into_iter().for_each(Empty::kill);
}

/// What a guest sent is what its tap received.
#[test]
fn bytes_are_the_guests() {
    let lab = Lab::new(Network::ISOLATED);
    let one = lab.attach(1);
    let count = |key: &str| look(&lab).guest("vif0.0")[key].as_u64().unwrap();
    let (received, sent) = (count("guest_received_bytes"), count("guest_sent_bytes"));
    let mut frame = vec![0; 1000];
    frame[..6].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 0x99]);
    frame[6..12].copy_from_slice(&[0x52, 0x54, 0, 0, 0, 0x01]);
    (0..500).for_each(|_| one.inject(&frame));
    let sent_now = count("guest_sent_bytes");
    assert!(sent_now >= sent + 500_000, "from {sent} to {sent_now}");
    assert!(count("guest_received_bytes") < received + 500_000, "nothing came back");
    let shown = look_until("the amount is shown for people", &lab, |seen| {
        let sent = seen.guest("vif0.0")["guest_sent_bytes"].as_u64().unwrap() as f64 / 1000.0;
        seen.text.contains(&format!("sent {sent:.1} kB"))
    });
    shown.says("up, received");
}

/// A tap that outlives its process waits for the next; one that another program took off its bridge is a stray.
#[test]
fn taps_without_a_process_and_without_a_bridge() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add vif0.0 mode tap");
    let hook = crate::lab::Hook::new(&lab.host, "/etc/qemu-ifup", &["vif0.0"]);
    hook.run().ok();
    let seen = look(&lab);
    let guest = seen.guest("vif0.0");
    assert_eq!((&guest["link"], &guest["persistent"]), (&json!("no-process"), &json!(true)));
    assert_eq!((&guest["vm"], &guest["processes"]), (&json!(null), &json!([])));
    seen.says("vif0.0 waits for a process, received");
    assert_eq!(seen.data["strays"], json!([]));
    lab.host.ip("link set vif0.0 down");
    assert_eq!(look(&lab).guest("vif0.0")["link"], "down");
    lab.host.ip("link set vif0.0 nomaster");
    let seen = look(&lab);
    assert_eq!(seen.network("default")["guests"], json!([]));
    assert_eq!(seen.data["strays"][0]["tap"], "vif0.0");
    assert_eq!(seen.data["strays"][0]["bridge"], json!(null));
    seen.says("Attached by kvmnet, but not on any of its bridges now: vif0.0 down");
    seen.says("problem no guest is on it; `kvmnet gc` or the next hook removes it");
}

/// Others' ports of the bridge are told from guests, and others' taps from attached ones.
#[test]
fn ports_of_others() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.host.ip("link add box0 type veth peer name box1");
    lab.host.ip("link set box0 master br0");
    lab.host.ip("tuntap add other0 mode tap");
    lab.host.ip("link set other0 master br0");
    let seen = look(&lab);
    assert_eq!(texts(&seen.network("default")["other_ports"]), ["box0"]);
    assert_eq!(seen.guest("other0")["attached"], false);
    seen.says("was not attached by kvmnet");
    seen.says("others box0");
}

/// A name is what somebody wrote on a command line: a terminal does not obey it, and none is cut.
#[test]
fn names_that_are_not_nice() {
    let lab = Lab::new(Network::NAT);
    let long = "a-machine-with-a-name-that-nobody-would-type-".repeat(3);
    let one = Empty::run(&lab, &format!("-name {long} -netdev tap,id=n0,ifname=vif0.0"));
    let two = Empty::run(&lab, "-name a\u{1b}[31mb\u{9b}2J -netdev tap,id=n0,ifname=vif1.0");
    let raw = Cli::new(&lab.host, &["status", "--json"]).run().ok();
    assert!(!raw.contains('\u{1b}') && !raw.contains('\u{9b}'), "{raw:?}");
    let said = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(!said.contains('\u{1b}') && !said.contains('\u{9b}'), "{said:?}");
    assert!(said.contains("a\\u{1b}[31mb\\u{9b}2J, up"), "{said}");
    let seen = look(&lab);
    assert_eq!(seen.guest("vif0.0")["vm"], long.as_str());
    assert_eq!(seen.guest("vif1.0")["vm"], "a\u{1b}[31mb\u{9b}2J", "data are as they are");
    let unbroken: String = seen.text.split_whitespace().collect();
    assert!(unbroken.contains(&long), "{}", seen.text);
    [one, two].into_iter().for_each(Empty::stop);
}

/// A guest that sends with many MACs, as each that is root in its VM can, is told in a few words.
#[test]
fn a_guest_with_a_thousand_macs() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    lab.settle();
    assert!(one.pings("10.0.100.3"), "the bridge has learned its own");
    for number in 0..2000_u16 {
        let [high, low] = number.to_be_bytes();
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame[6..12].copy_from_slice(&[2, 0, 9, 9, high, low]);
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        one.inject(&frame);
    }
    let count = |seen: &Seen| seen.guest("vif0.0")["mac_count"].as_u64().unwrap();
    let seen = look_until("the bridge has learned hundreds", &lab, |seen| count(seen) > 500);
    assert_eq!(texts(&seen.guest("vif0.0")["macs"]).len(), 8);
    seen.says(&format!("{} MACs", count(&seen)));
    assert!(seen.data.to_string().len() < 10_000 && seen.text.len() < 4000, "{}", seen.text);
}
