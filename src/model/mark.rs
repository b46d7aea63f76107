//! The record of what kvmnet did to a bridge: the bridge's ifalias, with a copy in a set of the network's table.
//!
//! It is all that the undo needs, so it names what was made and the former value of what was changed,
//! and it is written before the change. A reboot takes it away together with what it describes.
//!
//! The set has room for every record, an entry each element. A record that the alias has no room for is there in short, with
//! the word `more`. The bridge is the one that the record speaks of if it bears it, or, where its alias was wiped out, if it
//! has the number or the MAC that the copy says.

use std::fmt;

use ipnet::IpNet;

use super::{Facts, IfName, Link, Mac, Mode, Setting, Veth};

/// How every mark begins.
pub const PREFIX: &str = "kvmnet:";

/// The longest alias in bytes (IFALIASZ).
pub const MAX_LEN: usize = 255;

/// The former value of something that kvmnet changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The interface; `all`, or `default` for every interface, those to come included, but for those that are recorded
    /// themselves.
    pub link: IfName,
    /// Its number, by which it is found under another name; 0 where it is not known.
    pub index: u32,
    /// What was changed.
    pub setting: Setting,
    /// The value to put back.
    pub before: u32,
    /// Whether the machine-wide forwarding switch was on then. While it differs, somebody else has taken
    /// a decision about forwarding, and the value stays.
    pub wide: bool,
}

/// An interface by its name and its number, which is 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its name now.
    pub name: IfName,
    /// Its number.
    pub index: u32,
}

impl Place {
    /// Whether a value was saved of this interface.
    pub fn is_of(&self, saved: &Saved) -> bool {
        match (self.index, saved.index) {
            (now, then) if now != 0 && now == then => true,
            // One that was made anew under the name.
            _ => self.name == saved.link,
        }
    }
}

