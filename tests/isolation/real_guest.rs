//! The same from inside a real guest: QEMU with the tests' Linux, in which this very program sends what the test wrote for it.

use std::env;
use std::fs;

use crate::attack::{Attack, Attacks, Names};
use crate::ground::Ground;
use crate::judge::{Judge, tell};
use crate::lab::{Image, Machine, Network, Tap, Vm, eventually, inject_all, turn};

/// Where the guest finds the frames, each behind its length, and the variable that says so.
const FILE: &str = "/frames";
const VARIABLE: &str = "KVMNET_TEST_FRAMES";
const NAME: &str = "real_guest::a_file_of_frames_is_sent_as_it_is";

fn written(frames: &[Vec<u8>]) -> Vec<u8> {
    let length = |frame: &[u8]| u16::try_from(frame.len()).unwrap().to_be_bytes();
    frames.iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
}

fn read(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        frames.push(frame.to_vec());
        bytes = rest;
    }
    frames
}

/// In the guest this is the attacker. Elsewhere it tries that out: what is in a file comes out of a NIC.
#[test]
fn a_file_of_frames_is_sent_as_it_is() {
    if let Some(file) = env::var_os(VARIABLE) {
        let frames = read(&fs::read(file).unwrap());
        crate::lab::send_here("eth0", frames.iter().map(Vec::as_slice));
        println!("{} frames sent", frames.len());
        return;
    }
    let frames: Vec<Vec<u8>> = (60..200).map(|length| vec![length as u8; length]).collect();
    let machine = Machine::new();
    let tap = Tap::open(&machine, "eth0");
    machine.ip("link set eth0 up");
    inject_all(&machine, "eth0", read(&written(&frames)).iter().map(Vec::as_slice));
    let mut came = Vec::new();
    eventually("all have come", || {
        came.extend(
            tap.receive().filter(|frame| frame.windows(8).all(|part| part.iter().all(|b| *b == part[0]))),
        );
        came.len() == frames.len()
    });
    assert_eq!(came, frames);
}

/// Of all attacks some of each kind: an emulated guest is slow.
fn some(ground: &Ground, tap: &str) -> Vec<Attack> {
    let mut names = Names::of(ground);
    names.macs.push(("own tap", ground.lab.host.mac(tap)));
    let mut attacks = Attacks::default();
    attacks.forged_packets(&names);
    attacks.shaped_packets(&names);
    attacks.frames(&names);
    attacks.arp(&names);
    let mut attacks = attacks.all;
    let every = attacks.len() / 5000;
    let mut at = 0;
    attacks.retain(|attack| {
        at += 1;
        at % every == 0 && attack.frame.len() <= 1514
    });
    attacks
}

/// Boots a guest on the network, sends from it, and returns how many frames got through.
#[track_caller]
fn gets_through(network: Network, damage: &[&str]) -> usize {
    let _turn = turn();
    let ground = Ground::new(network, true);
    let host = &ground.lab.host;
    let place = network.guest(3);
    // The tap has its MAC as soon as there is one; what is sent to it is written before.
    host.run(&format!("ip tuntap add {} mode tap", place.tap));
    let attacks = some(&ground, &place.tap);
    let frames: Vec<Vec<u8>> = attacks.iter().map(|attack| attack.frame.clone()).collect();
    let image = Image::busybox().with(host, "attacker", |files| {
        files.add_file("/attacker", &env::current_exe().unwrap());
        files.add(FILE, &written(&frames));
    });
    let arguments = [
        "-netdev".to_owned(),
        format!("tap,id=n0,ifname={},script=/etc/qemu-ifup,downscript=/etc/qemu-ifdown", place.tap),
        "-device".to_owned(),
        format!("virtio-net-pci,netdev=n0,mac={},romfile=", place.mac),
    ];
    let mut vm = Vm::start(host, &place.tap, &image, &arguments);
    vm.booted();
    vm.must("ip link set eth0 up && until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done");
    damage.iter().for_each(|command| drop(host.run(command)));
    let mut judge = Judge::at(&ground, &place.tap);
    let said = vm.must(&format!("{VARIABLE}={FILE} /attacker --exact {NAME} --nocapture"));
    assert!(said.contains(&format!("{} frames sent", frames.len())), "{said}");
    let what = format!("{} from inside a real guest {damage:?}", network.mode);
    tell(&what, &attacks, &judge.verdict())
}

#[test]
fn isolated() {
    assert_eq!(gets_through(Network::ISOLATED, &[]), 0);
}

#[test]
fn host_only() {
    assert_eq!(gets_through(Network::HOST_ONLY, &[]), 0);
}

#[test]
fn nat() {
    assert_eq!(gets_through(Network::NAT, &[]), 0);
}

#[test]
fn routed_without_its_rules_is_found_out() {
    assert!(gets_through(Network::ROUTED, &["nft flush ruleset"]) > 0, "the attacks come out of the guest");
}
