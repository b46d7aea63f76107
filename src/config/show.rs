//! The values that hold, each with where it comes from.
//!
//! In: the file and the environment. Out: the networks, which print as a file that says the same.
//! Never: shows a value that would be refused.

use std::fmt;

use serde::{Serialize, Serializer};

use super::check::has_use_for;
use super::environment::{Overrides, network_variable};
use super::keys::key_name;
use super::settings::{Setting, Settings};
use super::{ConfigErrors, DEFAULT_NETWORK, Environment, File, KEYS, Place, open_with};
use crate::error::Error;
use crate::model::{Key, Mode, Uplink};
use crate::terminal::printable;

/// Beyond this width a line's comment is not aligned with the others'.
const MAX_ALIGNED: usize = 48;

/// The networks with their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The configuration file; None where there is none.
    file: Option<String>,
    networks: Vec<ShownNetwork>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ShownNetwork {
    name: String,
    #[serde(serialize_with = "by_key")]
    values: Vec<ShownValue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ShownValue {
    #[serde(skip)]
    key: &'static str,
    value: Value,
    /// `/etc/kvmnet.conf:3`, `KVMNET_MODE` or `built-in default`.
    origin: String,
    /// Whether the network's mode has a use for it.
    used: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    List(Vec<String>),
    Flag(bool),
}

/// Reads them; only one network where it is named. The environment's values go over those of that network, else
/// of the one that `KVMNET_NETWORK` names, else of `default`.
pub fn show(environment: &Environment, network: Option<&str>) -> Result<Shown, Error> {
    let (overrides, mut errors) = environment.overrides_and_errors();
    let file = match open_with(&overrides) {
        Ok((file, of_file)) => {
            errors.extend(of_file);
            file
        }
        Err(of_file) => {
            errors.extend(of_file.iter().cloned());
            return Err(ConfigErrors::none_of(errors).map_or_else(Error::from, |()| of_file.into()));
        }
    };
    ConfigErrors::none_of(errors)?;
    Ok(Shown::new(&file, &overrides, network)?)
}

impl Shown {
    /// What `file` says, with the environment's values over it.
    pub(super) fn new(
        file: &File,
        overrides: &Overrides,
        network: Option<&str>,
    ) -> Result<Self, ConfigErrors> {
        let chosen = match (network, &overrides.network) {
            (Some(name), _) => file.known(name)?,
            (None, Some(name)) => file.find(name, network_variable())?,
            (None, None) => DEFAULT_NETWORK,
        };
        let settings = file.settings(chosen, overrides);
        file.resolve(&settings)?;
        let all = file.names().zip(&settings).map(|(name, settings)| ShownNetwork::new(name, settings));
        let networks = all.filter(|shown| network.is_none_or(|name| shown.name == name)).collect();
        Ok(Self { file: file.path().map(str::to_owned), networks })
    }
}

impl ShownNetwork {
    fn new(name: &str, settings: &Settings) -> Self {
        let mode = settings.mode.as_ref().map_or(Mode::Nat, |mode| mode.value);
        let values = KEYS.iter().filter_map(|(key, _)| ShownValue::new(*key, mode, settings));
        Self { name: name.to_owned(), values: values.collect() }
    }
}

impl ShownValue {
    /// None where the key was not set and has no default that means anything.
    fn new(key: Key, mode: Mode, settings: &Settings) -> Option<Self> {
        let used = has_use_for(mode, key);
        let (value, place) = match written(key, settings) {
            Some(set) => set,
            None if used => (built_in(key)?, Place::BuiltIn),
            None => return None,
        };
        // Nobody has asked for it, and it does nothing.
        if !used && place == Place::BuiltIn {
            return None;
        }
        Some(Self { key: key_name(key), value, origin: printable(&place.origin().to_string()), used })
    }
}

/// The value of `key` that was set, and where.
fn written(key: Key, settings: &Settings) -> Option<(Value, Place)> {
    fn text<T>(setting: Option<&Setting<T>>, word: impl Fn(&T) -> String) -> Option<(Value, Place)> {
        setting.map(|setting| (Value::Text(word(&setting.value)), setting.place.clone()))
    }
    fn flag(setting: Option<&Setting<bool>>) -> Option<(Value, Place)> {
        setting.map(|setting| (Value::Flag(setting.value), setting.place.clone()))
    }
    fn list<T>(settings: &[Setting<T>], word: impl Fn(&T) -> String) -> Option<(Value, Place)> {
        let words = settings.iter().map(|setting| word(&setting.value)).collect();
        settings.first().map(|first| (Value::List(words), first.place.clone()))
    }
    match key {
        Key::Mode => text(settings.mode.as_ref(), Mode::to_string),
        Key::Bridge => text(settings.bridge.as_ref(), |name| name.to_string()),
        Key::Address => list(&settings.address, |net| net.to_string()),
        Key::Uplink => settings.uplink.as_ref().map(|uplink| (uplinks(&uplink.value), uplink.place.clone())),
        Key::NatSource => text(settings.nat_source.as_ref(), |address| address.to_string()),
        Key::Veth => text(settings.veth.as_ref(), |veth| veth.name().to_owned()),
        Key::Keep => flag(settings.keep.as_ref()),
        Key::Confirm => flag(settings.confirm.as_ref()),
        Key::UplinkManaged => text(settings.uplink_managed.as_ref(), |take| managed(*take)),
        Key::Taps => list(&settings.taps, |pattern| pattern.as_str().to_owned()),
    }
}

/// What holds where `key` is not set. Bridge and address have theirs among the settings.
fn built_in(key: Key) -> Option<Value> {
    match key {
        Key::Mode => Some(Value::Text(Mode::Nat.to_string())),
        Key::Uplink => Some(uplinks(&Uplink::DefaultRoute)),
        Key::Keep => Some(Value::Flag(false)),
        Key::Confirm => Some(Value::Flag(true)),
        Key::UplinkManaged => Some(Value::Text(managed(false))),
        Key::Bridge | Key::Address | Key::NatSource | Key::Veth | Key::Taps => None,
    }
}

fn uplinks(uplink: &Uplink) -> Value {
    match uplink {
        Uplink::DefaultRoute => Value::List(vec!["auto".to_owned()]),
        Uplink::Named(names) => Value::List(names.iter().map(|name| name.to_string()).collect()),
    }
}

fn managed(take: bool) -> String {
    if take { "take" } else { "refuse" }.to_owned()
}

fn by_key<S: Serializer>(values: &[ShownValue], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|value| (value.key, value)))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_none() {
            writeln!(f, "# There is no configuration file, so this is what is built in.")?;
        }
        for (index, network) in self.networks.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{network}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ShownNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name != DEFAULT_NETWORK {
            writeln!(f, "[network.{}]", quoted_key(&self.name))?;
        }
        let key_width = self.values.iter().map(|value| value.written_key().len()).max().unwrap_or_default();
        let lines = self.values.iter().map(|shown| {
            let line = format!("{:key_width$} = {}", shown.written_key(), shown.value);
            (line, shown)
        });
        let lines: Vec<(String, &ShownValue)> = lines.collect();
        let widths = lines.iter().map(|(line, _)| line.chars().count());
        let width = widths.filter(|width| *width <= MAX_ALIGNED).max().unwrap_or_default();
        for (line, shown) in &lines {
            let unused = if shown.used { "" } else { "; of no use in this mode" };
            writeln!(f, "{line:width$}  # {}{unused}", shown.origin)?;
        }
        Ok(())
    }
}

impl ShownValue {
    /// What the mode has no use for stands there as a comment.
    fn written_key(&self) -> String {
        format!("{}{}", if self.used { "" } else { "#" }, self.key)
    }
}

/// As TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::List(words) => match words.as_slice() {
                [word] => f.write_str(&quoted(word)),
                _ => write!(f, "[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")),
            },
            Value::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// A TOML basic string in which nothing is left for a terminal to obey.
pub(crate) fn quoted(text: &str) -> String {
    let mut string = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => string.extend(['\\', c]),
            '\'' => string.push(c),
            _ if c.escape_debug().len() > 1 => string.push_str(&format!("\\U{:08X}", u32::from(c))),
            _ => string.push(c),
        }
    }
    string.push('"');
    string
}

/// A dot in a bare key would begin another table.
fn quoted_key(name: &str) -> String {
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}
