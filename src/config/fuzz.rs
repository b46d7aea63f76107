//! Any bytes as a file, and any variables over it.

#![allow(clippy::unwrap_used, reason = "a panic is how a case is found")]

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::document::sections;
use super::qemu_bridges::allows;
use super::{ConfigError, Environment, File, Shown};
use crate::model::IfName;

/// The file, and behind a NUL each a variable without its `KVMNET_`.
pub(crate) fn configuration(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let variables = parts.filter_map(|variable| {
        let (name, value) = variable.split_at(variable.iter().position(|byte| *byte == b'=')?);
        Some(([b"KVMNET_", name].concat(), value.get(1..).unwrap_or_default()))
    });
    let environment = Environment::new(
        variables
            .map(|(name, value)| (OsStr::from_bytes(&name).to_owned(), OsStr::from_bytes(value).to_owned())),
    );
    let (overrides, errors) = environment.read();
    let is_wrong = !errors.is_empty();
    told(&errors);
    let (sections, errors) = match sections("/etc/kvmnet.conf", text) {
        Ok(read) => read,
        Err(errors) => return told(errors.iter()),
    };
    told(&errors);
    if is_wrong || !errors.is_empty() {
        return;
    }
    let file = File { sections, overrides, ..File::built_in("/etc/kvmnet.conf") };
    let tap = IfName::new("vif0.0").unwrap();
    match file.chosen(None, &tap).map(|name| file.effective(name)) {
        Ok(Ok(_)) => shown(&file),
        Ok(Err(errors)) => told(errors.iter()),
        Err(error) => told([&error]),
    }
}

/// /etc/qemu/bridge.conf, and behind a NUL each the files /a, /b and so on, for a bridge br7.
pub(crate) fn qemu_bridges(data: &[u8]) {
    let files: Vec<&[u8]> = data.split(|byte| *byte == 0).take(8).collect();
    let asked = Cell::new(0);
    let read = |path: &str| {
        asked.set(asked.get() + 1);
        let number = ["/etc/qemu/bridge.conf", "/a", "/b", "/c", "/d", "/e", "/f", "/g"];
        let at = number.iter().position(|known| *known == path);
        Ok(at.and_then(|at| files.get(at)).map(|text| text.to_vec()))
    };
    let said = allows("br7", "/etc/qemu/bridge.conf", &read);
    assert!(asked.get() <= 64, "files without end are read");
    if let Err(errors) = &said {
        assert!(!errors.to_string().contains(|letter: char| letter.is_control() && letter != '\n'));
    }
    let denies = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        matches!(line.split_whitespace().collect::<Vec<_>>()[..], ["deny", "all" | "br7"])
    };
    let is_denied = files[0].split(|byte| *byte == b'\n').any(denies);
    assert!(!(is_denied && said.is_ok_and(|allowed| allowed)), "what is denied is not allowed");
}

/// Each error is a line, whatever it quotes.
fn told<'a>(errors: impl IntoIterator<Item = &'a ConfigError>) {
    for error in errors {
        let line = format!("{error}{}", error.hint.clone().unwrap_or_default());
        assert!(!line.contains(|letter: char| letter.is_control()), "{line:?}");
    }
}

/// What it shows as a file says the same.
fn shown(file: &File) {
    let text = Shown::new(file, None).unwrap().to_string();
    let (sections, errors) = sections("/etc/kvmnet.conf", text.as_bytes()).unwrap();
    assert!(errors.is_empty(), "{text}: {errors:?}");
    let again = File { sections, ..File::built_in("/etc/kvmnet.conf") };
    assert_eq!(values(&again), values(file), "{text}");
}

/// The values that hold, of each network.
fn values(file: &File) -> Vec<(String, String, String)> {
    let shown = serde_json::to_value(Shown::new(file, None).unwrap()).unwrap();
    let text = |value: &serde_json::Value| value.to_string();
    let of = |network: &serde_json::Value| {
        let values = network["values"].as_object().unwrap().clone().into_iter();
        let used = values.filter(|(_, value)| value["used"] == true);
        let name = text(&network["name"]);
        used.map(move |(key, value)| (name.clone(), key, text(&value["value"]))).collect::<Vec<_>>()
    };
    shown["networks"].as_array().unwrap().iter().flat_map(of).collect()
}
