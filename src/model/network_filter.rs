//! Who may speak to the host where nothing is forwarded: one of the network.
//!
//! In: subnets. Out: a program for an interface. IPv6 has no setting like `rp_filter`, and errors about options leave before any
//! setting is asked.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::filter::{DROP, Instruction, PASS};

/// So many subnets of each family; with more of one, what is of that family is let through.
const MOST: usize = 4;

/// The subnets of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnets {
    v4: [Option<Ipv4Net>; MOST],
    v6: [Option<Ipv6Net>; MOST],
    /// Of each family, whether there are more.
    more: [bool; 2],
}

/// Loads, and what is done with them: the word at a place, `&`, `==`, on without a condition.
const WORD: u16 = 0x20;
const HALF: u16 = 0x28;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const GO: u16 = 0x05;

/// Where addresses are in a frame.
const SOURCE4: u32 = 26;
const SOURCE6: u32 = 22;
const TARGET6: u32 = 38;

/// A place in a frame, the bits that count, and what they are.
type Part = (u32, u32, u32);

impl Subnets {
    pub fn of(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let mut subnets = Self { v4: [None; MOST], v6: [None; MOST], more: [false; 2] };
        for net in nets {
            let is_in = match net.trunc() {
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

    /// Sources of the network, and none: who asks for an address has no other.
    fn ipv4(&self) -> Vec<Instruction> {
        if self.more[0] {
            return vec![PASS];
        }
        let nets = self
            .v4
            .iter()
            .flatten()
            .map(|net| vec![(SOURCE4, u32::from(net.netmask()), u32::from(net.network()))]);
        one_of(std::iter::once(vec![(SOURCE4, u32::MAX, 0)]).chain(nets).collect(), vec![PASS])
    }

    /// The same of IPv6.
    fn ipv6(&self) -> Vec<Instruction> {
        if self.more[1] {
            return vec![PASS];
        }
        let link_local = |at| vec![(at, 0xffc0_0000, 0xfe80_0000)];
        let nets = |at| self.v6.iter().flatten().map(move |net| parts(at, net));
        let group = (TARGET6, 0xff00_0000, 0xff00_0000);
        // Who asks for an address asks a group; to another it would be answered as far away as there is a way.
        let nobody = (0..4).map(|word| (SOURCE6 + 4 * word, u32::MAX, 0)).chain([group]).collect();
        let sources = [link_local(SOURCE6), nobody].into_iter().chain(nets(SOURCE6)).collect();
        one_of(sources, vec![PASS])
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

/// Each part leads on to the next, or out of the block and over the jump behind it.
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

    fn ipv4(source: &str) -> Vec<u8> {
        let source: std::net::Ipv4Addr = source.parse().unwrap();
        [&[0; 12][..], &[8, 0], &[0x45; 12], &source.octets(), &[192, 168, 1, 25]].concat()
    }

    fn ipv6(source: &str, target: &str) -> Vec<u8> {
        let [source, target] =
            [source, target].map(|text| text.parse::<std::net::Ipv6Addr>().unwrap().octets());
        [&[0; 12][..], &[0x86, 0xdd], &[0x60; 8], &source, &target].concat()
    }

    #[test]
    fn only_the_networks_own_are_heard() {
        let program =
            subnets(&["10.0.100.3/24", "172.16.5.1/30", "fd00:100::3/64", "fd00:7:0:0:8000::1/65"]).program();
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
            assert_eq!(lets_through(&program, &ipv4(source)), expected, "{source}");
        }
        for (source, target, expected) in [
            ("fd00:100::1", "fd00:100::3", true),
            ("fd00:7::8000:0:0:1", "fd00:7::8000:0:0:2", true),
            ("fd00:7::1", "fd00:100::3", false),
            ("fe80::1", "ff02::1", true),
            ("fe80::1", "fe80::2", true),
            ("::", "ff02::1:ff00:3", true),
            ("::", "fd00:100::3", false),
            ("::", "fe80::2", false),
            ("fd00:100::1", "fd00:1::230", true),
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

    /// A family that a network has no subnet of has its own link alone.
    #[test]
    fn other_numbers_of_subnets() {
        let none = subnets(&[]).program();
        assert!(!lets_through(&none, &ipv4("10.0.100.1")) && lets_through(&none, &ipv4("0.0.0.0")));
        assert!(lets_through(&none, &ipv6("fe80::1", "ff02::2")));
        let many = subnets(&[
            "10.1.0.1/24",
            "10.2.0.1/24",
            "10.3.0.1/24",
            "10.4.0.1/24",
            "10.1.0.9/24",
            "fd00::1/64",
        ]);
        assert!(!lets_through(&many.program(), &ipv4("10.5.0.1")));
        let too_many = Subnets::of(
            ["10.1.0.1/24", "10.2.0.1/24", "10.3.0.1/24", "10.4.0.1/24", "10.5.0.1/24", "fd00::1/64"]
                .map(|net| net.parse().unwrap()),
        );
        assert!(lets_through(&too_many.program(), &ipv4("10.6.0.1")), "they are not known");
        assert!(!lets_through(&too_many.program(), &ipv6("fd01::2", "fd00::1")));
        assert!(many.program().len() < 4096);
    }
}
