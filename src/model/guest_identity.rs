//! Who a guest is, as far as its network has to know: a name, the MACs of its NICs on one tap, the addresses kept for it.

use std::net::IpAddr;

use super::Mac;

/// The longest label of a name in the DNS (RFC 1035).
const LABEL: usize = 63;
/// So many MACs and addresses of one tap are looked at. Few have more than one.
const MOST: usize = 8;

/// Who a guest is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestIdentity {
    /// A label of the DNS.
    pub name: Option<String>,
    /// The MACs of its NICs on the tap.
    pub macs: Vec<Mac>,
    /// The addresses that are kept for it.
    pub addresses: Vec<IpAddr>,
}

impl GuestIdentity {
    /// What somebody says, bounded and made safe. A MAC that is a group's is nobody's.
    pub fn new(name: Option<&str>, macs: impl IntoIterator<Item = Mac>) -> Self {
        let mut identity = Self { name: name.and_then(label), ..Self::default() };
        macs.into_iter().filter(|mac| !mac.is_group()).for_each(|mac| identity.add_mac(mac));
        identity
    }

    pub fn add_mac(&mut self, mac: Mac) {
        if !self.macs.contains(&mac) && self.macs.len() < MOST {
            self.macs.push(mac);
        }
    }

    pub fn add_address(&mut self, address: IpAddr) {
        if !self.addresses.contains(&address) && self.addresses.len() < MOST {
            self.addresses.push(address);
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Forgets what can be done without most easily: its name, then an address, then a MAC. False where nothing is left.
    pub fn forget_one(&mut self) -> bool {
        self.name.take().is_some() || self.addresses.pop().is_some() || self.macs.pop().is_some()
    }
}

/// A label of the DNS that is like `text`: lower-case letters, digits, and a hyphen for each run of anything else.
pub fn label(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = String::new();
    for word in words.take(LABEL) {
        if !label.is_empty() {
            label.push('-');
        }
        // Of a text without end, no more than counts.
        label.extend(word.chars().take(LABEL));
        if label.len() >= LABEL {
            break;
        }
    }
    label.truncate(LABEL);
    let label = label.trim_end_matches('-').to_ascii_lowercase();
    (!label.is_empty()).then_some(label)
}

/// Whether a text is such a label already.
pub fn is_label(text: &str) -> bool {
    label(text).as_deref() == Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_text_becomes_a_label_or_nothing() {
        for (text, expected) in [
            ("web", Some("web")),
            ("Web Server #1", Some("web-server-1")),
            ("--a--b--", Some("a-b")),
            ("b\u{fc}cher", Some("b-cher")),
            ("\u{6f22}\u{5b57}", None),
            ("web.example.org", Some("web-example-org")),
            ("$(reboot)\n\x1b[2J", Some("reboot-2j")),
            ("xn--bcher-kva", Some("xn-bcher-kva")),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(label(text).as_deref(), expected, "{text:?}");
        }
        assert_eq!(label(&"x".repeat(300)).unwrap().len(), LABEL);
        assert_eq!(label(&"x-".repeat(300)).unwrap().len(), LABEL);
        assert_eq!(label(&format!("{}-b", "a".repeat(62))).unwrap(), "a".repeat(62));
        assert!(
            is_label("web-1") && !is_label("Web") && !is_label("a--b") && !is_label("") && !is_label("a b")
        );
    }

    #[test]
    fn what_is_said_is_bounded() {
        let macs = (0..100).map(|n| Mac([n, 0, 0, 0, 0, n]));
        let identity = GuestIdentity::new(Some("a b"), macs);
        assert_eq!((identity.name.as_deref(), identity.macs.len()), (Some("a-b"), MOST));
        assert!(identity.macs.iter().all(|mac| !mac.is_group()));
    }
}
