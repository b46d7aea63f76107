//! `uplink_managed`: whether a NIC is taken although another program keeps its addresses.

use super::{Key, Mode, PLAIN, Problem, Value};

pub(crate) static KEY: Key = Key {
    word: "uplink_managed",
    #[cfg(test)]
    meaning: "bridged: \"take\" takes a NIC whose addresses another program keeps",
    default: Some("refuse"),
    is_used: |mode| mode == Mode::Bridged,
    set: |network, entry| entry.one(parse).map(|take| network.take_managed = take),
    get: |network| Some(Value::text(if network.take_managed { "take" } else { "refuse" })),
    // Asked once, before the takeover.
    ..PLAIN
};

fn parse(text: &str) -> Result<bool, Problem> {
    match text {
        "take" => Ok(true),
        "refuse" => Ok(false),
        _ => Err(Problem::new(format!("{text:?} is neither \"take\" nor \"refuse\""))
            .did_you_mean(text, ["take", "refuse"])),
    }
}
