//! The record on a guest's tap: that kvmnet attached it, what it changed on it, for a tap that outlives its guest, and who the
//! guest is. It goes with the tap, so nothing in it is of a guest that is gone.

use std::fmt;

use super::ledger::{MAX_LEN, former, was};
use super::{Filtering, Forward, GuestIdentity, IfName, Mac, Setting, is_label};

/// How every such alias begins.
const PREFIX: &str = "kvmnet:tap";
/// More words have no room in it.
const MOST: usize = MAX_LEN / "fwd=1:1 ".len();

/// The ifalias of an attached tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapRecord {
    /// The bridge that it was attached to; None in records of versions that did not say.
    pub bridge: Option<IfName>,
    /// What was changed, in that order, with its former value.
    pub changed: Vec<(Setting, u32)>,
    pub mac: Option<Mac>,
    /// Who is behind it, where its network has a use for that.
    pub guest: GuestIdentity,
    /// The ports of the host that lead to it.
    pub forwards: Vec<Forward>,
    /// Whether it has a filter, where that is not the default.
    pub filter: Option<Filtering>,
    /// Entries of a later version, which stay as they are.
    pub unknown: Vec<String>,
    /// Its former alias.
    pub alias: String,
}

impl TapRecord {
    /// Reads the alias of a tap; None where kvmnet did not attach it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX).filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
        let (words, alias) = text.split_once(" was=").unwrap_or((text, ""));
        let mut record = TapRecord { alias: former(alias), ..Self::default() };
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if record.read(word).is_none() {
                record.unknown.push(word.to_owned());
            }
        }
        Some(record)
    }

    fn read(&mut self, entry: &str) -> Option<()> {
        match entry.split_once('=')? {
            ("on", name) => self.bridge = Some(IfName::new(name).ok()?),
            ("mac", value) => self.mac = Some(value.parse().ok()?),
            ("vm", name) => self.guest.name = Some(name.to_owned()).filter(|name| is_label(name)),
            ("nic", value) => self.guest.add_mac(value.parse().ok()?),
            ("at", value) => self.guest.add_address(value.parse().ok()?),
            ("filter", value) => self.filter = Some(value.parse().ok()?),
            ("fwd", value) if self.forwards.len() < MOST => self.forwards.push(value.parse().ok()?),
            (name, value) => {
                let (setting, before) = (setting(name)?, value.parse().ok()?);
                // What kvmnet cannot have written is somebody else's.
                let is_ours = setting.is_of_taps() && setting.takes(before);
                self.changed.extend(is_ours.then_some((setting, before)));
            }
        }
        Some(())
    }

    /// The former value of a setting that was changed.
    pub fn before(&self, setting: Setting) -> Option<u32> {
        self.changed.iter().find(|(known, _)| *known == setting).map(|(_, before)| *before)
    }

    /// Saves the value of a setting before its first change.
    pub fn save(&mut self, setting: Setting, before: u32) {
        if self.before(setting).is_none() {
            self.changed.push((setting, before));
        }
    }

    /// The record as it fits where it is kept: what leads to the guest, and then who it is, give way before what is to be undone. None where there is
    /// no room for that either.
    pub fn fitting(mut self) -> Option<Self> {
        while self.to_string().len() > MAX_LEN {
            if self.forwards.pop().is_none() && !self.guest.forget_one() {
                return None;
            }
        }
        Some(self)
    }
}

/// Two have had a whole word from the first version on.
const WORDS: [(Setting, &str); 2] = [(Setting::Mtu, "mtu"), (Setting::AddrGen, "gen")];

fn word(setting: Setting) -> &'static str {
    let found = WORDS.iter().find(|(known, _)| *known == setting);
    found.map_or_else(|| setting.letter(), |(_, word)| word)
}

fn setting(name: &str) -> Option<Setting> {
    let found = WORDS.iter().find(|(_, word)| *word == name);
    found.map(|(setting, _)| *setting).or_else(|| Setting::of_letter(name))
}

