//! The record of what kvmnet did to a bridge: the bridge's ifalias, with a copy in a set of the network's table.
//!
//! It is all that the undo needs, so it names what was made and the former value of what was changed,
//! and it is written before the change. A reboot takes it away together with what it describes.
//!
//! The set has room for every record, an entry each element. A record that the alias has no room for is there in short, with
//! the word `more`. The bridge is the one that the record speaks of if it bears it, or, where its alias was wiped out, if it
//! has the number or the MAC that the copy says.

mod belief;
mod changed;
mod entry;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;

use ipnet::IpNet;

pub use changed::Changed;
use entry::Entries;
pub use place::Place;

use super::{Facts, IfName, Link, Mac, Mode, Setting, Veth, is_network_name};

/// How every record begins.
pub const PREFIX: &str = "kvmnet:";

/// The longest alias in bytes (IFALIASZ).
pub const MAX_LEN: usize = 255;

/// More entries than any network has: one with its uplinks, its addresses and the bridges of a large host.
pub const MAX_ENTRIES: usize = 4096;

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub mode: Mode,
    pub network: String,
    /// A digest of the network's configuration, to notice an override that differs.
    pub digest: u32,
    /// kvmnet made the bridge (true) or found it (false).
    pub made: bool,
    /// The number of a bridge that was found: one of that name that was made later has another.
    pub index: Option<u32>,
    /// This is the short form, and the rest is elsewhere, or lost.
    pub more: bool,
    /// The copy may still be that of before.
    pub pending: bool,
    /// The network stays when its last guest leaves.
    pub keep: bool,
    /// A person brought the network up, and it stays until that person takes it down.
    pub held: bool,
    /// The environment made it another network than the file says.
    pub overridden: bool,
    /// Guests are told their addresses, and names in this domain.
    pub dhcp: Option<String>,
    /// Its rules lead ports of the host to guests.
    pub forwards: bool,
    /// It has rules for guests that have a filter.
    pub filters: bool,
    /// Other programs' firewalls are left as they are.
    pub hands_off: bool,
    pub veth: Option<Veth>,
    /// Bridged: the NIC that was made a port, with its addresses on the bridge now.
    pub nic: Option<Place>,
    /// The addresses that the host was given.
    pub addresses: Vec<IpNet>,
    /// Bridged, adopted: the addresses that the bridge had itself.
    pub bridge_addresses: Vec<IpNet>,
    /// Bridged, adopted: the MAC that the bridge had.
    pub mac: Option<Mac>,
    pub changed: Vec<Changed>,
    /// Entries of a later version, which stay until it undoes them.
    pub unknown: Vec<String>,
    /// The bridge's former ifalias.
    pub alias: String,
}

impl Ledger {
    /// A record with no entry.
    pub fn new(mode: Mode, network: String, digest: u32) -> Self {
        Ledger { mode, network, digest, ..Self::default() }
    }

    /// Each kind of entry: its word, and what the record has of it. Changed settings have no word, but their interface.
    fn kinds(&mut self) -> [(&'static str, &mut dyn Entries); 16] {
        [
            ("made", &mut self.made),
            ("index", &mut self.index),
            ("more", &mut self.more),
            ("pending", &mut self.pending),
            ("keep", &mut self.keep),
            ("held", &mut self.held),
            ("override", &mut self.overridden),
            ("dhcp", &mut self.dhcp),
            ("forward", &mut self.forwards),
            ("filter", &mut self.filters),
            ("hands-off", &mut self.hands_off),
            ("veth", &mut self.veth),
            ("nic", &mut self.nic),
            ("addr", &mut self.addresses),
            ("own", &mut self.bridge_addresses),
            ("mac", &mut self.mac),
        ]
    }

    /// Reads a record; None where `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let (text, alias) = text.split_once(" was=").unwrap_or((text, ""));
        let mut words = text.split(' ');
        let mode = words.next()?;
        let mode = Mode::ALL.into_iter().find(|known| known.as_str() == mode)?;
        let network = words.next().filter(|name| is_network_name(name))?.to_owned();
        let mut ledger = Ledger::new(mode, network, u32::from_str_radix(words.next()?, 16).ok()?);
        ledger.alias = former(alias);
        for word in words.take(MAX_ENTRIES) {
            if ledger.read(word).is_none() {
                ledger.unknown.push(word.to_owned());
            }
        }
        Some(ledger)
    }

    fn read(&mut self, entry: &str) -> Option<()> {
        let (word, value) = entry.split_once('=').map_or((entry, None), |(word, value)| (word, Some(value)));
        if let Some((_, entries)) = self.kinds().into_iter().find(|(known, _)| *known == word) {
            return entries.read(value);
        }
        // What kvmnet cannot have written is somebody else's.
        let changed = Changed::parse(entry)?;
        self.changed.extend(Some(changed).filter(|changed| changed.setting.takes(changed.before)));
        Some(())
    }

