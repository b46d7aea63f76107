//! The record of what kvmnet did to a bridge: the bridge's ifalias, with a copy in the table's userdata.
//!
//! It is all that the undo needs, so it names what was made and the former value of what was changed,
//! and it is written before the change. A reboot takes it away together with what it describes.

use std::fmt;

use ipnet::IpNet;

use super::{IfName, Mac, Mode, Setting, Veth};

/// How every mark begins.
pub const PREFIX: &str = "kvmnet:";

/// The longest mark in bytes: an alias has 255 (IFALIASZ), a table's userdata 256, which also holds a
/// fingerprint of 18 bytes and a header of 2.
pub const MAX_LEN: usize = 230;

/// The former value of something that kvmnet changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The interface, or `all`.
    pub link: IfName,
    /// What was changed.
    pub setting: Setting,
    /// The value to put back.
    pub before: u32,
    /// Whether the machine-wide forwarding switch was on then. While it differs, somebody else has taken
    /// a decision about forwarding, and the value stays.
    pub wide: bool,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The network's mode.
    pub mode: Mode,
    /// The network's name.
    pub network: String,
    /// A digest of the network's configuration, to notice an override that differs.
    pub digest: u32,
    /// kvmnet made the bridge (true) or found it (false).
    pub made: bool,
    /// The network stays when its last guest leaves.
    pub keep: bool,
    /// A person brought the network up, and it stays until that person takes it down.
    pub held: bool,
    /// The environment made it another network than the file says.
    pub overridden: bool,
    /// The pair through which the host joined.
    pub veth: Option<Veth>,
    /// Bridged: the NIC that was made a port, with its addresses on the bridge now.
    pub nic: Option<IfName>,
    /// The addresses that the host was given.
    pub addresses: Vec<IpNet>,
    /// Bridged, adopted: the addresses that the bridge had itself.
    pub own: Vec<IpNet>,
    /// Bridged, adopted: the MAC that the bridge had.
    pub mac: Option<Mac>,
    /// What to put back.
    pub saved: Vec<Saved>,
    /// The bridge's former ifalias.
    pub alias: String,
}

impl Mark {
    /// Reads a mark; None where `text` is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let (text, alias) = text.split_once(" was=").unwrap_or((text, ""));
        let mut words = text.split(' ');
        let mode = words.next()?;
        let mut mark = Mark {
            mode: Mode::ALL.into_iter().find(|known| known.as_str() == mode)?,
            network: words.next()?.to_owned(),
            digest: u32::from_str_radix(words.next()?, 16).ok()?,
            made: false,
            keep: false,
            held: false,
            overridden: false,
            veth: None,
            nic: None,
            addresses: Vec::new(),
            own: Vec::new(),
            mac: None,
            saved: Vec::new(),
            alias: alias.to_owned(),
        };
        for word in words {
            mark.read_word(word)?;
        }
        Some(mark)
    }

    fn read_word(&mut self, word: &str) -> Option<()> {
        match word.split_once('=') {
            None if word == "made" => self.made = true,
            None if word == "keep" => self.keep = true,
            None if word == "held" => self.held = true,
            None if word == "override" => self.overridden = true,
            Some(("veth", name)) => self.veth = Some(Veth::named(name).ok()?),
            Some(("nic", name)) => self.nic = Some(IfName::of_kernel(name.as_bytes())?),
            Some(("addr", net)) => self.addresses.push(net.parse().ok()?),
            Some(("own", net)) => self.own.push(net.parse().ok()?),
            Some(("mac", mac)) => self.mac = Some(Mac::parse(mac)?),
            _ => self.saved.push(Saved::parse(word)?),
        }
        Some(())
    }

    /// Whether the bridge's own port is closed to the host.
    pub fn is_closed(&self) -> bool {
        self.mode == Mode::Isolated || self.veth.is_some()
    }

    /// Whether the mark fits where it is kept.
    pub fn fits(&self) -> bool {
        self.to_string().len() <= MAX_LEN
    }

    /// What was saved of one setting of one interface.
    pub fn saved(&self, link: &IfName, setting: Setting) -> Option<&Saved> {
        self.saved.iter().find(|saved| saved.link == *link && saved.setting == setting)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{} {} {:08x}", self.mode, self.network, self.digest)?;
        if self.made {
            f.write_str(" made")?;
        }
        if self.keep {
            f.write_str(" keep")?;
        }
        if self.held {
            f.write_str(" held")?;
        }
        if self.overridden {
            f.write_str(" override")?;
        }
        if let Some(veth) = &self.veth {
            write!(f, " veth={}", veth.name())?;
        }
        if let Some(nic) = &self.nic {
            write!(f, " nic={nic}")?;
        }
        for net in &self.addresses {
            write!(f, " addr={net}")?;
        }
        for net in &self.own {
            write!(f, " own={net}")?;
        }
        if let Some(mac) = &self.mac {
            write!(f, " mac={mac}")?;
        }
        for saved in &self.saved {
            write!(f, " {saved}")?;
        }
        if !self.alias.is_empty() {
            write!(f, " was={}", self.alias)?;
        }
        Ok(())
    }
}

impl Saved {
    fn parse(word: &str) -> Option<Self> {
        let (link, rest) = word.rsplit_once(':')?;
        let (letter, value) = rest.split_once('=')?;
        let (before, wide) = match value.strip_suffix('+') {
            Some(before) => (before, true),
            None => (value, false),
        };
        Some(Saved {
            link: IfName::of_kernel(link.as_bytes())?,
            setting: Setting::of_letter(letter)?,
            before: before.parse().ok()?,
            wide,
        })
    }
}

/// `eth3:f=0`, with a `+` at the end where the machine-wide switch was on.
impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = if self.wide { "+" } else { "" };
        write!(f, "{}:{}={}{wide}", self.link, self.setting.letter(), self.before)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in [
            "kvmnet:nat default 0000002a made addr=10.0.100.3/24 eth3:f=0",
            "kvmnet:routed lab deadbeef made keep held override veth=veth1 addr=10.0.100.3/24 addr=fd00::3/64 eth3:f=0+ all:W=0",
            "kvmnet:bridged default 00000000 nic=eth3 own=10.1.1.1/24 mac=02:00:00:00:00:07 br0:g=7 br0:u=0 was=uplink of floor 3",
            "kvmnet:isolated a.b 00000001 made",
        ] {
            assert_eq!(Mark::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn takes_nothing_else_for_a_mark() {
        for text in
            ["", "kvmnet:", "kvmnet:nat", "kvmnet:natt default 00000000", "my bridge", "kvmnet:nat x zz"]
        {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
        assert_eq!(Mark::parse("kvmnet:nat default 00000000 surprise"), None);
    }
}
