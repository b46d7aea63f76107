//! The whole configuration, and all that is wrong with it.
//!
//! In: the environment, and the file. Out: every network, or every error that there is: of the environment, of the
//! file, and of its networks with each other. Never: stops at the first.

use ipnet::IpNet;

use super::environment::Overrides;
use super::error::{ConfigError, Place};
use super::file::{File, Shadow};
use super::{DEFAULT_PATH, Environment, open_with};
use crate::model::{Key, Network};

/// What the configuration says, and what is wrong with it.
#[derive(Debug)]
pub struct Survey {
    /// The file's path.
    pub path: String,
    /// Every network, `default` first; none where anything is wrong.
    pub networks: Vec<Network>,
    /// All that is wrong, the environment's first.
    pub errors: Vec<ConfigError>,
    file: Option<File>,
}

impl Survey {
    /// Reads all. The environment's keys go to the network that KVMNET_NETWORK names, else to `default`.
    pub fn read(environment: &Environment) -> Self {
        let (overrides, mut errors) = environment.overrides_and_errors();
        let path = overrides.config.clone().unwrap_or_else(|| DEFAULT_PATH.to_owned());
        // What is wrong with single keys would be told a second time, as what is missing.
        let overrides = match errors.is_empty() {
            true => overrides,
            false => Overrides { config: overrides.config, ..Overrides::default() },
        };
        let (file, wrong) = match open_with(&overrides) {
            Ok(read) => read,
            Err(wrong) => {
                errors.extend(wrong.iter().cloned());
                return Self { path, networks: Vec::new(), errors, file: None };
            }
        };
        // Nor is there a network to put them over, where it may be the wrong one.
        let overrides = if wrong.is_empty() { overrides } else { Overrides::default() };
        errors.extend(wrong);
        let mut networks = Vec::new();
        match file.all(&overrides) {
            Ok(all) => networks = all,
            Err(wrong) => errors.extend(wrong.iter().cloned()),
        }
        if !errors.is_empty() {
            networks.clear();
        }
        Self { path, networks, errors, file: Some(file) }
    }

    /// Whether there is a file, and not only what is built in.
    pub fn has_file(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.path().is_some())
    }

    /// The patterns of taps that never choose their network.
    pub fn shadows(&self) -> Vec<Shadow<'_>> {
        self.file.as_ref().map(File::shadows).unwrap_or_default()
    }

    /// Where the value of `key` in the network `name` stands in the file; None where it is built in.
    pub fn place(&self, name: &str, key: Key) -> Option<&Place> {
        self.file.as_ref()?.settings_of(name)?.place(key).filter(|place| **place != Place::BuiltIn)
    }

    /// Where the address `net` of the network `name` stands in the file; None where it is built in.
    pub fn address_place(&self, name: &str, net: &IpNet) -> Option<&Place> {
        let addresses = &self.file.as_ref()?.settings_of(name)?.address;
        let found = addresses.iter().find(|address| address.value == *net)?;
        Some(&found.place).filter(|place| **place != Place::BuiltIn)
    }
}
