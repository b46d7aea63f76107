//! kvmnet.conf(5), the README and the example file say of the keys what the code does.

use super::{PATH, complaints, networks};
use crate::config::File;
use crate::config::key::{Form, KEYS, Key, mode, taps};
use crate::model::Mode;

const MANUAL: &str = include_str!("../../../docs/man/kvmnet.conf.5");
const README: &str = include_str!("../../../README.md");
const EXAMPLE: &str = include_str!("../../../share/kvmnet.conf");

#[test]
fn the_table_of_the_readme() {
    let code = |text: &str| format!("`{text}`");
    let rows = KEYS.iter().map(|key| {
        let variable = key.variable().map(|word| code(&format!("KVMNET_{word}"))).unwrap_or_default();
        let cells = [&code(key.word), &variable, &key.default.map(code).unwrap_or_default(), key.meaning];
        format!("| {} |", cells.join(" | ")).replace("|  |", "| |").replace("|  |", "| |")
    });
    let (_, table) =
        README.split_once("| key | environment | default | meaning |\n| --- | --- | --- | --- |\n").unwrap();
    assert_eq!(table.lines().take(KEYS.len()).collect::<Vec<_>>(), rows.collect::<Vec<_>>());
}

/// The paragraph of a key in kvmnet.conf(5).
fn paragraph(key: &Key) -> &'static str {
    let (_, rest) =
        MANUAL.split_once(&format!("\n.It Ic {} No = ", key.word)).unwrap_or_else(|| panic!("{key:?}"));
    rest.split("\n.It Ic ").find(|part| !part.is_empty()).unwrap().split("\n.El\n.Ss").next().unwrap()
}

#[test]
fn the_manual_explains_every_key() {
    for &key in KEYS {
        let text = paragraph(key);
        let form = match key.form {
            Form::Flag => "Li true | false\n",
            Form::Text => "Ar text\n",
            Form::List => "Ar text | list\n",
        };
        assert!(text.starts_with(form), "{key:?}: {text}");
        if let Some(default) = key.default {
            let flat = text.replace("Default there:", "Default:").replace("\n.Qq ", " ");
            assert!(flat.contains(&format!("Default: {default}")), "{key:?}: {text}");
        }
        let variable = format!("KVMNET_{}", key.word.to_ascii_uppercase());
        for text in [MANUAL, README] {
            assert_eq!(text.contains(&variable), key.not_in_environment.is_none(), "{variable}");
        }
    }
}

#[test]
fn the_keys_of_a_mode() {
    for key in KEYS.iter().filter(|key| ![&mode::KEY, &taps::KEY].contains(key)) {
        let row = MANUAL.lines().find_map(|line| line.strip_prefix(&format!(".It Ic {} Ta ", key.word)));
        let cells: Vec<bool> = row.unwrap().split("Ta").map(|cell| !cell.trim().is_empty()).collect();
        assert_eq!(cells, Mode::ALL.map(key.is_used), "{key:?}");
        let (some, named) = (cells.contains(&false), paragraph(key).split("Modes: ").nth(1));
        let modes = Mode::ALL.into_iter().filter(|mode| (key.is_used)(*mode)).map(Mode::as_str);
        let modes = format!("{}.", modes.collect::<Vec<_>>().join(", "));
        // The paragraph of the uplink says of each mode what it is there.
        if some && key.word != "uplink" {
            assert!(named.is_some_and(|named| named.starts_with(&modes)), "{key:?}: {modes}");
        }
    }
}

/// Each key is a comment with a value that is right, which is the built-in one where there is one to show.
#[test]
fn the_example_shows_every_key() {
    for &key in KEYS {
        let mut lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix('#'));
        let line = lines.find(|line| line.starts_with(&format!("{} = ", key.word)));
        let line = line.unwrap_or_else(|| panic!("{key:?}"));
        let named = "[network.lab]\nmode = \"isolated\"\nbridge = \"br-lab\"\n";
        let text = format!("{}{line}", if *key == taps::KEY { named } else { "" });
        assert_eq!(complaints(networks(&text)), [""; 0], "{text}");
        if key.default.is_some_and(|text| text != "auto") {
            let network = |file: File| Some(file.networks().ok()?.remove(0).digest);
            assert_eq!(network(File::parse(PATH, &text).unwrap()), network(File::built_in(PATH)), "{text}");
        }
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
