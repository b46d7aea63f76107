//! Who has got what of an attack: captures at every place where it must not come, and what each mode lets through to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::attack::{Attack, token_in};
use crate::ground::{Ground, Victim};
use crate::lab::{Capture, Place, frame, within};

/// The types that a stack may be handed. 4 are frames with a length in place of a type (802.2: spanning tree and the like).
pub const TYPES: [u16; 22] = [
    4,
    frame::IPV4,
    frame::ARP,
    0x0842,
    0x22ea,
    0x8035,
    frame::VLAN,
    frame::IPV6,
    0x8808,
    0x8809,
    0x8847,
    0x8863,
    0x8864,
    0x888e,
    0x88a2,
    0x88a8,
    frame::FOREIGN,
    0x88cc,
    0x88e5,
    0x88f7,
    0x8902,
    0x8906,
];

/// A place that an attack came to, and its frame there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    pub token: u32,
    pub place: String,
    pub frame: Vec<u8>,
}

/// Watches from the moment that it is made.
pub struct Judge<'a> {
    ground: &'a Ground,
    stacks: Vec<Capture>,
    outside: Capture,
    other: Capture,
    /// What each guest had heard before.
    heard: Vec<usize>,
    gate: usize,
    tap: usize,
    /// What is let through by one of these is.
    modes: Vec<&'static str>,
    nic_mac: [u8; 6],
}

impl<'a> Judge<'a> {
    /// Judges the first guest.
    pub fn of(ground: &'a Ground) -> Self {
        Self::at(ground, ground.one.tap())
    }

