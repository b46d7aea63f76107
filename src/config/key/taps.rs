//! `taps`: patterns of the taps that belong to the network.

use super::{Form, Key, PLAIN, Problem, Value};
use crate::config::pattern::Pattern;

pub(crate) static KEY: Key = Key {
    word: "taps",
    #[cfg(test)]
    meaning: "in `[network.NAME]`: patterns of tap names",
    form: Form::List,
    not_at_top: Some("write it under [network.NAME]: the top level gets the taps that are left"),
    not_in_environment: Some("KVMNET_NETWORK=NAME chooses a network"),
    set: |network, entry| entry.list(valid).map(|patterns| network.taps = patterns),
    get: |network| (!network.taps.is_empty()).then(|| Value::list(&network.taps)),
    // They choose the network, and are no part of it.
    ..PLAIN
};

fn valid(pattern: &str) -> Result<String, Problem> {
    Pattern::new(pattern).map(|_| pattern.to_owned())
}
