//! The values that hold, each with where it comes from.
//!
//! In: the file and the environment. Out: the networks, which print as a file that says the same.
//! Never: shows a value that would be refused.

use std::fmt;

use serde::{Serialize, Serializer};

use super::consistency;
use super::key::{KEYS, Key};
use super::section::Section;
use super::value::{Value, quoted};
use super::{ConfigErrors, DEFAULT_NETWORK, Environment, File, open};
use crate::model::{Network, Origin};

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
    /// Whether the network's mode uses it.
    used: bool,
}

/// Reads them; only one network where it is named. The environment's values go over those of that network, else
/// of the one that `KVMNET_NETWORK` names, else of `default`.
pub fn show(environment: &Environment, network: Option<&str>) -> Result<Shown, ConfigErrors> {
    Shown::new(&open(environment)?, network)
}

impl Shown {
    /// What `file` says, with the environment's values over it.
    pub(super) fn new(file: &File, network: Option<&str>) -> Result<Self, ConfigErrors> {
        let named = network.map(|name| (name, Origin::WholeFile(file.path.clone())));
        let sections = file.overridden(file.asked(named)?.unwrap_or(DEFAULT_NETWORK));
        consistency::networks(&sections)?;
        let all = sections.iter().map(ShownNetwork::new);
        let networks = all.filter(|shown| network.is_none_or(|name| shown.name == name)).collect();
        Ok(Self { file: file.path().map(str::to_owned), networks })
    }
}

impl ShownNetwork {
    fn new(section: &Section) -> Self {
        let network = section.values(true);
        let values = KEYS.iter().copied().filter_map(|key| ShownValue::new(key, section, &network));
        Self { name: section.name().to_owned(), values: values.collect() }
    }
}

impl ShownValue {
    fn new(key: &Key, section: &Section, network: &Network) -> Option<Self> {
        let place = &section.entry(key)?.place;
        let used = (key.is_used)(network.mode);
        // It was not set, and does nothing.
        if !used && *place == Origin::Default {
            return None;
        }
        let value = (key.get)(network)?;
        Some(Self { key: key.word, value, origin: place.to_string(), used })
    }
}

fn by_key<S: Serializer>(values: &[ShownValue], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|value| (value.key, value)))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_none() {
            writeln!(f, "# There is no configuration file, so this is what is built in.")?;
        }
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join("\n"))
    }
}

impl fmt::Display for ShownNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name != DEFAULT_NETWORK {
            writeln!(f, "[network.{}]", quoted_key(&self.name))?;
        }
        let key_width = self.values.iter().map(|value| value.written_key().len()).max().unwrap_or_default();
        let line = |shown: &ShownValue| format!("{:key_width$} = {}", shown.written_key(), shown.value);
        let widths = self.values.iter().map(|shown| line(shown).chars().count());
        let width = widths.filter(|width| *width <= MAX_ALIGNED).max().unwrap_or_default();
        for shown in &self.values {
            let unused = if shown.used { "" } else { "; not used in this mode" };
            writeln!(f, "{:width$}  # {}{unused}", line(shown), shown.origin)?;
        }
        Ok(())
    }
}

impl ShownValue {
    /// What the mode does not use stands there as a comment.
    fn written_key(&self) -> String {
        format!("{}{}", if self.used { "" } else { "#" }, self.key)
    }
}

/// A dot in a bare key would begin another table.
fn quoted_key(name: &str) -> String {
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}
