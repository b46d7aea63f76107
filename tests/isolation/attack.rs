//! The attacks: who a frame says it is from, whom it is for, and what is in it. Each has a token, by which a capture knows
//! it wherever it has come to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ground::Ground;
use crate::lab::bench::is_long;
use crate::lab::{Frame, frame};
use crate::packet;

pub const ATTACKER: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

/// A frame, of which attack, and in words.
pub struct Attack {
    pub token: u32,
    pub name: String,
    pub shape: &'static str,
    pub frame: Vec<u8>,
}

impl Attack {
    /// Whether what was captured may be this frame: the packet inside is as long, and ends alike.
    pub fn is(&self, captured: &[u8]) -> bool {
        let tail = |frame: &[u8]| frame[frame.len().saturating_sub(20)..].to_vec();
        self.frame.len() == captured.len() && tail(&self.frame) == tail(captured)
    }
}

/// How a token is written in a frame.
pub fn written(token: u32) -> String {
    format!("ATK{token:05}")
}

/// The token that a frame bears.
pub fn token_in(frame: &[u8]) -> Option<u32> {
    let at = frame
        .windows(8)
        .position(|part| part.starts_with(b"ATK") && part[3..].iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(&frame[at + 3..at + 8]).ok()?.parse().ok()
}

/// Whom an attacker can name.
pub struct Names {
    pub macs: Vec<(&'static str, [u8; 6])>,
    /// Of them those that a frame for the host's stack, or beyond it, would have.
    pub doors: Vec<(&'static str, [u8; 6])>,
    pub sources: Vec<IpAddr>,
    pub targets: Vec<IpAddr>,
    /// The host's on the network.
    pub gateways: Vec<IpAddr>,
    /// The few that stand for all, for every shape of a packet.
    pub few: [Vec<IpAddr>; 2],
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

impl Names {
    pub fn of(ground: &Ground) -> Self {
        let host = &ground.lab.host;
        let doors = vec![
            ("gate", host.mac(ground.lab.network.gate)),
            ("all", frame::BROADCAST),
            ("all systems", [1, 0, 0x5e, 0, 0, 1]),
            ("all nodes", [0x33, 0x33, 0, 0, 0, 1]),
            ("NIC", host.mac("eth3")),
        ];
        let mut macs = doors.clone();
        macs.extend([
            ("bridge", host.mac("br0")),
            ("tap", host.mac(ground.one.tap())),
            ("other NIC", host.mac("eth4")),
            ("other bridge", host.mac("br-rou")),
            ("peer", ground.two.mac("eth0")),
            ("other guest", ground.victims[0].guest.mac("eth0")),
            ("outside", ground.lab.outside.mac("eth0")),
            ("nobody", [0x52, 0x54, 0, 9, 9, 9]),
            ("zero", [0; 6]),
            ("itself", ATTACKER),
        ]);
        let place = ground.lab.network.guest(1);
        let own = [place.v4.as_str(), place.v6.as_str(), "fe80::5054:ff:fe12:3456"];
        let sources = [
            ips(&own),
            ips(&["10.0.100.3", "192.168.1.230", "10.99.0.1", "127.0.0.1", "10.0.201.1", "10.0.203.1"]),
            ips(&["10.0.203.3", "192.168.1.25", "10.77.0.2", "198.51.100.7", "203.0.113.5", "169.254.1.1"]),
            ips(&["0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "::", "::1", "ff02::1"]),
            ips(&["fd00:100::3", "fd00:1::230", "fd00:99::1", "fd00:201::1", "fd00:203::1", "fd00:1::25"]),
            ips(&["fd00:203::3", "fd00:77::2", "2001:db8::5", "::ffff:127.0.0.1", "::ffff:192.168.1.25"]),
        ];
        let targets = [
            ips(&["10.0.100.3", "192.168.1.230", "10.77.0.1", "10.99.0.1", "127.0.0.1", "192.168.1.25"]),
            ips(&["198.51.100.7", "10.77.0.2", "203.0.113.5", "10.0.201.1", "10.0.202.1", "10.0.203.1"]),
            ips(&["10.0.204.1", "10.0.203.3", "10.0.203.255", "192.168.1.255", "10.77.0.255", "0.0.0.0"]),
            ips(&["10.0.100.255", "255.255.255.255", "224.0.0.1", "224.0.0.251", "239.1.1.1", "169.254.1.1"]),
            ips(&["fd00:100::3", "fd00:1::230", "fd00:77::1", "fd00:99::1", "::1", "fd00:1::25", "::"]),
            ips(&["fd00:51::7", "fd00:77::2", "2001:db8::7", "fd00:201::1", "fd00:202::1", "fd00:203::1"]),
            ips(&["fd00:204::1", "fd00:203::3", "fd00:203::", "ff02::1", "ff02::2", "ff05::1", "ff0e::1"]),
            ips(&["ff02::fb", "::ffff:192.168.1.25"]),
        ];
        let few = [
            ips(&["192.168.1.25", "192.168.1.230", "0.0.0.0", "fd00:1::25", "fd00:1::230", "::"]),
            ips(&[
                "10.0.100.3",
                "192.168.1.230",
                "192.168.1.25",
                "10.77.0.2",
                "10.0.201.1",
                "10.0.203.1",
                "255.255.255.255",
                "fd00:100::3",
                "fd00:1::230",
                "fd00:1::25",
                "fd00:77::2",
                "fd00:201::1",
                "fd00:203::1",
                "ff02::1",
            ]),
        ];
        let few = [[ips(&own), few[0].clone()].concat(), few[1].clone()];
        let gateways = match ground.lab.network.mode {
            "bridged" => ips(&["192.168.1.230", "fd00:1::230"]),
            _ => ips(&[&place.gateway4, &place.gateway6]),
        };
        Self { macs, doors, sources: sources.concat(), targets: targets.concat(), gateways, few }
    }

    /// From elsewhere towards the guests, by this door.
    pub fn inward(ground: &Ground, door: [u8; 6]) -> Self {
        let mut names = Self::of(ground);
        let doors = [("door", door), ("guest", ATTACKER), ("all", frame::BROADCAST)];
        names.macs.extend(&doors[..2]);
        names.doors = doors.into();
        names.targets = ips(&["10.0.100.1", "10.0.100.2", "10.0.100.255", "255.255.255.255", "224.0.0.1"]);
        names.targets.extend(ips(&["fd00:100::1", "fd00:100::2", "fe80::5054:ff:fe12:3456", "ff02::1"]));
        names.few[0].extend(ips(&["198.51.100.7", "10.77.0.2", "fd00:77::2", "10.0.100.2", "fd00:100::2"]));
        names.few[1] = ips(&["10.0.100.1", "10.0.100.255", "fd00:100::1", "ff02::1"]);
        names
    }
}

/// All attacks of one kind after another.
#[derive(Default)]
pub struct Attacks {
    pub all: Vec<Attack>,
    next: u32,
}

impl Attacks {
    /// All of them.
    pub fn of(names: &Names) -> Self {
        let mut attacks = Self::default();
        attacks.forged_packets(names);
        attacks.shaped_packets(names);
        attacks.led_packets(names);
        attacks.frames(names);
        attacks.arp(names);
        attacks
    }

    fn add(&mut self, name: String, shapes: impl FnOnce(&str) -> Vec<packet::Shape>) {
        self.next += 1;
        let token = self.next;
        let shapes = shapes(&written(token)).into_iter();
        self.all.extend(shapes.map(|(shape, frame)| Attack { token, name: name.clone(), shape, frame }));
    }

    /// From everybody to everybody, by every door.
    pub fn forged_packets(&mut self, names: &Names) {
        for (door, mac) in &names.doors {
            let frame = Frame { from: ATTACKER, to: *mac };
            for source in &names.sources {
                for target in names.targets.iter().filter(|target| target.is_ipv4() == source.is_ipv4()) {
                    let name = format!("{source} to {target} ({door})");
                    self.add(name, |token| packet::plain(frame, *source, *target, token));
                }
            }
        }
    }

    /// A packet of every shape.
    pub fn shaped_packets(&mut self, names: &Names) {
        let [sources, targets] = &names.few;
        for (door, mac) in &names.doors[..2] {
            let frame = Frame { from: ATTACKER, to: *mac };
            let inner = [
                packet::plain(frame, ips(&["192.168.1.230"])[0], ips(&["192.168.1.25"])[0], "inside")
                    .remove(0)
                    .1,
                packet::plain(frame, ips(&["fd00:1::230"])[0], ips(&["fd00:1::25"])[0], "inside").remove(0).1,
            ];
            let inner = inner.each_ref().map(Vec::as_slice);
            for source in sources {
                for target in targets {
                    let name = format!("{source} to {target} ({door})");
                    self.add(name, |token| match (*source, *target) {
                        (IpAddr::V4(from), IpAddr::V4(to)) => packet::ipv4(frame, from, to, inner, token),
                        (IpAddr::V6(from), IpAddr::V6(to)) => packet::ipv6(frame, from, to, inner, token),
                        _ => Vec::new(),
                    });
                }
            }
        }
    }

    /// From everybody to everybody, by the host, which a packet tells to lead it on.
    pub fn led_packets(&mut self, names: &Names) {
        let (_, mac) = names.doors[0];
        let frame = Frame { from: ATTACKER, to: mac };
        for source in &names.sources {
            let is_like = |ip: &&IpAddr| ip.is_ipv4() == source.is_ipv4();
            let Some(via) = names.gateways.iter().find(is_like) else { continue };
            for target in names.targets.iter().filter(is_like) {
                let name = format!("{source} to {target} by {via}");
                self.add(name, |token| packet::by_way_of(frame, *source, *via, *target, token));
            }
        }
    }

    /// Frames from everybody to everybody, of every type, with and without tags, too long and too short.
    pub fn frames(&mut self, names: &Names) {
        let reserved: Vec<_> = (0..16).map(|last| ("reserved", [1, 0x80, 0xc2, 0, 0, last])).collect();
        for (from_name, from) in names.macs.iter().chain(&reserved[..2]) {
            for (to_name, to) in names.macs.iter().chain(&reserved) {
                let frame = Frame { from: *from, to: *to };
                self.add(format!("{from_name} to {to_name}"), |token| ethernet(frame, token));
            }
        }
    }

    /// Questions, answers and claims of ARP about everybody.
    pub fn arp(&mut self, names: &Names) {
        let v4 = |all: &[IpAddr]| -> Vec<Ipv4Addr> {
            all.iter().filter_map(|ip| if let IpAddr::V4(v4) = ip { Some(*v4) } else { None }).collect()
        };
        for (to_name, to) in [names.macs[0], ("all", frame::BROADCAST), ("zero", [0; 6])] {
            for (from_name, from) in &names.macs {
                for sender in v4(if is_long() { &names.sources } else { &names.few[0] }) {
                    let frame = Frame { from: *from, to };
                    let name = format!("{sender} is at {from_name}, to {to_name}");
                    self.add(name, |token| {
                        let targets = v4(&names.targets).into_iter();
                        targets.flat_map(|target| arp(frame, sender, target, token)).collect()
                    });
                }
            }
        }
    }
}

/// A question of ARP, an answer, and their like in reverse.
fn arp(frame: Frame, sender: Ipv4Addr, target: Ipv4Addr, token: &str) -> Vec<packet::Shape> {
    let request = frame.arp_request(sender, target);
    let with = |operation: u8, ethertype: u16| {
        let mut body = request[14..42].to_vec();
        body[7] = operation;
        frame.raw(ethertype, &[&body, token.as_bytes()].concat())
    };
    vec![
        ("ARP question", with(1, frame::ARP)),
        ("ARP answer", with(2, frame::ARP)),
        ("RARP", with(3, 0x8035)),
    ]
}

/// Frames of every type that some stack knows.
fn ethernet(frame: Frame, token: &str) -> Vec<packet::Shape> {
    let word = token.as_bytes();
    let mut shapes: Vec<packet::Shape> = crate::judge::TYPES[1..]
        .iter()
        .map(|ethertype| ("a frame of another type", frame.raw(*ethertype, word)))
        .collect();
    let llc =
        |head: &[u8]| frame.raw(u16::try_from(head.len() + word.len()).unwrap(), &[head, word].concat());
    let own: IpAddr = Ipv4Addr::new(10, 0, 100, 1).into();
    let nic: IpAddr = Ipv4Addr::new(192, 168, 1, 230).into();
    let own6: IpAddr = "fd00:100::1".parse::<Ipv6Addr>().unwrap().into();
    let nic6: IpAddr = "fd00:1::230".parse::<Ipv6Addr>().unwrap().into();
    let [four, six] =
        [(own, nic), (own6, nic6)].map(|(from, to)| packet::plain(frame, from, to, token).remove(0).1);
    let jumbo = |length: usize| {
        let mut jumbo = frame.raw(frame::FOREIGN, word);
        jumbo.resize(length, 0);
        jumbo
    };
    let outer = |frame: &[u8], tag: u16| {
        [&frame[..12], &0x88a8_u16.to_be_bytes(), &tag.to_be_bytes(), &frame[12..]].concat()
    };
    shapes.extend([
        ("spanning tree", llc(&[0x42, 0x42, 3, 0, 0, 2, 2, 0])),
        ("SNAP", llc(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0])),
        ("IS-IS", llc(&[0xfe, 0xfe, 3, 0x83])),
        ("CDP", llc(&[0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0])),
        ("priority tag", frame::tagged(&four, 0)),
        ("VLAN 5", frame::tagged(&six, 5)),
        ("VLAN 4095", frame::tagged(&four, 4095)),
        ("two tags", frame::tagged(&frame::tagged(&four, 0), 0)),
        ("two tags, five and six", frame::tagged(&frame::tagged(&six, 5), 6)),
        ("a provider's tag", outer(&four, 0)),
        ("a provider's tag and another", outer(&frame::tagged(&six, 0), 5)),
        ("a jumbo frame", jumbo(1600)),
        ("a frame of 9000 bytes", jumbo(9000)),
        ("a runt", [&frame.raw(frame::FOREIGN, &[])[..14], word].concat()),
        ("a cut packet", [&four[..30], word].concat()),
    ]);
    shapes
}
