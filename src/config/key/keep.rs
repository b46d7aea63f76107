//! `keep`: whether the network stays when its last guest leaves.

use super::{Form, Key, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "keep",
    #[cfg(test)]
    meaning: "the network stays when its last guest leaves",
    default: Some("false"),
    form: Form::Flag,
    set: |network, entry| entry.flag().map(|keep| network.keep = keep),
    get: |network| Some(Value::Flag(network.keep)),
    digest: |network| Some(network.keep.to_string()),
    ..PLAIN
};