impl Saved {
    /// Where it was saved.
    pub fn place(&self) -> Place {
        Place { name: self.link, index: self.index }
    }
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
    /// The pair through which the host joined.
    pub veth: Option<Veth>,
    /// Bridged: the NIC that was made a port, with its addresses on the bridge now.
    pub nic: Option<IfName>,
    /// That NIC's number, by which it is found under another name; 0 in records of versions that had none.
    pub nic_index: u32,
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
    /// Words of a later version, which are kept.
    pub unknown: Vec<String>,
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
            index: None,
            more: false,
            pending: false,
            keep: false,
            held: false,
            overridden: false,
            veth: None,
            nic: None,
            nic_index: 0,
            addresses: Vec::new(),
            own: Vec::new(),
            mac: None,
            saved: Vec::new(),
            alias: alias.to_owned(),
            unknown: Vec::new(),
        };
        for word in words {
            if mark.read_word(word).is_none() {
                mark.unknown.push(word.to_owned());
            }
        }
        Some(mark)
    }

    fn read_word(&mut self, word: &str) -> Option<()> {
        match word.split_once('=') {
            None if word == "made" => self.made = true,
            None if word == "more" => self.more = true,
            None if word == "pending" => self.pending = true,
            None if word == "keep" => self.keep = true,
            None if word == "held" => self.held = true,
            None if word == "override" => self.overridden = true,
            Some(("index", number)) => self.index = Some(number.parse().ok()?),
            Some(("veth", name)) => self.veth = Some(Veth::named(name).ok()?),
            Some(("nic", text)) => {
                let numbered =
                    text.rsplit_once('@').and_then(|(name, index)| Some((name, index.parse().ok()?)));
                let (name, index) = numbered.unwrap_or((text, 0));
                (self.nic, self.nic_index) = (Some(IfName::of_kernel(name.as_bytes())?), index);
            }
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

    /// Whether the whole mark fits where it is kept.
    pub fn fits(&self) -> bool {
        self.to_string().len() <= MAX_LEN
    }

    /// As it is kept on the bridge: whole if it fits, else without what is in the table alone; None if that is too long.
    pub fn short(&self) -> Option<String> {
        let whole = self.to_string();
        if whole.len() <= MAX_LEN {
            return Some(whole);
        }
        let mut short = Mark { more: true, addresses: Vec::new(), own: Vec::new(), ..self.clone() };
        while short.to_string().len() > MAX_LEN {
            short.saved.pop()?;
        }
        Some(short.to_string())
    }

    /// Its entries, in order: whose it is, then a word for each, and at last the former alias.
    pub fn entries(&self) -> Vec<String> {
        let mut entries = vec![format!("{PREFIX}{} {} {:08x}", self.mode, self.network, self.digest)];
        let mut add = |entry: &dyn fmt::Display| entries.push(entry.to_string());
        let flags = [
            (self.made, "made"),
            (self.more, "more"),
            (self.pending, "pending"),
            (self.keep, "keep"),
            (self.held, "held"),
            (self.overridden, "override"),
        ];
        flags.into_iter().filter(|(is_set, _)| *is_set).for_each(|(_, word)| add(&word));
        self.index.iter().for_each(|index| add(&format_args!("index={index}")));
        self.veth.iter().for_each(|veth| add(&format_args!("veth={}", veth.name())));
        self.nic.iter().for_each(|nic| match self.nic_index {
            0 => add(&format_args!("nic={nic}")),
            index => add(&format_args!("nic={nic}@{index}")),
        });
        self.addresses.iter().for_each(|net| add(&format_args!("addr={net}")));
        self.own.iter().for_each(|net| add(&format_args!("own={net}")));
        self.mac.iter().for_each(|mac| add(&format_args!("mac={mac}")));
        self.saved.iter().for_each(|saved| add(saved));
        self.unknown.iter().for_each(|word| add(word));
        if !self.alias.is_empty() {
            add(&format_args!("was={}", self.alias));
        }
        entries
    }

    /// This mark, from the bridge, with what the table's copy knows besides.
    pub fn with_copy(mut self, copy: Option<Mark>) -> Self {
        let Some(mut copy) = copy else { return self };
        if self.more && !copy.more {
            std::mem::swap(&mut self, &mut copy);
        }
        // What an earlier network of that name changed may still be to undo.
        let is_new = |saved: &Saved| self.saved(&saved.link, saved.setting).is_none();
        let more: Vec<Saved> = copy.saved.into_iter().filter(is_new).collect();
        self.saved.extend(more);
        self
    }

    /// Whether `link`, whose alias does not say so, is the bridge that this copy of a mark speaks of: one that was found has
    /// a number, one that was made the MAC that it was made with, its own or that of the NIC that is its port.
    pub fn is_of(&self, link: &Link, facts: &Facts) -> bool {
        let is_port = |nic: &Link| nic.master == Some(link.index) && nic.mac == link.mac;
        let has_nic = || self.nic.and_then(|nic| facts.link(&nic)).is_some_and(is_port);
        match self.index {
            Some(index) => index == link.index,
            None => self.made && (link.mac == Some(Mac::of_bridge(&link.name)) || has_nic()),
        }
    }

    /// Without what a network on `bridge` changes of no other interface: an alias or a table may be anybody's.
    pub fn believed(mut self, bridge: &IfName) -> Self {
        let nic = self.nic;
        let is_its_own = |saved: &Saved| saved.link == *bridge || nic == Some(saved.link);
        self.saved.retain(|saved| saved.setting.is_of_others() || is_its_own(saved));
        self
    }

    /// The same for a network whose `bridge` is gone.
    pub fn without_bridge(mut self, bridge: &IfName) -> Self {
        self.saved.retain(|saved| saved.link != *bridge);
        Self {
            made: false,
            index: None,
            digest: 0,
            nic: None,
            addresses: Vec::new(),
            own: Vec::new(),
            mac: None,
            alias: String::new(),
            ..self
        }
    }

    /// What a setting of an interface was before this network changed it, by itself or with every other.
    pub fn former(&self, link: &Place, setting: Setting) -> Option<Saved> {
        let own = self.saved.iter().find(|saved| saved.setting == setting && link.is_of(saved));
        let all =
            || Some(Saved { before: setting.range().0, ..self.saved(&IfName::DEFAULT, setting)?.clone() });
        let saved = own.cloned().or_else(all)?;
        Some(Saved { link: link.name, index: link.index, ..saved })
    }

    /// What was saved of one setting of one interface.
    pub fn saved(&self, link: &IfName, setting: Setting) -> Option<&Saved> {
        self.saved.iter().find(|saved| saved.link == *link && saved.setting == setting)
    }
}

/// All entries in one line.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().join(" "))
    }
}