    /// Its entries, in order: whose it is, then a word for each, and at last the former alias.
    pub fn entries(&self) -> Vec<String> {
        let mut entries = vec![format!("{PREFIX}{} {} {:08x}", self.mode, self.network, self.digest)];
        for (word, kind) in self.clone().kinds() {
            let values = kind.values().into_iter();
            entries
                .extend(values.map(|value| value.map_or(word.to_owned(), |value| format!("{word}={value}"))));
        }
        entries.extend(self.changed.iter().map(ToString::to_string));
        entries.extend(self.unknown.iter().cloned());
        entries.extend(was(&self.alias));
        entries
    }

    /// Whether the bridge's own port is closed to the host.
    pub fn is_closed(&self) -> bool {
        self.mode == Mode::Isolated || self.veth.is_some()
    }

    /// Whether the bridge has room for the whole record.
    pub fn fits(&self) -> bool {
        self.to_string().len() <= MAX_LEN
    }

    /// As it is kept on the bridge: whole if it fits, else without what is in the table alone; None if that is too long.
    pub fn short(&self) -> Option<String> {
        let whole = self.to_string();
        if whole.len() <= MAX_LEN {
            return Some(whole);
        }
        let (addresses, bridge_addresses) = (Vec::new(), Vec::new());
        let mut short = Ledger { more: true, addresses, bridge_addresses, ..self.clone() };
        while short.to_string().len() > MAX_LEN {
            short.changed.pop()?;
        }
        Some(short.to_string())
    }

    /// This record, from the bridge, with what the table's copy knows besides.
    pub fn with_copy(mut self, copy: Option<Ledger>) -> Self {
        let Some(mut copy) = copy else { return self };
        if self.more && !copy.more {
            std::mem::swap(&mut self, &mut copy);
        }
        // What an earlier network of that name changed may still be to undo.
        let is_new = |changed: &Changed| self.changed(&changed.link, changed.setting).is_none();
        let more: Vec<Changed> = copy.changed.into_iter().filter(is_new).collect();
        self.changed.extend(more);
        self
    }

    /// Whether `link`, whose alias does not say so, is the bridge that this copy of a record speaks of: one that was found
    /// has a number, one that was made the MAC that it was made with, its own or that of the NIC that is its port.
    pub fn is_of(&self, link: &Link, facts: &Facts) -> bool {
        let is_port = |nic: &Link| nic.master == Some(link.index) && nic.mac == link.mac;
        let has_nic = || self.nic().and_then(|nic| facts.link(&nic)).is_some_and(is_port);
        match self.index {
            Some(index) => index == link.index,
            None => self.made && (link.mac == Some(Mac::of_bridge(&link.name)) || has_nic()),
        }
    }

    /// What there is still to undo of a network whose `bridge` is gone.
    pub fn without_bridge(mut self, bridge: &IfName) -> Self {
        self.changed.retain(|changed| changed.link != *bridge);
        Self {
            made: false,
            index: None,
            digest: 0,
            nic: None,
            addresses: Vec::new(),
            bridge_addresses: Vec::new(),
            mac: None,
            alias: String::new(),
            ..self
        }
    }

    /// What only a later version can undo; None where this one can undo all.
    pub fn beyond(&self) -> Option<Self> {
        let left = Self { unknown: self.unknown.clone(), ..Self::new(self.mode, self.network.clone(), 0) };
        (!left.unknown.is_empty()).then_some(left)
    }

    /// The name of the NIC that was made a port.
    pub fn nic(&self) -> Option<IfName> {
        self.nic.map(|nic| nic.name)
    }

    /// The interface through which the host takes part in the network on `bridge`.
    pub fn host_if(&self, bridge: IfName) -> IfName {
        self.veth.as_ref().map_or(bridge, |veth| veth.inner)
    }

    /// Whether kvmnet made this port of the bridge one: the NIC, or the end of the pair.
    pub fn has_port(&self, name: IfName) -> bool {
        self.nic() == Some(name) || self.veth.as_ref().is_some_and(|veth| veth.outer == name)
    }

    /// What a setting of an interface was before this network changed it, by itself or with every other.
    pub fn former(&self, link: &Place, setting: Setting) -> Option<Changed> {
        let all = || {
            let default = self.changed(&IfName::DEFAULT, setting)?.clone();
            let before = setting.range().0;
            Some(Changed { link: link.name, index: link.index, before, ..default })
        };
        self.own_former(link, setting).or_else(all)
    }

    /// What it was before this network changed it by itself.
    pub fn own_former(&self, link: &Place, setting: Setting) -> Option<Changed> {
        let own = self.changed.iter().find(|changed| changed.setting == setting && link.is_of(changed))?;
        Some(Changed { link: link.name, index: link.index, ..own.clone() })
    }

    /// What was changed of one setting of one interface.
    pub fn changed(&self, link: &IfName, setting: Setting) -> Option<&Changed> {
        self.changed.iter().find(|changed| changed.link == *link && changed.setting == setting)
    }
}

/// The former alias, as an entry says. A record is never what was there before.
pub(super) fn former(alias: &str) -> String {
    if alias.starts_with(PREFIX) { String::new() } else { alias.to_owned() }
}

/// The entry of a former alias.
pub(super) fn was(alias: &str) -> Option<String> {
    (!alias.is_empty()).then(|| format!("was={alias}"))
}

/// All entries in one line.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(" "))
    }
}
