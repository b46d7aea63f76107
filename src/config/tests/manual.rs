//! kvmnet.conf(5) and the README say of the keys what the code does.

use super::networks;
use crate::config::KEYS;
use crate::config::check::has_use_for;
use crate::model::{Key, Mode};

const MANUAL: &str = include_str!("../../../docs/man/kvmnet.conf.5");
const README: &str = include_str!("../../../README.md");

#[test]
fn every_key_is_explained() {
    for (key, name) in KEYS {
        assert!(MANUAL.contains(&format!("\n.It Ic {name} No = ")), "{name}");
        assert!(README.contains(&format!("\n| `{name}` | ")), "{name}");
        let variable = format!("KVMNET_{}", name.to_ascii_uppercase());
        for text in [MANUAL, README] {
            assert_eq!(text.contains(&variable), key != Key::Taps, "{variable}");
        }
    }
}

#[test]
fn the_keys_of_a_mode() {
    for (key, name) in KEYS.iter().filter(|(key, _)| !matches!(key, Key::Mode | Key::Taps)) {
        let row = MANUAL.lines().find_map(|line| line.strip_prefix(&format!(".It Ic {name} Ta ")));
        let cells: Vec<bool> = row.unwrap().split("Ta").map(|cell| !cell.trim().is_empty()).collect();
        assert_eq!(cells, Mode::ALL.map(|mode| has_use_for(mode, *key)), "{name}");
    }
}

#[test]
fn the_examples_are_right() {
    let (_, examples) = MANUAL.split_once(".Sh EXAMPLES\n").unwrap();
    let blocks: Vec<&str> = examples.split(".Bd -literal -offset indent\n").skip(1).collect();
    let modes: Vec<Mode> = blocks
        .iter()
        .map(|block| networks(block.split(".Ed").next().unwrap()).unwrap().pop().unwrap().mode)
        .collect();
    assert_eq!(modes[..5], Mode::ALL);
}
