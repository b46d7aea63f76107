//! A program that keeps a NIC's addresses.

use std::fmt;

/// One that would not know of a takeover, or fight it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressManager {
    /// systemd-networkd, with a lease or not: a restart of it takes the NIC off any bridge.
    Networkd,
    /// NetworkManager, by a connection of its own: it puts the addresses back on the NIC, or renews nothing.
    NetworkManager,
    /// NetworkManager, with an address that somebody else set: a restart of it takes that away.
    NetworkManagerExternal,
    /// The client of ISC, by hand or by ifupdown.
    Dhclient,
    /// dhcpcd.
    Dhcpcd,
    /// The client of busybox.
    Udhcpc,
}

impl fmt::Display for AddressManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressManager::Networkd => "systemd-networkd",
            AddressManager::NetworkManager | AddressManager::NetworkManagerExternal => "NetworkManager",
            AddressManager::Dhclient => "dhclient",
            AddressManager::Dhcpcd => "dhcpcd",
            AddressManager::Udhcpc => "udhcpc",
        })
    }
}
