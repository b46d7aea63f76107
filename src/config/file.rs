//! The configuration: the file's networks with names, and what the environment sets over them.
//!
//! In: the environment, and the file that it names. Out: the networks, and which one a tap gets.
//! Never: guesses, or stops at the first error.

use ipnet::IpNet;

use super::entry::{Entry, Shape};
use super::environment::{Environment, Overrides, variable};
use super::error::{ConfigError, ConfigErrors, Problem};
use super::key::address;
use super::section::Section;
use super::{consistency, document, read};
use crate::model::{IfName, Network, Origin};

/// Where it is, unless `KVMNET_CONFIG` says otherwise.
pub(super) const DEFAULT_PATH: &str = "/etc/kvmnet.conf";

/// The name of the network at the top level.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// A configuration file whose values are right, each by itself.
#[derive(Debug, Clone)]
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
        let default = Section::new(DEFAULT_NETWORK, Origin::WholeFile(path.to_owned()), &[]);
        Self { absent: true, ..Self::new(path, vec![default]) }
    }

    /// The environment and the file as far as they are right, and all that is wrong, the environment's first. A file that is
    /// wrong as a whole has no networks.
    pub(super) fn read(environment: &Environment) -> (Self, Vec<ConfigError>) {
        let (overrides, mut errors) = environment.read();
        let path = overrides.config.as_deref().unwrap_or(DEFAULT_PATH);
        let file = match read::read(path) {
            Ok(Some(text)) => {
                document::sections(path, &text).map(|(sections, errors)| (Self::new(path, sections), errors))
            }
            Ok(None) if overrides.config.is_none() => Ok((Self::built_in(path), Vec::new())),
            Ok(None) => Err(no_file(path).at(variable("CONFIG")).into()),
            Err(problem) => Err(problem.at(Origin::WholeFile(path.to_owned())).into()),
        };
        let (file, of_file) = file.unwrap_or_else(|errors| (Self::new(path, Vec::new()), errors.0));
        errors.extend(of_file);
        (Self { overrides, ..file }, errors)
    }

    fn new(path: &str, sections: Vec<Section>) -> Self {
        Self { path: path.to_owned(), absent: false, sections, overrides: Overrides::default() }
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
        self.sections.iter().map(Section::name)
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name() == name)
    }

    /// The network that `tap` belongs to: the one that is named, else the one that the environment says, else the one that
    /// the file says; or the topmost error.
    pub(super) fn for_tap(
        &self,
        named: Option<(&str, Origin)>,
        tap: &IfName,
    ) -> Result<Network, ConfigErrors> {
        let name = self.chosen(named, tap)?;
        self.effective(name).map_err(ConfigErrors::first)
    }

    /// Its name.
    pub(super) fn chosen(&self, named: Option<(&str, Origin)>, tap: &IfName) -> Result<&str, ConfigError> {
        Ok(self.asked(named)?.unwrap_or_else(|| self.network_of(tap)))
    }

    /// The network that is named, at a place, else the one that the environment names.
    pub(super) fn asked(&self, named: Option<(&str, Origin)>) -> Result<Option<&str>, ConfigError> {
        let by_environment = || Some((self.overrides.network.as_deref()?, variable("NETWORK")));
        named.or_else(by_environment).map(|(name, place)| self.find(name, place)).transpose()
    }

    /// The first network whose `taps` match, else `default`.
    pub fn network_of(&self, tap: &IfName) -> &str {
        let matches =
            |section: &&Section| section.patterns().iter().any(|(pattern, _)| pattern.matches(tap.as_str()));
        self.sections.iter().find(matches).map_or(DEFAULT_NETWORK, Section::name)
    }

    fn find(&self, name: &str, place: Origin) -> Result<&str, ConfigError> {
        self.section(name).map(Section::name).ok_or_else(|| self.no_network(name, place))
    }

    fn no_network(&self, name: &str, place: Origin) -> ConfigError {
        let names: Vec<&str> = self.names().collect();
        let problem = Problem::new(match (&place, self.absent) {
            (_, true) => format!("no network {name:?}: there is no file {}", self.path),
            (Origin::WholeFile(_), false) => format!("no network {name:?}"),
            (_, false) => format!("no network {name:?} in {}", self.path),
        });
        let known = (!self.absent).then(|| format!("its networks are: {}", names.join(", ")));
        problem.hint_if(known).did_you_mean(name, names).at(place)
    }

    /// All networks as the file has them, `default` first.
    pub fn networks(&self) -> Result<Vec<Network>, ConfigErrors> {
        consistency::networks(&self.sections)
    }

    /// All networks, the one that the environment is about as the environment wants it.
    pub(super) fn all(&self) -> Result<Vec<Network>, ConfigErrors> {
        let name = self.asked(None)?.unwrap_or(DEFAULT_NETWORK);
        consistency::networks(&self.overridden(name))
    }

    /// The network `name` as the environment wants it. What is wrong with any other network of the file is an
    /// error too: a file that is wrong somewhere is not relied on elsewhere.
    pub fn effective(&self, name: &str) -> Result<Network, ConfigErrors> {
        let networks = consistency::networks(&self.overridden(name))?;
        let network = networks.into_iter().find(|network| network.name == name);
        let network = network.ok_or_else(|| self.no_network(name, Origin::WholeFile(self.path.clone())))?;
        Ok(Network { overridden: network.variable.is_some() && !self.says(&network), ..network })
    }

    /// Whether the file alone comes to the same network.
    fn says(&self, network: &Network) -> bool {
        let alone = self.networks().unwrap_or_default();
        alone.iter().any(|one| one.name == network.name && one.digest == network.digest)
    }

    /// The sections, with the environment's values over those of `name`.
    pub(super) fn overridden(&self, name: &str) -> Vec<Section> {
        let sections = self.sections.iter().map(|section| match section.name() == name {
            true => section.with(&self.overrides.entries),
            false => section.clone(),
        });
        sections.collect()
    }

    /// Where the address `net` of the network `name` stands; None where it is built in.
    pub fn address_place(&self, name: &str, net: &IpNet) -> Option<&Origin> {
        let mut items = self.section(name)?.entry(&address::KEY)?.items().iter();
        let is_it = |item: &&Entry| matches!(&item.shape, Shape::Text(text) if text.parse() == Ok(*net));
        items.find(is_it).map(|item| &item.place).filter(|place| **place != Origin::Default)
    }
}

fn no_file(path: &str) -> Problem {
    let whole = (!path.starts_with('/')).then(|| "write the whole path, from / on".to_owned());
    Problem::new(format!("there is no file {path:?}")).hint_if(whole)
}
