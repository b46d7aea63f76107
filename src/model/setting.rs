//! The numbers of an interface that kvmnet may change, each with its way back.

use std::fmt;

use super::{Filter, IfName};

/// One number of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// IFF_UP.
    Up,
    /// Largest packet.
    Mtu,
    /// Link group.
    Group,
    /// IFLA_INET6_ADDR_GEN_MODE.
    AddrGen,
    /// `net.ipv4.conf.X.forwarding`
    Forwarding,
    /// `net.ipv4.conf.X.rp_filter`
    RpFilter,
    /// `net.ipv4.conf.X.arp_ignore`
    ArpIgnore,
    /// `net.ipv4.conf.X.accept_local`
    AcceptLocal,
    /// `net.ipv4.conf.X.route_localnet`
    RouteLocalnet,
    /// `net.ipv6.conf.X.accept_ra`
    AcceptRa,
    /// `net.ipv6.conf.X.force_forwarding` (Linux 6.17)
    ForceForwarding,
    /// `net.ipv6.conf.X.forwarding`: the host tells its neighbours there that it is a router. Since Linux 6.17 it forwards nothing by
    /// that.
    Router,
    /// `net.ipv6.conf.all.forwarding`, the machine-wide switch; the interface is `all`.
    WideForwarding6,
    /// `net.ipv6.conf.X.disable_ipv6`
    DisableIpv6,
    /// Which of the reserved groups a bridge's port forwards as any other, a bit each (IFLA_BRPORT_GROUP_FWD_MASK).
    GroupFwdMask,
    /// Whether a bridge's port passes nothing to other ports that have this as well, nor hears of them (IFLA_BRPORT_ISOLATED).
    Isolated,
    /// How many machines a bridge learns of by their frames (Linux 6.8); 0 is no bound.
    FdbMaxLearned,
    /// A place for filters: the qdisc `clsact`. 0 or 1.
    Clsact,
    /// A filter in it. 0 or 1.
    Filter(Filter),
    /// Any other of `net.ipv4.conf.X`, by its place among [`IPV4`].
    Ipv4(usize),
    /// Any other of `net.ipv6.conf.X`, by its place among [`IPV6`].
    Ipv6(usize),
}

/// What a takeover copies of `net.ipv4.conf.NIC`: the name, and its number (IPV4_DEVCONF_*, `include/uapi/linux/ip.h`).
pub const IPV4: [(&str, u16); 22] = [
    ("forwarding", 1),
    ("proxy_arp", 3),
    ("accept_redirects", 4),
    ("secure_redirects", 5),
    ("send_redirects", 6),
    ("shared_media", 7),
    ("rp_filter", 8),
    ("accept_source_route", 9),
    ("log_martians", 11),
    ("arp_filter", 13),
    ("force_igmp_version", 17),
    ("arp_announce", 18),
    ("arp_ignore", 19),
    ("promote_secondaries", 20),
    ("arp_accept", 21),
    ("arp_notify", 22),
    ("accept_local", 23),
    ("src_valid_mark", 24),
    ("proxy_arp_pvlan", 25),
    ("route_localnet", 26),
    ("ignore_routes_with_linkdown", 29),
    ("bc_forwarding", 32),
];

