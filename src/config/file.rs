//! The configuration: the file's networks with names, and what the environment sets over them.
//!
//! In: the file's sections, the environment. Out: the networks, and which one a tap gets.
//! Never: reads anything.

use super::consistency;
use super::document;
use super::environment::{Overrides, variable};
use super::error::{ConfigError, ConfigErrors, Location, Problem};
use super::section::Section;
use crate::model::{IfName, Network};

/// The name of the network at the top level.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// A configuration file whose values are right, each by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct File {
    pub(super) path: String,
    pub(super) absent: bool,
    /// `default` first, the others as the file has them.
    pub(super) sections: Vec<Section>,
    pub(super) overrides: Overrides,
}

impl File {
    /// What serves where there is no file at `path`.
    pub fn built_in(path: &str) -> Self {
        let default = Section::new(DEFAULT_NETWORK, Location::File(path.to_owned()), &[]);
        let overrides = Overrides::default();
        Self { path: path.to_owned(), absent: true, sections: vec![default], overrides }
    }

    /// Reads the text as far as it is right: the networks with no error of their own, and all errors.
    pub(super) fn read(path: &str, text: &[u8]) -> Result<(Self, Vec<ConfigError>), ConfigErrors> {
        let (sections, errors) = document::sections(path, text)?;
        Ok((Self { absent: false, sections, ..Self::built_in(path) }, errors))
    }

    /// Where it is; None where it is not.
    pub fn path(&self) -> Option<&str> {
        (!self.absent).then_some(&self.path)
    }

    /// Where it is looked for.
    pub fn would_be_at(&self) -> &str {
        &self.path
    }

    /// The names of its networks, `default` first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.name.as_str())
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The name of the network that `tap` belongs to: what the hook's name says, else what the environment
    /// says, else what the file says.
    pub(super) fn chosen(&self, hook_network: Option<&str>, tap: &IfName) -> Result<&str, ConfigError> {
        match (hook_network, &self.overrides.network) {
            (Some(name), _) => self.find(name, Location::HookName),
            (None, Some(name)) => self.find(name, variable("NETWORK")),
            (None, None) => Ok(self.network_of(tap)),
        }
    }

    /// The first network whose `taps` match, else `default`.
    pub fn network_of(&self, tap: &IfName) -> &str {
        let matches =
            |section: &&Section| section.patterns().iter().any(|(pattern, _)| pattern.matches(tap.as_str()));
        self.sections.iter().find(matches).map_or(DEFAULT_NETWORK, |section| &section.name)
    }

    /// The network `name`, which is asked for at `place`.
    pub(super) fn find(&self, name: &str, place: Location) -> Result<&str, ConfigError> {
        self.section(name).map(|section| section.name.as_str()).ok_or_else(|| self.no_network(name, place))
    }

    fn no_network(&self, name: &str, place: Location) -> ConfigError {
        let names: Vec<&str> = self.names().collect();
        let problem = Problem::new(match (&place, self.absent) {
            (_, true) => format!("no network {name:?}: there is no file {}", self.path),
            (Location::File(_), false) => format!("no network {name:?}"),
            (_, false) => format!("no network {name:?} in {}", self.path),
        });
        let problem = match self.absent {
            true => problem,
            false => problem.hint(format!("its networks are: {}", names.join(", "))),
        };
        ConfigError::new(place, problem.did_you_mean(name, names))
    }

    /// All networks as the file has them, `default` first.
    pub fn networks(&self) -> Result<Vec<Network>, ConfigErrors> {
        consistency::networks(&self.sections)
    }

    /// All networks, the one that the environment is about as the environment wants it.
    pub(super) fn all(&self) -> Result<Vec<Network>, ConfigErrors> {
        let name = match &self.overrides.network {
            Some(name) => self.find(name, variable("NETWORK"))?,
            None => DEFAULT_NETWORK,
        };
        consistency::networks(&self.overridden(name))
    }

    /// The network `name` as the environment wants it. What is wrong with any other network of the file is an
    /// error too: a file that is wrong somewhere is not relied on elsewhere.
    pub fn effective(&self, name: &str) -> Result<Network, ConfigErrors> {
        let networks = consistency::networks(&self.overridden(name))?;
        let network = networks.into_iter().find(|network| network.name == name);
        let network = network.ok_or_else(|| self.no_network(name, Location::File(self.path.clone())))?;
        Ok(Network { overridden: network.has_overrides() && !self.says(&network), ..network })
    }

    /// Whether the file alone comes to the same network.
    fn says(&self, network: &Network) -> bool {
        let alone = self.networks().unwrap_or_default();
        alone.iter().any(|one| one.name == network.name && one.digest == network.digest)
    }

    /// The sections, with the environment's values over those of `name`.
    pub(super) fn overridden(&self, name: &str) -> Vec<Section> {
        let sections = self.sections.iter().map(|section| match section.name == name {
            true => section.with(&self.overrides.entries),
            false => section.clone(),
        });
        sections.collect()
    }
}
