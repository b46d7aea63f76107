//! A network interface as the kernel shows it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};

use super::setting::{IPV4, IPV6};
use super::{Claim, IfName, TapRecord};

/// The link group of every interface through which the host meets a network whose guests must not be
/// reached from another one (IFLA_GROUP): "kvm" in ASCII. `meta iifgroup` in a rule then speaks of all of them.
pub const GROUP: u32 = 0x6b_766d;

/// That of the end of a pair that is a port of the bridge: no rule speaks of it, but udev sees whose it is, and who manages
/// interfaces leaves it alone.
pub const OUTER_GROUP: u32 = GROUP + 1;

/// The link group of the bridge that kvmnet makes this NIC a port of: a network whose uplink the NIC is knows the bridge
/// by it, whichever of the two comes or goes first.
pub fn lan_group(nic: &IfName) -> u32 {
    // No number that other programs are likely to use, nor GROUP.
    0x6b00_0000 | (super::fnv1a(nic.as_str().as_bytes()) & 0x00ff_ffff) as u32
}

/// The link group of the taps of a network's guests that have a filter, by which its rules know them.
pub fn filter_group(bridge: &super::IfName) -> u32 {
    0x6c00_0000 | (super::fnv1a(bridge.as_str().as_bytes()) & 0x00ff_ffff) as u32
}

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A locally administered address that is always the same for `name`: a bridge with a MAC of its own
    /// does not change it when ports come and go, and guests find the same gateway after a restart.
    pub fn of_bridge(name: &IfName) -> Self {
        let [_, _, _, b, c, d, e, f] = super::fnv1a(name.as_str().as_bytes()).to_be_bytes();
        Mac([0x02, b, c, d, e, f])
    }

    /// Whether it means several machines (IEEE 802, the group bit).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// The link-local address that IPv6 makes of it.
    pub fn link_local(self) -> IpNet {
        let address = self.after([0xfe80, 0, 0, 0]);
        Ipv6Net::new(address, 64).unwrap_or_else(|_| address.into()).into()
    }

    /// The address that IPv6 makes of it in a subnet, if it makes one there.
    pub fn in_subnet(self, net: &IpNet) -> Option<Ipv6Addr> {
        let IpNet::V6(net) = net else { return None };
        let [a, b, c, d, ..] = net.addr().segments();
        (net.prefix_len() == 64).then(|| self.after([a, b, c, d]))
    }

    /// Its modified EUI-64 (RFC 4291) after a prefix.
    fn after(self, [p, q, r, s]: [u16; 4]) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0.map(u16::from);
        Ipv6Addr::new(p, q, r, s, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
    }
}

/// Reads `02:00:00:00:00:07`.
impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes: Result<Vec<u8>, _> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
        bytes.ok().and_then(|bytes| bytes.try_into().ok()).map(Mac).ok_or(())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// How the kernel makes IPv6 link-local addresses (IFLA_INET6_ADDR_GEN_MODE, `include/uapi/linux/if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddrGen(pub u8);

impl AddrGen {
    /// From the MAC, the kernel's default.
    pub const EUI64: AddrGen = AddrGen(0);
    /// None at all.
    pub const NONE: AddrGen = AddrGen(1);

    /// Whether they are made of a secret.
    pub fn is_secret(self) -> bool {
        self.0 >= 2
    }
}

impl fmt::Display for AddrGen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "eui64",
            1 => "none",
            2 => "stable_secret",
            _ => "random",
        })
    }
}

/// What matters of a tap (IFLA_TUN_*).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tun {
    /// A tap carries Ethernet frames; a tun device (false) carries IP packets and cannot be a port.
    pub is_tap: bool,
    /// A persistent tap outlives the process that opened it.
    pub persistent: bool,
    /// The number of the user who may open it without rights over the network.
    pub owner: Option<u32>,
    /// It can have several queues.
    pub multi_queue: bool,
}

/// The IPv4 settings of one interface that kvmnet looks at (`net.ipv4.conf.NAME.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ipv4Conf {
    /// Packets that come in by it are forwarded.
    pub forwarding: u32,
    /// Source validation.
    pub rp_filter: u32,
    /// Which ARP requests are answered; 8 is none.
    pub arp_ignore: u32,
    /// Whether a source that is an address of the host's own is believed.
    pub accept_local: u32,
    /// Whether 127.0.0.0/8 may come from outside.
    pub route_localnet: u32,
    /// What a takeover copies, in the order of [`IPV4`].
    pub copied: [u32; IPV4.len()],
}

