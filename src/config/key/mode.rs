//! `mode`: who reaches whom.

use super::{Key, Mode, PLAIN, Problem, Value};

pub(crate) static KEY: Key = Key {
    word: "mode",
    #[cfg(test)]
    meaning: "isolated, host-only, routed, nat, bridged",
    default: Some("nat"),
    set: |network, entry| entry.one(parse).map(|mode| network.mode = mode),
    get: |network| Some(Value::text(network.mode)),
    digest: |network| Some(network.mode.to_string()),
    ..PLAIN
};

/// What other programs call the modes.
const FOREIGN: [(&str, Mode); 7] = [
    ("private", Mode::Isolated),
    ("internal", Mode::Isolated),
    ("none", Mode::Isolated),
    ("masquerade", Mode::Nat),
    ("user", Mode::Nat),
    ("macvtap", Mode::Bridged),
    ("passthrough", Mode::Bridged),
];

fn parse(text: &str) -> Result<Mode, Problem> {
    let words = Mode::ALL.map(Mode::as_str);
    if let Some(mode) = Mode::ALL.into_iter().find(|mode| mode.as_str() == text) {
        return Ok(mode);
    }
    let problem = Problem::new(format!("unknown mode {text:?} ({})", words.join(", ")));
    let foreign = FOREIGN.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    let hint = foreign.map(|(_, mode)| format!("did you mean \"{mode}\"?"));
    Err(problem.did_you_mean(text, words).hint_if(hint))
}
