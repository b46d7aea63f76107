//! The same from inside a real guest: QEMU says the MAC, and what comes to another guest is looked at by hand.

use std::env;
use std::fs;
use std::net::IpAddr;

use crate::attack::{ATTACKER, Attacks, Names, token_in};
use crate::ground::{Ground, config};
use crate::lab::{Image, Machine, Network, Tap, Vm, eventually, frame, inject_all, send_here, turn, within};

const FILE: &str = "/frames";
const VARIABLE: &str = "KVMNET_TEST_FRAMES";
const NAME: &str = "real_guest::frames_of_a_file_are_sent";
const KEYS: &str = "filter = true\nguest_address = [\"10.0.100.1\", \"fd00:100::1\"]\n";

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

/// In the guest this is the attacker. Elsewhere it tries that out.
#[test]
fn frames_of_a_file_are_sent() {
    if let Some(file) = env::var_os(VARIABLE) {
        let frames = read(&fs::read(file).unwrap());
        send_here("eth0", frames.iter().map(Vec::as_slice));
        println!("{} frames sent", frames.len());
        return;
    }
    let frames = vec![vec![7; 60], vec![8; 1400]];
    let machine = Machine::new();
    let tap = Tap::open(&machine, "eth0");
    machine.ip("link set eth0 up");
    inject_all(&machine, "eth0", read(&written(&frames)).iter().map(Vec::as_slice));
    let mut came = Vec::new();
    eventually("both have come", || {
        came.extend(tap.receive().filter(|frame| frames.contains(frame)));
        came == frames
    });
}

/// Whether a frame may come from the guest: by the words of docs/security.md, not by the program.
fn is_own(bytes: &[u8]) -> bool {
    let is_address = |address: IpAddr| {
        let text = address.to_string();
        text == "10.0.100.1" || text == "fd00:100::1" || text.starts_with("fe80:")
    };
    let is_from_own = match frame::ethertype(bytes) {
        Some(frame::ARP) => {
            bytes[22..28] == ATTACKER && [&[10, 0, 100, 1][..], &[0; 4]].contains(&&bytes[28..32])
        }
        Some(frame::IPV4 | frame::IPV6) => {
            frame::addresses(bytes).is_some_and(|(source, _)| is_address(source))
        }
        _ => false,
    };
    is_from_own && frame::sender(bytes) == Some(ATTACKER)
}

#[test]
fn a_real_guest_speaks_as_itself() {
    let _turn = turn();
    let network = Network::ISOLATED;
    let ground = Ground::new(network, true);
    let host = &ground.lab.host;
    ground.lab.write_config(&config(&Network { keys: KEYS, ..network }));
    let place = network.guest(3);
    let mut attacks = Attacks::default();
    let names = Names::of(&ground);
    attacks.forged_packets(&names);
    attacks.shaped_packets(&names);
    attacks.frames(&names);
    attacks.arp(&names);
    let mut frames: Vec<Vec<u8>> = attacks.all.into_iter().map(|attack| attack.frame).collect();
    frames.retain(|frame| frame.len() <= 1514);
    let every = (frames.len() / 4000).max(1);
    let frames: Vec<Vec<u8>> = frames.into_iter().step_by(every).collect();
    let image = Image::busybox().with(host, "attacker", |files| {
        files.add_file("/attacker", &env::current_exe().unwrap());
        files.add(FILE, &written(&frames));
    });
    let mac: Vec<String> = ATTACKER.iter().map(|byte| format!("{byte:02x}")).collect();
    let arguments = [
        "-netdev".to_owned(),
        format!("tap,id=n0,ifname={},script=/etc/qemu-ifup,downscript=/etc/qemu-ifdown", place.tap),
        "-device".to_owned(),
        format!("virtio-net-pci,netdev=n0,mac={},romfile=", mac.join(":")),
    ];
    let mut vm = Vm::start(host, &place.tap, &image, &arguments);
    vm.booted();
    vm.must("ip link set eth0 up && until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done");
    let before = ground.two.count();
    let said = vm.must(&format!("{VARIABLE}={FILE} /attacker --exact {NAME} --nocapture"));
    assert!(said.contains(&format!("{} frames sent", frames.len())), "{said}");
    within(std::time::Duration::from_millis(400), || false);
    let heard: Vec<Vec<u8>> =
        ground.two.heard_since(before).into_iter().filter(|frame| token_in(frame).is_some()).collect();
    let bad: Vec<&Vec<u8>> = heard.iter().filter(|frame| !is_own(frame)).collect();
    println!(
        "{} frames, {} in its own name came, {} in others'",
        frames.len(),
        heard.len() - bad.len(),
        bad.len()
    );
    assert!(bad.is_empty(), "{:02x?}", bad[0]);
    assert!(heard.len() > 10, "what is its own comes");
}
