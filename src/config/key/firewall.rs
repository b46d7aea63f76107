//! `firewall`: what is done where another program's firewall drops guests' packets.

use super::{Key, PLAIN, Problem, Value};
use crate::model::FirewallUse;

const WORDS: [(&str, FirewallUse); 3] =
    [("integrate", FirewallUse::Integrate), ("warn", FirewallUse::Warn), ("ignore", FirewallUse::Ignore)];

pub(crate) static KEY: Key = Key {
    word: "firewall",
    #[cfg(test)]
    meaning: "beside Docker, ufw, firewalld or iptables that drop guests' packets: \"integrate\" has rules or a zone of its own there, \"warn\" tells of it, \"ignore\" does not",
    default: Some("integrate"),
    set: |network, entry| entry.one(parse).map(|firewall| network.firewall = firewall),
    get: |network| Some(Value::text(word(network.firewall))),
    digest: |network| {
        let firewall = Some(network.firewall).filter(|firewall| *firewall != FirewallUse::default());
        firewall.map(|firewall| format!("firewall={}", word(firewall)))
    },
    ..PLAIN
};

fn word(firewall: FirewallUse) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == firewall).map_or("", |(word, _)| word)
}

fn parse(text: &str) -> Result<FirewallUse, Problem> {
    let words = || WORDS.iter().map(|(word, _)| *word);
    let known = WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, firewall)| *firewall).ok_or_else(|| {
        let problem = Problem::new(format!("{text:?} is none of {}", words().collect::<Vec<_>>().join(", ")));
        problem.did_you_mean(text, words())
    })
}
