//! Who may speak to the host where nothing is forwarded, and to whom: one of the network, to the host's addresses on it.
//!
//! In: the host's addresses. Out: a program for an interface. IPv6 has no setting like `rp_filter`, and none that stops forwarding
//! for one interface; errors about options leave before any setting is asked.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::filter::{DROP, Instruction, PASS};

/// So many addresses of each family; with more of one, what is of that family is let through.
const MOST: usize = 8;

/// The host's addresses on a network, with their subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnets {
    v4: [Option<Ipv4Net>; MOST],
    v6: [Option<Ipv6Net>; MOST],
    /// Of each family, whether there are more.
    more: [bool; 2],
}

/// Loads, and what is done with them: the word, or less, at a place, `&`, `==`, on without a condition.
const WORD: u16 = 0x20;
const HALF: u16 = 0x28;
const BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const GO: u16 = 0x05;

/// Where addresses are in a frame.
const SOURCE4: u32 = 26;
const TARGET4: u32 = 30;
const SOURCE6: u32 = 22;
const TARGET6: u32 = 38;

/// An IPv4 header without options: a source route would lead on from the host.
const NO_OPTIONS: [Instruction; 4] = [(BYTE, 0, 0, 14), (EQUAL, 1, 0, 0x45), DROP, PASS];
/// No IPv6 header of options or of a route (0, 43, 60), also not in fragments, nor fragments in those (44).
const NO_ROUTE: [Instruction; 9] = [
    (BYTE, 0, 0, 20),
    (EQUAL, 0, 1, 44),
    (BYTE, 0, 0, 54),
    (EQUAL, 3, 0, 0),
    (EQUAL, 2, 0, 43),
    (EQUAL, 1, 0, 60),
    (EQUAL, 0, 1, 44),
    DROP,
    PASS,
];

/// A place in a frame, the bits that count, and what they are.
type Part = (u32, u32, u32);

impl Subnets {
    pub fn of(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let mut subnets = Self { v4: [None; MOST], v6: [None; MOST], more: [false; 2] };
        for net in nets {
            let is_in = match net {
                IpNet::V4(net) => add(&mut subnets.v4, net),
                IpNet::V6(net) => add(&mut subnets.v6, net),
            };
            subnets.more[usize::from(net.addr().is_ipv6())] |= !is_in;
        }
        subnets
    }

    /// First what still has a tag when the first is off: two of VLAN 0 are both taken off, the second behind this filter.
    pub fn program(&self) -> Vec<Instruction> {
        let (v4, v6) = (self.ipv4(), self.ipv6());
        let mut program = vec![
            (HALF, 0, 0, 12),
            (EQUAL, 1, 0, 0x8100),
            (EQUAL, 0, 1, 0x88a8),
            DROP,
            (EQUAL, 0, 1, 0x0800),
            (GO, 0, 0, 2 + v6.len() as u32),
            (EQUAL, 1, 0, 0x86dd),
            PASS,
        ];
        program.extend(v6);
        program.extend(v4);
        program
    }

    /// Sources of the network, and none: who asks for an address has no other. Targets are the host's own, and all of the network.
    fn ipv4(&self) -> Vec<Instruction> {
        if self.more[0] {
            return vec![PASS];
        }
        let nets = || self.v4.iter().flatten();
        let one = |at, ip: Ipv4Addr| vec![(at, u32::MAX, u32::from(ip))];
        let subnets = nets().map(|net| vec![(SOURCE4, u32::from(net.netmask()), u32::from(net.network()))]);
        let sources = std::iter::once(one(SOURCE4, Ipv4Addr::UNSPECIFIED)).chain(subnets);
        let of_net = |net: &Ipv4Net| [one(TARGET4, net.addr()), one(TARGET4, net.broadcast())];
        let targets = nets().flat_map(of_net).chain([one(TARGET4, Ipv4Addr::BROADCAST)]);
        let to_host = one_of(targets.collect(), NO_OPTIONS.to_vec());
        one_of(sources.collect(), [when(vec![(TARGET4, 0xf000_0000, 0xe000_0000)], PASS), to_host].concat())
    }

    /// The same of IPv6.
    fn ipv6(&self) -> Vec<Instruction> {
        if self.more[1] {
            return vec![PASS];
        }
        let link_local = |at| vec![(at, 0xffc0_0000, 0xfe80_0000)];
        let group = (TARGET6, 0xff00_0000, 0xff00_0000);
        let nets = || self.v6.iter().flatten();
        // Who asks for an address asks a group; to another it would be answered as far away as there is a way.
        let nobody = (0..4).map(|word| (SOURCE6 + 4 * word, u32::MAX, 0)).chain([group]).collect();
        let subnets = nets().map(|net| parts(SOURCE6, net));
        let sources = [link_local(SOURCE6), nobody].into_iter().chain(subnets);
        let own = nets().map(|net| parts(TARGET6, &Ipv6Net::from(net.addr())));
        let targets = std::iter::once(link_local(TARGET6)).chain(own);
        let to_host = one_of(targets.collect(), NO_ROUTE.to_vec());
        one_of(sources.collect(), [when(vec![group], PASS), to_host].concat())
    }
}