impl fmt::Display for TapRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = vec![PREFIX.to_owned()];
        entries.extend(self.bridge.map(|bridge| format!("on={bridge}")));
        entries.extend(self.changed.iter().map(|(setting, before)| format!("{}={before}", word(*setting))));
        entries.extend(self.mac.map(|mac| format!("mac={mac}")));
        entries.extend(self.filter.map(|filter| format!("filter={filter}")));
        let GuestIdentity { name, macs, addresses } = &self.guest;
        entries.extend(name.iter().map(|name| format!("vm={name}")));
        entries.extend(macs.iter().map(|mac| format!("nic={mac}")));
        entries.extend(addresses.iter().map(|address| format!("at={address}")));
        entries.extend(self.forwards.iter().map(|forward| format!("fwd={forward}")));
        entries.extend(self.unknown.iter().cloned());
        entries.extend(was(&self.alias));
        f.write_str(&entries.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in [
            "kvmnet:tap",
            "kvmnet:tap on=br-lab gen=0",
            "kvmnet:tap mtu=9000 gen=0 was=the web server",
            "kvmnet:tap was=x",
            "kvmnet:tap gen=0 a=0 r=2 q=0 t=0 d=0 mac=02:00:00:00:00:07",
            "kvmnet:tap on=br0 mac=02:00:00:00:00:07 vm=web-1 nic=52:54:00:12:34:57 at=10.0.100.7 at=fd00:100::7 was=x y",
            "kvmnet:tap on=br0 g=0 filter=on nic=52:54:00:12:34:57",
            "kvmnet:tap on=br0 filter=own-tags",
            "kvmnet:tap on=br0 filter=own-off",
            "kvmnet:tap on=br0 at=10.0.100.7 fwd=2222:22 fwd=udp/5353:53 fwd=[::1]:8080:80 fwd=3000-3010:3000",
        ] {
            assert_eq!(TapRecord::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TapRecord::parse("kvmnet:nat default 00000000"), None);
        assert_eq!(TapRecord::parse("web server"), None);
    }

    #[test]
    fn knows_when_it_does_not_fit() {
        let record = |length| TapRecord { alias: "x".repeat(length), ..TapRecord::default() };
        assert!(record(MAX_LEN - PREFIX.len() - 5).fitting().is_some());
        assert_eq!(record(MAX_LEN - PREFIX.len() - 4).fitting(), None);
    }

    /// Where there is no room, what has to be undone stays.
    #[test]
    fn who_the_guest_is_gives_way() {
        let fixed = "kvmnet:tap on=br0 mtu=9000 gen=0";
        let guest = " vm=web nic=52:54:00:12:34:57 at=10.0.100.7 at=fd00:100::7";
        for (room, left) in [
            (guest.len(), guest),
            (guest.len() - 1, " nic=52:54:00:12:34:57 at=10.0.100.7 at=fd00:100::7"),
            (40, " nic=52:54:00:12:34:57 at=10.0.100.7"),
            (30, " nic=52:54:00:12:34:57"),
            (3, ""),
        ] {
            let was = format!(" was={}", "x".repeat(MAX_LEN - fixed.len() - room - 5));
            let record = TapRecord::parse(&format!("{fixed}{guest}{was}")).unwrap();
            assert_eq!(record.fitting().unwrap().to_string(), format!("{fixed}{left}{was}"), "{room}");
        }
    }

    /// A record may be of a later version, or of anybody who may write it.
    #[test]
    fn what_it_does_not_know_hurts_nothing() {
        let text = "kvmnet:tap on=br0 gen=0 vm=web later=1 alone";
        assert_eq!(TapRecord::parse(text).unwrap().to_string(), text);
        let forged = "kvmnet:tap on=a/b gen=99999999999 vm=$(reboot) nic=1 nic=52:54:00:00:00:01 at=x at=10.0.0.1 gen=7";
        let record = TapRecord::parse(forged).unwrap();
        assert_eq!((record.bridge, record.changed.len(), record.guest.name.as_deref()), (None, 0, None));
        assert_eq!((record.guest.macs.len(), record.guest.addresses.len()), (1, 1));
        let many: String = (0..255).map(|n| format!(" at=10.0.0.{n}")).collect();
        assert_eq!(TapRecord::parse(&format!("kvmnet:tap{many}")).unwrap().guest.addresses.len(), 8);
        assert_eq!(TapRecord::parse("kvmnet:tapestry"), None);
        let odd = "kvmnet:tap \twas=x \u{2003}vm=y";
        assert_eq!(TapRecord::parse(odd).unwrap().to_string(), odd, "only a space is between two entries");
    }
}
