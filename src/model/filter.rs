//! Filters on an interface itself, before and beside whatever nftables does (`tc-bpf(8)`): the lock that a flushed
//! ruleset and another name leave alone, and that goes with its interface.

use std::borrow::Cow;
use std::fmt;

use super::network_filter::Subnets;

/// A filter of kvmnet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// On a tap: what a guest sends to the tap itself. That is its own address, should the bridge be gone, and
    /// 01:80:c2:00:00:00 to 0f (IEEE 802.1D, 7.12.6), which a bridge does not forward but gives to the host's stack on the
    /// port, where nothing that is done to the bridge is met.
    Tap,
    /// On a closed bridge: all that comes up to the host.
    Ingress,
    /// On a closed bridge: all that the host sends down.
    Egress,
    /// On a host interface whose settings cannot be written: router advertisements of guests (RFC 4861), and what may hide one,
    /// options before the message or a second tag.
    Announcements,
    /// On the host interface of a network from which nothing is forwarded: what is not said by one of the network.
    Network(Subnets),
}

/// One instruction of classic BPF (`struct sock_filter`): code, where to jump if true and if false, operand.
pub type Instruction = (u16, u8, u8, u32);

/// A verdict: BPF_RET.
const RETURN: u16 = 0x06;
/// TC_ACT_SHOT.
pub(super) const DROP: Instruction = (RETURN, 0, 0, 2);
/// TC_ACT_UNSPEC: on to the next filter, or through.
pub(super) const PASS: Instruction = (RETURN, 0, 0, u32::MAX);
/// First the kind of the packet (SKF_AD_PKTTYPE): 0, PACKET_HOST, is for the tap. Then the address that a frame begins
/// with: four bytes that must be 01:80:c2:00, and two of which only the last four bits may be set.
const TAP: [Instruction; 8] = [
    (0x30, 0, 0, 0xffff_f004),
    (0x15, 4, 0, 0),
    (0x20, 0, 0, 0),
    (0x15, 0, 3, 0x0180_c200),
    (0x28, 0, 0, 4),
    (0x45, 1, 0, 0xfff0),
    DROP,
    PASS,
];

/// What still has a tag (0x8100, 0x88a8) when the first is off: two of VLAN 0 are both taken off, the second behind this
/// filter. Of IPv6 (0x86dd), by the next header: hop-by-hop, routing and destination options, and ICMPv6 of type 134.
const ANNOUNCEMENTS: [Instruction; 13] = [
    (0x28, 0, 0, 12),
    (0x15, 9, 0, 0x8100),
    (0x15, 8, 0, 0x88a8),
    (0x15, 0, 8, 0x86dd),
    (0x30, 0, 0, 20),
    (0x15, 5, 0, 0),
    (0x15, 4, 0, 43),
    (0x15, 3, 0, 60),
    (0x15, 0, 3, 58),
    (0x30, 0, 0, 54),
    (0x15, 0, 1, 134),
    DROP,
    PASS,
];

impl Filter {
    /// What it does with a frame.
    pub fn program(self) -> Cow<'static, [Instruction]> {
        match self {
            Filter::Tap => Cow::Borrowed(&TAP),
            Filter::Ingress | Filter::Egress => Cow::Borrowed(&[DROP]),
            Filter::Announcements => Cow::Borrowed(&ANNOUNCEMENTS),
            Filter::Network(subnets) => Cow::Owned(subnets.program()),
        }
    }

    /// Its place in the order of filters: first those that are always the same, then a guest's own (2).
    pub fn preference(self) -> u32 {
        if self.is_of_subnets() { 3 } else { 1 }
    }

    /// Whether it is another one on another network, and so may have to take the place of one that was.
    pub fn is_of_subnets(self) -> bool {
        matches!(self, Filter::Network(_))
    }

    /// Whether it sees what the interface sends, and not what comes in by it.
    pub fn is_egress(self) -> bool {
        self == Filter::Egress
    }

    /// The command that puts it on an interface, whose name is as a shell takes it, or takes it off.
    pub fn command(self, link: &str, on: bool) -> String {
        let side = if self.is_egress() { "egress" } else { "ingress" };
        let preference = self.preference();
        if !on {
            return format!("tc filter del dev {link} {side} pref {preference}");
        }
        let verb = if self.is_of_subnets() { "replace" } else { "add" };
        let program = bytecode(&self.program());
        format!("tc filter {verb} dev {link} {side} pref {preference} handle 1 protocol all {program}")
    }
}

/// A program as `tc` takes it.
pub fn bytecode(program: &[Instruction]) -> String {
    let instructions: String =
        program.iter().map(|(code, jt, jf, k)| format!(",{code} {jt} {jf} {k}")).collect();
    format!("bpf bytecode '{}{instructions}' direct-action", program.len())
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Filter::Tap => "filter of what is sent to the tap itself",
            Filter::Ingress => "filter of all that comes in",
            Filter::Egress => "filter of all that goes out",
            Filter::Announcements => "filter of router advertisements",
            Filter::Network(_) => "filter of what is not the network's",
        })
    }
}
