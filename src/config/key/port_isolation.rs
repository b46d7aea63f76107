//! `port_isolation`: whether guests of the network reach each other.

use super::{Form, Key, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "port_isolation",
    #[cfg(test)]
    meaning: "guests of the network reach the host and the outside, and not each other",
    default: Some("false"),
    form: Form::Flag,
    set: |network, entry| entry.flag().map(|isolated| network.port_isolation = isolated),
    get: |network| Some(Value::Flag(network.port_isolation)),
    digest: |network| network.port_isolation.then(|| "port_isolation".to_owned()),
    ..PLAIN
};