/// What a takeover copies of `net.ipv6.conf.NIC`: the name, and its number (DEVCONF_*, `include/uapi/linux/ipv6.h`).
pub const IPV6: [(&str, u16); 36] = [
    ("forwarding", 0),
    ("hop_limit", 1),
    ("accept_ra", 3),
    ("accept_redirects", 4),
    ("autoconf", 5),
    ("dad_transmits", 6),
    ("use_tempaddr", 10),
    ("temp_valid_lft", 11),
    ("temp_prefered_lft", 12),
    ("max_addresses", 15),
    ("force_mld_version", 16),
    ("accept_ra_defrtr", 17),
    ("accept_ra_pinfo", 18),
    ("accept_ra_rtr_pref", 19),
    ("accept_ra_rt_info_max_plen", 21),
    ("proxy_ndp", 22),
    ("optimistic_dad", 23),
    ("accept_source_route", 24),
    ("disable_ipv6", 26),
    ("accept_dad", 27),
    ("ndisc_notify", 29),
    ("accept_ra_from_local", 33),
    ("use_optimistic", 34),
    ("accept_ra_mtu", 35),
    ("use_oif_addrs_only", 37),
    ("accept_ra_min_hop_limit", 38),
    ("ignore_routes_with_linkdown", 39),
    ("drop_unicast_in_l2_multicast", 40),
    ("drop_unsolicited_na", 41),
    ("keep_addr_on_down", 42),
    ("seg6_enabled", 44),
    ("enhanced_dad", 46),
    ("accept_ra_rt_info_min_plen", 49),
    ("ra_defrtr_metric", 52),
    ("accept_untracked_na", 57),
    ("accept_ra_min_lft", 58),
];

/// By which way the kernel is told of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// An attribute of the interface.
    Link,
    /// `net.ipv4.conf.X`, by netlink: its number (IPV4_DEVCONF_*).
    Ipv4(u16),
    /// `net.ipv6.conf.X`, which only a file sets.
    Ipv6,
    /// Traffic control.
    Filter,
}

/// What there is to know of a setting: its letter in a record, what `ip` or `sysctl` calls it, where it is set, and the
/// largest value that it can have before it is changed: a filter is put where there is none.
type About = (Setting, &'static str, &'static str, Home, u32);

const ALL: [About; 22] = [
    (Setting::Up, "u", "up", Home::Link, 1),
    (Setting::Mtu, "m", "mtu", Home::Link, 65535),
    (Setting::Group, "g", "group", Home::Link, u32::MAX),
    (Setting::AddrGen, "n", "addrgenmode", Home::Link, 3),
    (Setting::Forwarding, "f", "forwarding", Home::Ipv4(1), 1),
    (Setting::RpFilter, "r", "rp_filter", Home::Ipv4(8), 2),
    (Setting::ArpIgnore, "a", "arp_ignore", Home::Ipv4(19), 8),
    (Setting::AcceptLocal, "l", "accept_local", Home::Ipv4(23), 1),
    (Setting::RouteLocalnet, "L", "route_localnet", Home::Ipv4(26), 1),
    (Setting::AcceptRa, "R", "accept_ra", Home::Ipv6, 2),
    (Setting::ForceForwarding, "F", "force_forwarding", Home::Ipv6, 1),
    (Setting::Router, "o", "forwarding", Home::Ipv6, 1),
    (Setting::WideForwarding6, "W", "forwarding", Home::Ipv6, 1),
    (Setting::DisableIpv6, "d", "disable_ipv6", Home::Ipv6, 1),
    (Setting::GroupFwdMask, "w", "group_fwd_mask", Home::Link, 0xffff),
    // The next two are never on record: a port forgets it, and a bridge that was found keeps its own.
    (Setting::Isolated, "?", "isolated", Home::Link, 1),
    (Setting::FdbMaxLearned, "?", "fdb_max_learned", Home::Link, 1),
    (Setting::Clsact, "q", "clsact", Home::Filter, 0),
    (Setting::Filter(Filter::Tap), "t", "", Home::Filter, 0),
    (Setting::Filter(Filter::Ingress), "i", "", Home::Filter, 0),
    (Setting::Filter(Filter::Egress), "e", "", Home::Filter, 0),
    (Setting::Filter(Filter::Announcements), "A", "", Home::Filter, 0),
];

const NETWORK: About = (Setting::Clsact, "?", "", Home::Filter, 0);

impl Setting {
    /// `net.ipv4.conf.X.bc_forwarding`: broadcasts for other subnets are passed on, whatever else is forwarded.
    pub const BROADCASTS: Self = Self::Ipv4(21);