/// The IPv6 settings of one interface that kvmnet looks at (`net.ipv6.conf.NAME.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Conf {
    /// Whether router advertisements are heeded; 1 stops when forwarding starts, 2 does not.
    pub accept_ra: u32,
    /// No IPv6 at all: no address, and nothing that comes in is taken.
    pub disable_ipv6: u32,
    /// Forwarding for this interface alone; None before Linux 6.17, which has no such switch.
    pub force_forwarding: Option<u32>,
    /// The kernel has `accept_untracked_na`, so it is Linux 5.19 or later.
    pub is_of_5_19: bool,
    /// What a takeover copies, in the order of [`IPV6`]; the first is [`Setting::Router`](super::Setting::Router).
    pub copied: [u32; IPV6.len()],
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The interface's number.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// Its other names (IFLA_ALT_IFNAME).
    pub altnames: Vec<String>,
    /// What made it: "bridge", "tun", "veth", …; None for hardware.
    pub kind: Option<String>,
    /// ARPHRD_*: 1 is Ethernet.
    pub hardware: u16,
    /// IFF_UP: switched on by somebody.
    pub up: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// There is something at the other end; for a tap, a process that holds it.
    pub carrier: bool,
    /// It passes packets (IF_OPER_UP, RFC 2863); comes a moment after carrier.
    pub operational: bool,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// None for interfaces with another kind of address.
    pub mac: Option<Mac>,
    /// The number of the interface at its other end, or below it (IFLA_LINK).
    pub peer: Option<u32>,
    /// The bridge (or bond) that it is a port of.
    pub master: Option<u32>,
    /// Which of the reserved groups it forwards as any other, a bit each; None where it is no port of a bridge.
    pub group_fwd_mask: Option<u16>,
    /// Whether it passes nothing to other such ports; None where it is no port of a bridge.
    pub isolated: Option<bool>,
    /// How many machines a bridge learns of; None where it is no bridge, or before Linux 6.8.
    pub fdb_max_learned: Option<u32>,
    /// Of a bridge, for how many hundredths of a second its spanning tree lets nothing through a new port; 0 without one.
    pub stp_delay: u32,
    /// Of a bridge that filters VLANs, the one that a new port is in; 0 is none.
    pub default_vlan: Option<u16>,
    /// IFLA_GROUP.
    pub group: u32,
    /// IFLA_IFALIAS, empty where there is none.
    pub alias: String,
    /// How an address ends that IPv6 makes of an announced prefix, where somebody chose it (`ip token`).
    pub token: Option<Ipv6Addr>,
    /// How IPv6 link-local addresses come about; None where the interface has no IPv6.
    pub addr_gen: Option<AddrGen>,
    /// IPv4 settings.
    pub ipv4: Ipv4Conf,
    /// IPv6 settings; None where the interface has no IPv6.
    pub ipv6: Option<Ipv6Conf>,
    /// Its other end, or what it is on, is in another network namespace (IFLA_LINK_NETNSID).
    pub leads_abroad: bool,
    /// Set for taps and tuns.
    pub tun: Option<Tun>,
}

/// ARPHRD_ETHER (`include/uapi/linux/if_arp.h`).
pub const ETHERNET: u16 = 1;

impl Link {
    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    /// Whether it is a tap that outlives its process.
    pub fn is_persistent(&self) -> bool {
        self.tun.as_ref().is_some_and(|tun| tun.persistent)
    }

    /// Whether it is a tap that kvmnet attached.
    pub fn is_attached(&self) -> bool {
        TapRecord::parse(&self.alias).is_some()
    }

    /// What its guest has for itself.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.altnames.iter().filter_map(|name| name.parse().ok())
    }

    /// Whether nobody is behind it but this host: neither a LAN nor a container.
    pub fn ends_here(&self) -> bool {
        match self.kind.as_deref() {
            Some("veth") => !self.leads_abroad,
            kind => matches!(kind, Some("dummy" | "ifb")),
        }
    }

    /// Whether routers' announcements are heeded: a machine that forwards does so only with 2.
    pub fn heeds_announcements(&self) -> bool {
        let forwards = |ipv6: &Ipv6Conf| ipv6.copied.first().is_some_and(|forwarding| *forwarding != 0);
        self.ipv6.as_ref().is_some_and(|ipv6| match ipv6.accept_ra {
            0 => false,
            1 => !forwards(ipv6),
            _ => true,
        })
    }

    /// Why it can be a port of no bridge, as far as it says itself.
    pub fn unbridgeable(&self) -> Option<&'static str> {
        match self.kind.as_deref() {
            _ if self.loopback => Some("it is the loopback interface"),
            _ if self.hardware != ETHERNET => Some("it carries no Ethernet frames"),
            Some("tun") => Some("it is a tap, the end of a guest or of a VPN"),
            Some("bridge") => Some("it is a bridge itself; name it in `bridge`"),
            Some("vrf") => Some("it is a table of routes, and carries nothing itself"),
            Some("macvlan" | "macvtap" | "ipvlan" | "ipvtap") => Some("it shares another interface's MAC"),
            _ => None,
        }
    }

    /// Whether it is a real tap.
    pub fn is_tap(&self) -> bool {
        self.kind.as_deref() == Some("tun") && self.tun.as_ref().is_some_and(|tun| tun.is_tap)
    }
}
