//! Connections to every port, by TCP and UDP, in both families: of the host, and of guests of other networks.

use crate::attack::{ATTACKER, Attack};
use crate::ground::Ground;
use crate::judge::{Judge, tell};
use crate::lab::bench::is_long;
use crate::lab::frame::BROADCAST;
use crate::lab::{Frame, Network};
use crate::packet;

/// So many frames have room where they are captured.
const AT_ONCE: usize = 100_000;

/// Of all ports those that something listens on everywhere, and some of the rest; all of them where there is time.
fn ports() -> impl Iterator<Item = u16> {
    (1..=u16::MAX).filter(|port| is_long() || *port < 1024 || port % 17 == 0)
}

/// A SYN and a datagram to each port of each target, the token being the port.
fn attacks(ground: &Ground, doors: &[[u8; 6]], targets: &[&str]) -> Vec<Attack> {
    let place = ground.lab.network.guest(1);
    let mut attacks = Vec::new();
    for port in ports() {
        for (door, target) in doors.iter().flat_map(|door| targets.iter().map(move |target| (door, target))) {
            let target = target.parse().unwrap();
            let source = if matches!(target, std::net::IpAddr::V4(_)) { &place.v4 } else { &place.v6 };
            let frame = Frame { from: ATTACKER, to: *door };
            let token = u32::from(port);
            let shapes = packet::to_port(frame, source.parse().unwrap(), target, port, token);
            let name = format!("{target}, port {port}");
            attacks.extend(shapes.into_iter().map(|(shape, frame)| Attack {
                token,
                name: name.clone(),
                shape,
                frame,
            }));
        }
    }
    attacks
}

#[track_caller]
fn leaks(network: Network, targets: &[&str], damage: &[&str]) -> usize {
    let ground = Ground::new(network, true);
    let doors = [ground.lab.host.mac(network.gate), BROADCAST];
    let attacks = attacks(&ground, &doors[..1 + usize::from(network.mode == "isolated")], targets);
    damage.iter().for_each(|command| drop(ground.lab.host.run(command)));
    let mut judge = Judge::of(&ground);
    for some in attacks.chunks(AT_ONCE) {
        ground.send(some.iter().map(|attack| attack.frame.as_slice()));
        // What has come is read before there is no more room for it.
        judge.leaks();
    }
    tell(&format!("{}, every port {damage:?}", network.mode), &attacks, &judge.verdict())
}

/// The host's, and one behind it.
const HOST: [&str; 4] = ["10.0.100.3", "192.168.1.230", "fd00:100::3", "fd00:1::230"];
/// Guests of networks that a nat or host-only guest does not reach.
const GUESTS: [&str; 4] = ["10.0.202.1", "10.0.204.1", "fd00:202::1", "fd00:203::1"];

#[test]
fn of_the_host_from_an_isolated_network() {
    assert_eq!(leaks(Network::ISOLATED, &HOST, &[]), 0);
}

#[test]
fn of_guests_of_other_networks() {
    for network in [Network::HOST_ONLY, Network::NAT] {
        assert_eq!(leaks(network, &GUESTS, &[]), 0);
    }
}

#[test]
fn it_is_seen_where_they_are_reached() {
    let open = ["nft flush ruleset", "tc qdisc del dev br0 clsact"];
    assert!(leaks(Network::HOST_ONLY, &["fd00:203::1"], &open) > 1000);
}