    fn about(self) -> Option<&'static About> {
        // On what is not kvmnet's own it is never put, so no record has it.
        if matches!(self, Setting::Filter(Filter::Network(_))) {
            return Some(&NETWORK);
        }
        ALL.iter().find(|(setting, ..)| *setting == self)
    }

    /// What kvmnet finds of one that it sets everywhere, and what it makes of it.
    pub fn range(self) -> (u32, u32) {
        if self == Setting::AcceptRa { (1, 2) } else { (0, 1) }
    }

    /// Its letter in a record; "?" where it is never on record.
    pub fn letter(self) -> &'static str {
        self.about().map_or("?", |(_, letter, ..)| letter)
    }

    /// The setting of a letter.
    pub fn of_letter(letter: &str) -> Option<Self> {
        ALL.iter().find(|(_, known, ..)| *known == letter && letter != "?").map(|(setting, ..)| *setting)
    }

    /// By which way the kernel is told of it.
    pub fn home(self) -> Home {
        match self {
            Setting::Ipv4(place) => Home::Ipv4(IPV4.get(place).map_or(0, |(_, number)| *number)),
            Setting::Ipv6(_) => Home::Ipv6,
            _ => self.about().map_or(Home::Link, |(.., home, _)| *home),
        }
    }

    /// Its sysctl key for `link`, with slashes, because an interface's name may have dots.
    pub fn key(self, link: &IfName) -> String {
        let family = if matches!(self.home(), Home::Ipv4(_)) { 4 } else { 6 };
        format!("net/ipv{family}/conf/{link}/{self}")
    }

    /// Whether only a file under /proc/sys sets it; netlink sets the others.
    pub fn is_file(self) -> bool {
        self.home() == Home::Ipv6
    }

    /// Whether it can have this value: what a record says may be anybody's.
    pub fn takes(self, value: u32) -> bool {
        let min = if self == Setting::Mtu { 68 } else { 0 };
        (min..=self.about().map_or(1, |(.., max)| *max)).contains(&value)
    }

    /// Whether kvmnet changes it on interfaces that are no part of a network.
    pub fn is_of_others(self) -> bool {
        matches!(self, Setting::Forwarding | Setting::ForceForwarding | Setting::AcceptRa)
    }

    /// Whether kvmnet changes it on a bridge that was there before.
    pub fn is_of_bridges(self) -> bool {
        let is_of_ports = matches!(self, Setting::GroupFwdMask | Setting::Isolated);
        !is_of_ports && !matches!(self, Setting::WideForwarding6 | Setting::Filter(Filter::Tap))
    }

    /// Whether kvmnet changes it on a tap, and puts it back.
    pub fn is_of_taps(self) -> bool {
        let is_filter = matches!(self, Setting::Clsact | Setting::Filter(Filter::Tap));
        let is_address = matches!(self, Setting::AddrGen | Setting::DisableIpv6);
        let is_ipv4 = matches!(self, Setting::ArpIgnore | Setting::RpFilter | Setting::Forwarding);
        matches!(self, Setting::Mtu | Setting::Group) || is_filter || is_address || is_ipv4
    }

    /// Whether 1 means that an interface has no IPv6.
    pub fn shuts_ipv6(self) -> bool {
        match self {
            Setting::DisableIpv6 => true,
            Setting::Ipv6(place) => IPV6.get(place).is_some_and(|(name, _)| *name == "disable_ipv6"),
            _ => false,
        }
    }

    /// Whether it decides about forwarding, so that the machine-wide switch has a say in its undo.
    pub fn forwards(self) -> bool {
        matches!(self, Setting::Forwarding | Setting::ForceForwarding | Setting::WideForwarding6)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setting::Filter(filter) => return filter.fmt(f),
            Setting::Ipv4(place) => IPV4.get(*place).map_or("?", |(name, _)| name),
            Setting::Ipv6(place) => IPV6.get(*place).map_or("?", |(name, _)| name),
            _ => self.about().map_or("?", |(_, _, name, ..)| name),
        })
    }
}
