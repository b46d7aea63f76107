//! `filter`: whether a guest is held to its own MACs and addresses.

use super::{Form, Key, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "filter",
    #[cfg(test)]
    meaning: "whether a guest can send with its own MAC and addresses only, and nothing that servers and routers send",
    is_of_guest: true,
    form: Form::Flag,
    default: Some("false"),
    set: |network, entry| entry.flag().map(|filter| network.filter = filter),
    get: |network| Some(Value::Flag(network.filter)),
    ..PLAIN
};
