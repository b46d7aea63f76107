//! The keys and the words for them.

use crate::model::Key;

/// Every key with the word for it, in the order of the documentation.
pub const KEYS: [(Key, &str); 10] = [
    (Key::Mode, "mode"),
    (Key::Bridge, "bridge"),
    (Key::Address, "address"),
    (Key::Uplink, "uplink"),
    (Key::NatSource, "nat_source"),
    (Key::Veth, "veth"),
    (Key::Keep, "keep"),
    (Key::Confirm, "confirm"),
    (Key::UplinkManaged, "uplink_managed"),
    (Key::Taps, "taps"),
];

/// The word for `key`.
pub(super) fn key_name(key: Key) -> &'static str {
    KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, name)| name)
}

/// The key that `name` is the word for.
pub(super) fn key_of(name: &str) -> Option<Key> {
    KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
}
