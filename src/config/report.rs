//! The whole configuration, and all that is wrong with it.
//!
//! In: the environment, and the file. Out: every network, or every error that there is: of the environment, of the
//! file, and of its networks with each other. Never: stops at the first.

use ipnet::IpNet;

use super::entry::Shape;
use super::environment::Overrides;
use super::error::{ConfigError, Location};
use super::file::File;
use super::key::{Key, address};
use super::shadow::{self, Shadow};
use super::{Environment, Reading};
use crate::model::Network;

/// What the configuration says, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct ConfigReport {
    /// The file's path.
    pub path: String,
    /// Every network, `default` first; none where anything is wrong.
    pub networks: Vec<Network>,
    /// All that is wrong, the environment's first.
    pub errors: Vec<ConfigError>,
    file: Option<File>,
}

impl ConfigReport {
    /// Reads all. The environment's keys go to the network that KVMNET_NETWORK names, else to `default`.
    pub fn read(environment: &Environment) -> Self {
        let Reading { path, mut file, mut errors } = Reading::of(environment);
        // What is wrong with single keys would be reported a second time, as missing.
        if let Some(file) = file.as_mut().filter(|_| !errors.is_empty()) {
            file.overrides = Overrides::default();
        }
        let networks = file.as_ref().map(|file| file.all().map_err(|wrong| errors.extend(wrong.0)));
        let networks = networks.and_then(Result::ok).filter(|_| errors.is_empty()).unwrap_or_default();
        Self { path, networks, errors, file }
    }

    /// Whether there is a file, and not only what is built in.
    pub fn has_file(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.path().is_some())
    }

    /// The patterns of taps that never choose their network.
    pub fn shadows(&self) -> Vec<Shadow<'_>> {
        self.file.as_ref().map(shadow::of).unwrap_or_default()
    }

    /// Where the value of `key` in the network `name` stands in the file; None where it is built in.
    pub fn place(&self, name: &str, key: &Key) -> Option<&Location> {
        let place = &self.file.as_ref()?.section(name)?.entry(key)?.place;
        Some(place).filter(|place| **place != Location::BuiltIn)
    }

    /// Where the address `net` of the network `name` stands in the file; None where it is built in.
    pub fn address_place(&self, name: &str, net: &IpNet) -> Option<&Location> {
        let mut items = self.file.as_ref()?.section(name)?.entry(&address::KEY)?.items().iter();
        let found =
            items.find(|item| matches!(&item.shape, Shape::Text(text) if text.parse() == Ok(*net)))?;
        Some(&found.place).filter(|place| **place != Location::BuiltIn)
    }
}