/// Whether there was room.
fn add<T: PartialEq>(nets: &mut [Option<T>; MOST], net: T) -> bool {
    if nets.iter().flatten().any(|known| *known == net) {
        return true;
    }
    let free = nets.iter_mut().find(|place| place.is_none());
    free.map(|place| *place = Some(net)).is_some()
}

/// The words of a subnet that count, for an address at this place.
fn parts(at: u32, net: &Ipv6Net) -> Vec<Part> {
    let words = |bits: u128| [96, 64, 32, 0].map(|shift| (bits >> shift) as u32);
    let (mask, value) = (words(u128::from(net.netmask())), words(u128::from(net.network())));
    let all = (0..4).map(|word| (at + 4 * word as u32, mask[word], value[word]));
    all.filter(|(_, mask, _)| *mask != 0).collect()
}

/// Goes on with `then` where all parts of one choice are so, and drops what none of them is.
fn one_of(choices: Vec<Vec<Part>>, then: Vec<Instruction>) -> Vec<Instruction> {
    let blocks: Vec<Vec<Instruction>> = choices.into_iter().map(block).collect();
    let mut left: usize = blocks.iter().map(|block| block.len() + 1).sum();
    let mut program = Vec::new();
    for block in blocks {
        program.extend(&block);
        left -= block.len() + 1;
        // Over what is left of the choices, and the verdict behind them.
        program.push((GO, 0, 0, left as u32 + 1));
    }
    program.push(DROP);
    program.extend(then);
    program
}

/// This verdict where all parts are so; else it goes on.
fn when(parts: Vec<Part>, verdict: Instruction) -> Vec<Instruction> {
    let mut program = block(parts);
    program.push(verdict);
    program
}

