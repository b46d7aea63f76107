//! All attacks by a guest with `filter = true`, judged at its neighbour and outside: what comes there comes in the guest's own name.

use std::net::IpAddr;

use crate::attack::{ATTACKER, Attack, Attacks, Names, token_in};
use crate::ground::Ground;
use crate::lab::{Capture, Frame, Network, eventually, frame};

/// Sends in turns, each of which ends with a frame that the filter lets through.
fn send(ground: &Ground, attacks: &[Attack]) {
    let [own, peer] = [1, 2].map(|number| ground.lab.network.guest(number).v4.parse().unwrap());
    let way = Frame { from: ATTACKER, to: ground.two.mac("eth0") };
    for (turn, some) in attacks.chunks(150).enumerate() {
        some.iter().for_each(|attack| ground.one.inject(&attack.frame));
        let (word, at) = (format!("fence {turn:08}"), ground.two.count());
        let fence = way.udp4(own, peer, &word);
        eventually("what the filter lets through comes to the peer", || {
            ground.one.inject(&fence);
            let news = ground.two.heard_since(at);
            news.iter().any(|frame| frame.windows(word.len()).any(|part| part == word.as_bytes()))
        });
    }
}

/// Whether a frame is one that the guest may send as itself.
fn is_its_own(ground: &Ground, frame: &[u8]) -> bool {
    let place = ground.lab.network.guest(1);
    let own = [&place.v4, &place.v6].map(|text| text.parse::<IpAddr>().unwrap());
    let is_link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let sender = match frame::ethertype(frame) {
        // Who has no address asks for its own, and a guest that was migrated says where it is.
        Some(frame::ARP) => {
            let is_probe = frame[28..32] == [0; 4] && frame[38..42] == own4(&own[0]);
            frame[22..28] == ATTACKER && (frame[28..32] == own4(&own[0]) || is_probe)
        }
        Some(0x8035) => frame[22..28] == ATTACKER && frame[28..32] == [0; 4],
        Some(frame::IPV4 | frame::IPV6) => frame::addresses(frame)
            .is_some_and(|(source, _)| own.contains(&source) || is_link_local(&source) || is_asking(frame)),
        _ => false,
    };
    frame::sender(frame) == Some(ATTACKER) && sender
}

/// A packet of IPv6 from nobody yet: of neighbour discovery, or about groups.
fn is_asking(frame: &[u8]) -> bool {
    let is_nobodys = frame::ethertype(frame) == Some(frame::IPV6) && frame[22..38] == [0; 16];
    is_nobodys && matches!((frame[20], frame[54]), (0, _) | (frame::ICMPV6, 133 | 135))
}

fn own4(address: &IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

/// How many frames came to the neighbour, and which of them in another's name.
fn heard(network: Network, has_filter: bool) -> (usize, Vec<Vec<u8>>) {
    let ground = Ground::new(network, true);
    let place = network.guest(1);
    if has_filter {
        let hook = ground.lab.hook("/etc/qemu-ifup", &ground.one);
        let hook = hook.env("KVMNET_FILTER", "true").env("KVMNET_GUEST_MAC", &place.mac);
        hook.env("KVMNET_GUEST_ADDRESS", &format!("{},{}", place.v4, place.v6)).run().ok();
    }
    let attacks = Attacks::of(&Names::of(&ground));
    let mut outside = Capture::of_wire(&ground.lab.outside);
    let at = ground.two.count();
    if has_filter {
        send(&ground, &attacks.all);
    } else {
        ground.send(attacks.all.iter().map(|attack| attack.frame.as_slice()));
    }
    let mut came = ground.two.heard_since(at);
    if network.mode == "bridged" {
        came.extend(outside.frames().iter().cloned());
    }
    // What the host answers has the host's MAC.
    let host = ground.lab.host.mac("br0");
    let of_guest = |frame: &Vec<u8>| frame::sender(frame) != Some(host);
    let came: Vec<_> = came.into_iter().filter(|frame| token_in(frame).is_some()).filter(of_guest).collect();
    let count = came.len();
    let forged: Vec<_> = came.into_iter().filter(|frame| !is_its_own(&ground, frame)).collect();
    println!(
        "{}, filter = {has_filter}: {} frames, {count} came, {} in another's name",
        network.mode,
        attacks.all.len(),
        forged.len()
    );
    (count, forged)
}

#[test]
fn nothing_comes_in_anothers_name() {
    for network in [Network::ISOLATED, Network::NAT, Network::BRIDGED] {
        let (count, forged) = heard(network, true);
        assert!(count > 100, "its own frames come");
        assert_eq!(forged.len(), 0, "{network:?}: {:02x?}", forged.first());
    }
}

#[test]
fn without_a_filter_they_come() {
    let (_, forged) = heard(Network::NAT, false);
    assert!(forged.len() > 1000);
}
