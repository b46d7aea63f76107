//! `confirm`: whether a takeover that silences the gateway is taken back.

use super::{Form, Key, Mode, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "confirm",
    #[cfg(test)]
    meaning: "bridged: a takeover that silences the gateway is taken back",
    default: Some("true"),
    is_used: |mode| mode == Mode::Bridged,
    form: Form::Flag,
    set: |network, entry| entry.flag().map(|confirm| network.confirm = confirm),
    get: |network| Some(Value::Flag(network.confirm)),
    // Asked once, at the takeover.
    ..PLAIN
};