/// Each part leads on to the next, or out of the block and over the instruction behind it.
fn block(parts: Vec<Part>) -> Vec<Instruction> {
    let mut block: Vec<Instruction> = Vec::new();
    for (at, mask, value) in parts.into_iter().rev() {
        let out = block.len() as u8 + 1;
        let mut part = vec![(WORD, 0, 0, at)];
        part.extend((mask != u32::MAX).then_some((AND, 0, 0, mask)));
        part.push((EQUAL, 0, out, value));
        block.splice(0..0, part);
    }
    block
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    /// What a program says of a frame: whether it is let through.
    fn lets_through(program: &[Instruction], frame: &[u8]) -> bool {
        let at = |place: u32, length: usize| -> u32 {
            let bytes = frame.get(place as usize..place as usize + length);
            // What is beyond the end ends the program, which then says 0.
            bytes.unwrap_or_default().iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
        };
        let (mut accumulator, mut next) = (0, 0);
        for _ in 0..program.len() {
            let (code, yes, no, operand) = program[next];
            next += 1;
            match code {
                WORD => accumulator = at(operand, 4),
                HALF => accumulator = at(operand, 2),
                BYTE => accumulator = at(operand, 1),
                AND => accumulator &= operand,
                GO => next += operand as usize,
                EQUAL => next += usize::from(if accumulator == operand { yes } else { no }),
                0x06 => return operand == u32::MAX,
                code => panic!("{code:#x}"),
            }
        }
        panic!("it does not end");
    }

    fn subnets(nets: &[&str]) -> Subnets {
        Subnets::of(nets.iter().map(|net| net.parse().unwrap()))
    }

    fn ipv4(source: &str, target: &str) -> Vec<u8> {
        let [source, target] =
            [source, target].map(|text| text.parse::<std::net::Ipv4Addr>().unwrap().octets());
        [&[0; 12][..], &[8, 0], &[0x45; 12], &source, &target].concat()
    }

    fn ipv6(source: &str, target: &str) -> Vec<u8> {
        with_header(17, source, target)
    }

    /// With a header of this kind, in which the next one is UDP.
    fn with_header(kind: u8, source: &str, target: &str) -> Vec<u8> {
        let [source, target] =
            [source, target].map(|text| text.parse::<std::net::Ipv6Addr>().unwrap().octets());
        [&[0; 12][..], &[0x86, 0xdd], &[0x60; 6], &[kind, 64], &source, &target, &[17; 8]].concat()
    }

    const OWN: [&str; 4] = ["10.0.100.3/24", "172.16.5.1/30", "fd00:100::3/64", "fd00:7:0:0:8000::1/65"];

    #[test]
    fn only_the_networks_own_are_heard() {
        let program = subnets(&OWN).program();
        for (source, expected) in [
            ("10.0.100.1", true),
            ("10.0.100.255", true),
            ("172.16.5.2", true),
            ("0.0.0.0", true),
            ("172.16.5.5", false),
            ("10.0.101.1", false),
            ("192.168.1.25", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(lets_through(&program, &ipv4(source, "10.0.100.3")), expected, "{source}");
        }
        for (source, target, expected) in [
            ("fd00:100::1", "fd00:100::3", true),
            ("fd00:7::8000:0:0:1", "fd00:7::8000:0:0:1", true),
            ("fd00:7::1", "fd00:100::3", false),
            ("fe80::1", "ff02::1", true),
            ("fe80::1", "fe80::2", true),
            ("::", "ff02::1:ff00:3", true),
            ("::", "fd00:100::3", false),
            ("::", "fe80::2", false),
            ("fd00:1::25", "fd00:100::3", false),
            ("::1", "fd00:100::3", false),
            ("::ffff:10.0.100.1", "fd00:100::3", false),
            ("fec0::1", "fd00:100::3", false),
        ] {
            assert_eq!(lets_through(&program, &ipv6(source, target)), expected, "{source} to {target}");
        }
        for (ethertype, expected) in [(0x0806_u16, true), (0x88cc, true), (0x8100, false), (0x88a8, false)] {
            let frame = [&[0; 12][..], &ethertype.to_be_bytes(), &[0; 40]].concat();
            assert_eq!(lets_through(&program, &frame), expected, "{ethertype:#x}");
        }
        // What is cut has no sender of the network's.
        assert!(!lets_through(&program, &ipv6("fd00:100::1", "fd00:100::3")[..23]));
    }

    /// What is not for the host at its addresses there could only be forwarded.
    #[test]
    fn only_the_host_and_groups_are_spoken_to() {
        let program = subnets(&OWN).program();
        for (target, expected) in [
            ("10.0.100.3", true),
            ("172.16.5.1", true),
            ("10.0.100.255", true),
            ("172.16.5.3", true),
            ("255.255.255.255", true),
            ("224.0.0.251", true),
            ("10.0.100.2", false),
            ("10.0.203.255", false),
            ("192.168.1.25", false),
            ("192.168.1.230", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(lets_through(&program, &ipv4("10.0.100.1", target)), expected, "{target}");
        }
        for (target, expected) in [
            ("fd00:100::3", true),
            ("fd00:7::8000:0:0:1", true),
            ("fe80::c0ff:fe00:1", true),
            ("ff02::fb", true),
            ("fd00:100::2", false),
            ("fd00:100::", false),
            ("fd00:1::25", false),
            ("fd00:1::230", false),
            ("::1", false),
        ] {
            assert_eq!(lets_through(&program, &ipv6("fd00:100::1", target)), expected, "{target}");
        }
    }

    /// What says a way of its own would be for the host first, and then not.
    #[test]
    fn nothing_is_led_on_from_the_host() {
        let program = subnets(&OWN).program();
        let mut frame = ipv4("10.0.100.1", "10.0.100.3");
        frame[14] = 0x46;
        assert!(!lets_through(&program, &frame));
        let [v6, group] = ["fd00:100::3", "ff02::16"];
        for (kind, expected) in [(17, true), (58, true), (44, true), (0, false), (43, false), (60, false)] {
            let frame = with_header(kind, "fd00:100::1", v6);
            assert_eq!(lets_through(&program, &frame), expected, "{kind}");
            assert!(lets_through(&program, &with_header(kind, "fe80::1", group)), "{kind}");
            let mut fragment = with_header(44, "fd00:100::1", v6);
            fragment[54] = kind;
            assert_eq!(lets_through(&program, &fragment), expected && kind != 44, "a fragment of {kind}");
        }
    }

    /// A family that a network has no address of has its own link alone.
    #[test]
    fn other_numbers_of_addresses() {
        let none = subnets(&[]).program();
        assert!(!lets_through(&none, &ipv4("10.0.100.1", "10.0.100.3")));
        assert!(lets_through(&none, &ipv4("0.0.0.0", "255.255.255.255")));
        assert!(lets_through(&none, &ipv6("fe80::1", "ff02::2")));
        let all: Vec<IpNet> = all_of_ipv4(9).collect();
        let six = "fd00::1/64".parse::<IpNet>().unwrap();
        let many = Subnets::of(all[..8].iter().chain(&all[..1]).chain([&six]).copied()).program();
        assert!(lets_through(&many, &ipv4("10.7.0.5", "10.7.0.1")));
        assert!(!lets_through(&many, &ipv4("10.8.0.5", "10.8.0.1")));
        let too_many = Subnets::of(all.into_iter().chain([six])).program();
        assert!(lets_through(&too_many, &ipv4("10.9.0.1", "192.168.1.25")), "they are not known");
        assert!(!lets_through(&too_many, &ipv6("fd01::2", "fd00::1")));
        let long = (0..8).map(|net| format!("fd00:{net}::1/127").parse().unwrap());
        // The kernel answers what a filter is in one message of less than a page.
        assert!(Subnets::of(long.chain(all_of_ipv4(8))).program().len() * 8 < 3000);
    }

    fn all_of_ipv4(count: u8) -> impl Iterator<Item = IpNet> {
        (0..count).map(|net| IpNet::new([10, net, 0, 1].into(), 24).unwrap())
    }
}