impl Saved {
    fn parse(word: &str) -> Option<Self> {
        let (link, rest) = word.rsplit_once(':')?;
        let (letter, value) = rest.split_once('=')?;
        let (value, index) = match value.split_once('@') {
            Some((value, index)) => (value, index.parse().ok()?),
            None => (value, 0),
        };
        let (before, wide) = match value.strip_suffix('+') {
            Some(before) => (before, true),
            None => (value, false),
        };
        let (link, setting) = (IfName::of_kernel(link.as_bytes())?, Setting::of_letter(letter)?);
        let before = before.parse().ok().filter(|before| setting.takes(*before))?;
        Some(Saved { link, index, setting, before, wide })
    }
}

/// `eth3:f=0@2`: the value and the interface's number, with a `+` between where the machine-wide switch was on.
impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = if self.wide { "+" } else { "" };
        write!(f, "{}:{}={}{wide}", self.link, self.setting.letter(), self.before)?;
        if self.index != 0 { write!(f, "@{}", self.index) } else { Ok(()) }
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
            "kvmnet:routed lab deadbeef made keep held override veth=veth1 addr=10.0.100.3/24 addr=fd00::3/64 eth3:f=0+@2 all:W=0 default:f=0 br-lan:f=0@17",
            "kvmnet:bridged default 00000000 nic=eth3@2",
            "kvmnet:bridged default 00000000 nic=eth3 own=10.1.1.1/24 mac=02:00:00:00:00:07 br0:g=7 br0:u=0 was=uplink of floor 3",
            "kvmnet:isolated a.b 00000001 made",
            "kvmnet:isolated a.b 00000001 more pending index=7",
            "kvmnet:nat default 00000000 eth3:f=0 eth3:later=2 dhcp=yes",
        ] {
            assert_eq!(Mark::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn believes_no_more_than_kvmnet_would_have_written() {
        let text = "kvmnet:nat x 00000000 eth3:f=0 eth3:f=4294967295 eth3:u=0 eth3:m=1400 br0:m=1400 eth4:R=7 eth4:R=1";
        let mark = Mark::parse(text).unwrap().believed(&IfName::new("br0").unwrap());
        let saved: Vec<String> = mark.saved.iter().map(ToString::to_string).collect();
        assert_eq!(saved, ["eth3:f=0", "br0:m=1400", "eth4:R=1"]);
    }

    #[test]
    fn takes_nothing_else_for_a_mark() {
        for text in
            ["", "kvmnet:", "kvmnet:nat", "kvmnet:natt default 00000000", "my bridge", "kvmnet:nat x zz"]
        {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }

    /// 64 uplinks of both families and 64 addresses: the short form fits, and the entries say all.
    #[test]
    fn has_room() {
        let mut mark = Mark::parse("kvmnet:nat default 00000000 made").unwrap();
        for number in 0..64 {
            let link = IfName::new(&format!("enp{number}s0f1np1")).unwrap();
            for setting in [Setting::Forwarding, Setting::ForceForwarding] {
                mark.saved.push(Saved { link, index: 7, setting, before: 0, wide: false });
            }
            mark.addresses.push(format!("fd00:{number:x}::3/64").parse().unwrap());
        }
        let short = mark.short().unwrap();
        assert!(short.len() <= MAX_LEN && !mark.fits(), "{short}");
        let short = Mark::parse(&short).unwrap();
        assert!(short.more && short.made);
        mark.alias = "uplink of floor 3".to_owned();
        let entries = mark.entries();
        assert_eq!(
            (entries.len(), entries.last().unwrap().as_str()),
            (2 + 128 + 64 + 1, "was=uplink of floor 3")
        );
        assert_eq!(Mark::parse(&entries.join(" ")), Some(mark));
    }
}
