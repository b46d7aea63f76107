//! The same from inside a real guest: QEMU says the MAC, and what comes to another guest is looked at by hand.

use std::net::IpAddr;

use crate::attack::{ATTACKER, Names, token_in};
use crate::ground::{Ground, config};
use crate::in_guest::{Attacker, some};
use crate::lab::{Network, Place, frame, turn, within};

const KEYS: &str = "filter = true\nguest_address = [\"10.0.100.1\", \"fd00:100::1\"]\n";

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
        // A guest that was migrated says where it is (RARP).
        Some(0x8035) => bytes[22..28] == ATTACKER && bytes[28..32] == [0; 4],
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
    ground.lab.write_config(&config(&Network { keys: KEYS, ..network }));
    let mac = ATTACKER.map(|byte| format!("{byte:02x}")).join(":");
    let place = Place { mac, ..network.guest(3) };
    let attacks = some(&Names::of(&ground), 4000);
    let mut attacker = Attacker::boot(&ground.lab.host, &place, &attacks);
    let before = ground.two.count();
    attacker.send();
    within(std::time::Duration::from_millis(400), || false);
    let heard: Vec<Vec<u8>> =
        ground.two.heard_since(before).into_iter().filter(|frame| token_in(frame).is_some()).collect();
    let bad: Vec<&Vec<u8>> = heard.iter().filter(|frame| !is_own(frame)).collect();
    println!(
        "{} frames, {} in its own name came, {} in others'",
        attacks.len(),
        heard.len() - bad.len(),
        bad.len()
    );
    assert!(bad.is_empty(), "{:02x?}", bad[0]);
    assert!(heard.len() > 10, "what is its own comes");
}
