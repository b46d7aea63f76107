//! The numbers of an interface that kvmnet may change, each with its way back.

use std::fmt;

use super::IfName;

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
    /// `net.ipv6.conf.X.accept_ra`
    AcceptRa,
    /// `net.ipv6.conf.X.force_forwarding` (Linux 6.17)
    ForceForwarding,
    /// `net.ipv6.conf.all.forwarding`, the machine-wide switch; the interface is `all`.
    WideForwarding6,
}

impl Setting {
    const LETTERS: [(Setting, &'static str); 10] = [
        (Setting::Up, "u"),
        (Setting::Mtu, "m"),
        (Setting::Group, "g"),
        (Setting::AddrGen, "n"),
        (Setting::Forwarding, "f"),
        (Setting::RpFilter, "r"),
        (Setting::ArpIgnore, "a"),
        (Setting::AcceptRa, "R"),
        (Setting::ForceForwarding, "F"),
        (Setting::WideForwarding6, "W"),
    ];

    /// Its letter in a mark.
    pub fn letter(self) -> &'static str {
        Self::LETTERS.iter().find(|(setting, _)| *setting == self).map_or("?", |(_, letter)| letter)
    }

    /// The setting of a letter.
    pub fn of_letter(letter: &str) -> Option<Self> {
        Self::LETTERS.iter().find(|(_, known)| *known == letter).map(|(setting, _)| *setting)
    }

    /// Its sysctl key for `link`, with slashes, because an interface's name may have dots.
    pub fn key(self, link: &IfName) -> String {
        let family =
            if matches!(self, Setting::Forwarding | Setting::RpFilter | Setting::ArpIgnore) { 4 } else { 6 };
        format!("net/ipv{family}/conf/{link}/{self}")
    }

    /// Whether only a file under /proc/sys sets it; netlink sets the others.
    pub fn is_file(self) -> bool {
        matches!(self, Setting::AcceptRa | Setting::ForceForwarding | Setting::WideForwarding6)
    }

    /// Whether it decides about forwarding, so that the machine-wide switch has a say in its undo.
    pub fn forwards(self) -> bool {
        matches!(self, Setting::Forwarding | Setting::ForceForwarding | Setting::WideForwarding6)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setting::Up => "up",
            Setting::Mtu => "mtu",
            Setting::Group => "group",
            Setting::AddrGen => "addrgenmode",
            Setting::Forwarding | Setting::WideForwarding6 => "forwarding",
            Setting::RpFilter => "rp_filter",
            Setting::ArpIgnore => "arp_ignore",
            Setting::AcceptRa => "accept_ra",
            Setting::ForceForwarding => "force_forwarding",
        })
    }
}
