//! `dhcp`: whether guests are told their addresses.

use super::{Form, Key, Mode, PLAIN, Value};

pub(crate) static KEY: Key = Key {
    word: "dhcp",
    #[cfg(test)]
    meaning: "host-only, routed, nat: addresses and names for the guests, by DHCP, router advertisements and DNS; where it is not set, true in nat",
    is_used: Mode::has_host_address,
    form: Form::Flag,
    set: |network, entry| entry.flag().map(|dhcp| network.dhcp = Some(dhcp)),
    // What a mode does by itself is not said: on a bridge that was there it does not.
    get: |network| network.dhcp.map(Value::Flag),
    digest: |network| {
        (network.serves_dhcp() != (network.mode == Mode::Nat))
            .then(|| format!("dhcp={}", network.serves_dhcp()))
    },
    ..PLAIN
};
