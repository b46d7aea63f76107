//! `allow_vlan_tags`: whether what a guest with a filter sends may have a VLAN tag.

use super::{Form, Key, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "allow_vlan_tags",
    #[cfg(test)]
    meaning: "with `filter`: whether a guest may send frames with a VLAN tag",
    is_of_guest: true,
    form: Form::Flag,
    set: |network, entry| entry.flag().map(|allowed| network.allow_vlan_tags = allowed),
    get: |network| network.allow_vlan_tags.then_some(Value::Flag(true)),
    ..PLAIN
};
