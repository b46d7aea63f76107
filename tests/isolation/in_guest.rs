//! Frames that a real guest sends: QEMU with the tests' Linux, in which this very program sends what a test wrote for it.

use std::env;
use std::fs;

use crate::attack::{Attack, Attacks, Names};
use crate::lab::{Image, Machine, Place, Tap, Vm, eventually, inject_all, send_here};

/// Where the guest finds the frames, each behind its length, and the variable that says so.
const FILE: &str = "/frames";
const VARIABLE: &str = "KVMNET_TEST_FRAMES";
const NAME: &str = "in_guest::a_file_of_frames_is_sent_as_it_is";

fn written<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let length = |frame: &[u8]| u16::try_from(frame.len()).unwrap().to_be_bytes();
    frames.into_iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
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
        send_here("eth0", frames.iter().map(Vec::as_slice));
        println!("{} frames sent", frames.len());
        return;
    }
    let frames: Vec<Vec<u8>> = (60..200).map(|length| vec![length as u8; length]).collect();
    let machine = Machine::new();
    let tap = Tap::open(&machine, "eth0");
    machine.ip("link set eth0 up");
    let file = written(frames.iter().map(Vec::as_slice));
    inject_all(&machine, "eth0", read(&file).iter().map(Vec::as_slice));
    let is_one = |frame: &Vec<u8>| frame.iter().all(|byte| *byte == frame[0]);
    let mut came = Vec::new();
    eventually("all have come", || {
        came.extend(tap.receive().filter(is_one));
        came.len() == frames.len()
    });
    assert_eq!(came, frames);
}

/// Of all attacks so many of each kind: an emulated guest is slow.
pub fn some(names: &Names, most: usize) -> Vec<Attack> {
    let mut attacks = Attacks::of(names).all;
    attacks.retain(|attack| attack.frame.len() <= 1514);
    let every = (attacks.len() / most).max(1);
    attacks.into_iter().step_by(every).collect()
}

/// A guest that is on its network, with all that it shall send.
pub struct Attacker {
    vm: Vm,
    count: usize,
}

impl Attacker {
    #[track_caller]
    pub fn boot(host: &Machine, place: &Place, attacks: &[Attack]) -> Self {
        let image = Image::busybox().with(host, "attacker", |files| {
            files.add_file("/attacker", &env::current_exe().unwrap());
            files.add(FILE, &written(attacks.iter().map(|attack| attack.frame.as_slice())));
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
        Self { vm, count: attacks.len() }
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self) {
        let said = self.vm.must(&format!("{VARIABLE}={FILE} /attacker --exact {NAME} --nocapture"));
        assert!(said.contains(&format!("{} frames sent", self.count)), "{said}");
    }
}