    /// Lets through what any of these modes does.
    pub fn between(self, modes: &[&'static str]) -> Self {
        Self { modes: modes.to_vec(), ..self }
    }

    /// Judges a guest of the network under attack on this tap.
    pub fn at(ground: &'a Ground, tap: &str) -> Self {
        let host = &ground.lab.host;
        let guests = ground.victims.iter().map(|victim| &victim.guest);
        let number = |interface: &str| -> usize {
            let shown = host.ip(&format!("-o link show dev {interface}"));
            shown.split(':').next().unwrap().parse().unwrap()
        };
        Self {
            stacks: TYPES.iter().map(|ethertype| Capture::of_stack(host, *ethertype)).collect(),
            outside: Capture::of_wire(&ground.lab.outside),
            other: Capture::of_wire(&ground.lab.other),
            heard: guests.map(crate::lab::Guest::count).collect(),
            gate: number(ground.lab.network.gate),
            tap: number(tap),
            modes: vec![ground.lab.network.mode],
            nic_mac: host.mac("eth3"),
            ground,
        }
    }

    /// What has come where it must not.
    pub fn leaks(&mut self) -> Vec<Leak> {
        let ground = self.ground;
        let mut leaks = Vec::new();
        let mut add = |place: &str, frame: &[u8], is_allowed: bool| {
            if let Some(token) = token_in(frame).filter(|_| !is_allowed) {
                leaks.push(Leak { token, place: place.to_owned(), frame: frame.to_vec() });
            }
        };
        let modes = self.modes.clone();
        let any = |allows: &dyn Fn(&str) -> bool| modes.iter().any(|mode| allows(mode));
        for stack in &mut self.stacks {
            assert_eq!(stack.missed(), 0, "a capture of the host's stack misses nothing");
            for (frame, by) in stack.both() {
                if *by == self.tap {
                    add("the host's stack on the tap", frame, false);
                } else {
                    let on = if *by == self.gate { "the bridge" } else { "another interface" };
                    add(&format!("the host's stack on {on}"), frame, any(&|mode| mode != "isolated"));
                }
            }
        }
        assert_eq!(self.outside.missed() + self.other.missed(), 0, "a capture of a wire misses nothing");
        let is_router = ground.is_router();
        for frame in self.outside.frames() {
            add("the outside", frame, any(&|mode| may_leave(mode, self.nic_mac, is_router, frame)));
        }
        // On a LAN a guest is as any machine there: the host answers it, and is a router or not.
        let on_lan = |mode: &str, frame: &[u8]| mode == "bridged" && (is_router || has_all_its_hops(frame));
        for frame in self.other.frames() {
            add("the machine behind eth4", frame, any(&|mode| on_lan(mode, frame)));
        }
        for (victim, at) in ground.victims.iter().zip(&self.heard) {
            for frame in victim.guest.heard_since(*at) {
                let is_allowed = any(&|mode| may_visit(mode, victim, is_router, &frame));
                add(&format!("a guest of {}", victim.network.mode), &frame, is_allowed);
            }
        }
        leaks.sort();
        leaks.dedup();
        leaks
    }

    /// The same when what is still on its way has had its time; the first leak ends that.
    pub fn verdict(&mut self) -> Vec<Leak> {
        within(Duration::from_millis(400), || !self.leaks().is_empty());
        self.leaks()
    }
}

/// Whether a mode lets a frame in to a guest of another network.
fn may_visit(mode: &str, victim: &Victim, is_router: bool, frame: &[u8]) -> bool {
    let Place { v4, v6, .. } = &victim.place;
    let target = frame::addresses(frame).map(|(_, target)| target.to_string());
    let is_its = target.is_some_and(|to| to == *v4 || to == *v6 || is_router && to == broadcast(v4));
    let is_open = match mode {
        "routed" => is_from_guest(frame),
        "bridged" => true,
        _ => false,
    };
    victim.network.mode == "routed" && is_its && is_open
}

/// Whether a frame is a packet in the attacker's own name.
fn is_from_guest(frame: &[u8]) -> bool {
    frame::addresses(frame).is_some_and(|(source, _)| match source {
        IpAddr::V4(v4) => v4.octets()[..3] == [10, 0, 100],
        IpAddr::V6(v6) => v6.segments()[..4] == [0xfd00, 0x100, 0, 0],
    })
}

/// Whether a mode lets a frame out to the outside: forwarded, and in the name that the guest has there.
fn may_leave(mode: &str, nic: [u8; 6], is_router: bool, frame: &[u8]) -> bool {
    // A router may pass broadcasts on to a network, if it is told to (bc_forwarding).
    let to_one = frame[0] & 1 == 0 || is_router && frame[..6] == frame::BROADCAST;
    let is_forwarded = frame::sender(frame) == Some(nic) && to_one;
    match mode {
        "bridged" => true,
        // A routed guest of another network answers, and its answer goes by the default route where there is no other just then.
        "routed" => is_forwarded && (is_from_guest(frame) || is_from(frame, &["10.0.203.1", "fd00:203::1"])),
        // The host does not tell the outside of errors with a guest's words.
        "nat" => is_forwarded && is_of_host(frame) && !is_error(frame),
        _ => false,
    }
}

/// The last address of the /24 of an address.
fn broadcast(v4: &str) -> String {
    let (net, _) = v4.rsplit_once('.').unwrap();
    format!("{net}.255")
}

/// Whether a packet is in the name that the host has outside.
fn is_of_host(frame: &[u8]) -> bool {
    is_from(frame, &["192.168.1.230", "fd00:1::230", "fe80::c0ff:fe00:3"])
}

fn is_from(frame: &[u8], names: &[&str]) -> bool {
    frame::addresses(frame).is_some_and(|(source, _)| names.contains(&source.to_string().as_str()))
}

/// Whether it is an error of ICMP that the host itself has made.
fn is_error(frame: &[u8]) -> bool {
    let is_icmp = match frame::ethertype(frame) {
        Some(frame::IPV4) => frame[23] == frame::ICMP && matches!(frame[34], 3 | 4 | 5 | 11 | 12),
        Some(frame::IPV6) => frame[20] == frame::ICMPV6 && frame[54] < 128,
        _ => false,
    };
    is_icmp && has_all_its_hops(frame)
}

/// Whether it is an error about an option that nobody knows.
pub fn is_option_error(frame: &[u8]) -> bool {
    let is_it = match frame::ethertype(frame) {
        Some(frame::IPV4) => frame[34] == 12,
        Some(frame::IPV6) => frame[54] == 4,
        _ => false,
    };
    is_it && is_error(frame)
}

/// Whether the host itself has made a packet: one of a guest's that was forwarded has one hop less.
fn has_all_its_hops(frame: &[u8]) -> bool {
    match frame::ethertype(frame) {
        Some(frame::IPV4) => frame[22] == 64,
        Some(frame::IPV6) => frame[21] == 64,
        _ => false,
    }
}

/// Prints what came of the attacks, and returns how many frames got through.
pub fn tell(what: &str, attacks: &[Attack], leaks: &[Leak]) -> usize {
    let made: BTreeSet<u32> = attacks.iter().map(|attack| attack.token).collect();
    println!("{what}: {} attacks in {} frames, {} got through", made.len(), attacks.len(), leaks.len());
    let mut kinds: BTreeMap<(String, String), Vec<&Leak>> = BTreeMap::new();
    for leak in leaks {
        let attack = attacks.iter().find(|attack| attack.token == leak.token && attack.is(&leak.frame));
        let attack = attack.or_else(|| attacks.iter().find(|attack| attack.token == leak.token));
        let name = attack.map_or("?", |attack| attack.shape);
        let inner = if is_error(&leak.frame) { "an error about " } else { "" };
        let name = format!("{inner}{name}");
        kinds.entry((leak.place.clone(), name)).or_default().push(leak);
    }
    for ((place, shape), leaks) in kinds.iter().take(3) {
        let whose = attacks.iter().find(|attack| attack.token == leaks[0].token);
        let whose = whose.map_or("?", |attack| &attack.name);
        let hex: String = leaks[0].frame.iter().take(70).map(|byte| format!("{byte:02x}")).collect();
        println!("  {} × {shape} to {place}, as {whose}: {hex}", leaks.len());
    }
    leaks.len()
}
