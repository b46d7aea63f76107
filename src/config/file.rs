//! The configuration file: networks with names, each with its settings.
//!
//! In: the file's text. Out: a `File`, every value of which is right by itself and has its place; from it,
//! with the environment, the networks. Never: reads anything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{self, Draft};
use super::environment::{Environment, Overrides, network_variable};
use super::error::{ConfigError, ConfigErrors, Place, Problem};
use super::keys::key_of;
use super::pattern::Pattern;
use super::settings::{Setting, Settings, Shape, Written, unknown_key};
use super::source::Source;
use super::{syntax, value};
use crate::model::{IfName, Key, Network};

/// The name of the network at the top level.
pub const DEFAULT_NETWORK: &str = "default";

const NAMED: &str = "write [network.NAME], and the keys of the network below";

/// A configuration file whose values are right, each by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    path: String,
    absent: bool,
    /// `default` first, the others as the file has them.
    tables: Vec<Table>,
}

/// Patterns of taps that never choose their network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow<'a> {
    /// The network that has them.
    pub network: &'a str,
    /// The patterns.
    pub patterns: Vec<&'a str>,
    /// Where the first stands.
    pub place: &'a Place,
    /// The network that has all taps of the first.
    pub by: &'a str,
    /// Whether no pattern of the network chooses it.
    pub are_all: bool,
}

/// One network of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    name: String,
    place: Place,
    settings: Settings,
}

impl File {
    /// What serves where there is no file at `path`.
    pub fn built_in(path: &str) -> Self {
        let place = Place::File(path.to_owned());
        let default = Table { name: DEFAULT_NETWORK.to_owned(), place, settings: built_in_settings() };
        Self { path: path.to_owned(), absent: true, tables: vec![default] }
    }

    /// Reads the text of the file at `path`.
    pub fn parse(path: &str, text: impl AsRef<[u8]>) -> Result<Self, ConfigErrors> {
        let (file, errors) = Self::read(path, text)?;
        ConfigErrors::none_of(errors)?;
        Ok(file)
    }

    /// Reads the text as far as it is right: the networks with no error of their own, and all errors. One that is no
    /// TOML is wrong as a whole.
    pub(super) fn read(path: &str, text: impl AsRef<[u8]>) -> Result<(Self, Vec<ConfigError>), ConfigErrors> {
        let source = Source::new(path, text.as_ref())?;
        let (root, complaints) = DeTable::parse_recoverable(source.text);
        ConfigErrors::none_of(syntax::errors(&source, &complaints))?;
        let mut reader = Reader { source, errors: Vec::new() };
        let tables = reader.tables(root.get_ref());
        let mut errors = reader.errors;
        errors.sort_by_key(|error| error.place().position());
        Ok((Self { path: path.to_owned(), absent: false, tables }, errors))
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
        self.tables.iter().map(|table| table.name.as_str())
    }

    /// The patterns of the taps that belong to the network `name`.
    pub fn taps(&self, name: &str) -> Vec<&str> {
        let table = self.tables.iter().find(|table| table.name == name);
        let taps = table.map(|table| table.settings.taps.as_slice()).unwrap_or_default();
        taps.iter().map(|pattern| pattern.value.as_str()).collect()
    }

    /// The patterns that never choose their network, as an earlier one has all taps that they fit.
    pub(crate) fn shadows(&self) -> Vec<Shadow<'_>> {
        let shadows = self.tables.iter().enumerate().filter_map(|(at, table)| {
            let has_all = |other: &Table, pattern: &Pattern| {
                other.settings.taps.iter().any(|taps| taps.value.covers(pattern))
            };
            let taps = &table.settings.taps;
            let shadowed = taps.iter().filter_map(|pattern| {
                let by = self.tables.iter().take(at).find(|other| has_all(other, &pattern.value))?;
                Some((pattern, by))
            });
            let shadowed: Vec<_> = shadowed.collect();
            let (first, by) = shadowed.first()?;
            Some(Shadow {
                network: &table.name,
                patterns: shadowed.iter().map(|(pattern, _)| pattern.value.as_str()).collect(),
                place: &first.place,
                by: &by.name,
                are_all: shadowed.len() == taps.len(),
            })
        });
        shadows.collect()
    }

    /// The name of the network that `tap` belongs to: what the hook's name says, else what the environment
    /// says, else the first whose `taps` fit, else `default`.
    pub fn choose(
        &self,
        hook_network: Option<&str>,
        environment: &Environment,
        tap: &IfName,
    ) -> Result<&str, ConfigErrors> {
        Ok(self.chosen(hook_network, &environment.overrides()?, tap)?)
    }

    pub(super) fn chosen(
        &self,
        hook_network: Option<&str>,
        overrides: &Overrides,
        tap: &IfName,
    ) -> Result<&str, ConfigError> {
        if let Some(name) = hook_network {
            return self.find(name, Place::HookName);
        }
        if let Some(name) = &overrides.network {
            return self.find(name, network_variable());
        }
        let fits = |table: &&Table| table.settings.taps.iter().any(|taps| taps.value.fits(tap.as_str()));
        Ok(self.tables.iter().find(fits).map_or(DEFAULT_NETWORK, |table| &table.name))
    }

    pub(super) fn find(&self, name: &str, place: Place) -> Result<&str, ConfigError> {
        let found = self.names().find(|known| *known == name);
        found.ok_or_else(|| self.no_network(name, place))
    }

    /// The network `name`, which a person asked for.
    pub(super) fn known(&self, name: &str) -> Result<&str, ConfigError> {
        self.find(name, Place::File(self.path.clone()))
    }

    fn no_network(&self, name: &str, place: Place) -> ConfigError {
        let names: Vec<&str> = self.names().collect();
        let problem = Problem::new(match (&place, self.absent) {
            (_, true) => format!("no network {name:?}: there is no file {}", self.path),
            (Place::File(_), false) => format!("no network {name:?}"),
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
        self.resolve(&self.settings(DEFAULT_NETWORK, &Overrides::default()))
    }

    /// All networks, the one that the environment is about as the environment wants it.
    pub(super) fn all(&self, overrides: &Overrides) -> Result<Vec<Network>, ConfigErrors> {
        let name = match &overrides.network {
            Some(name) => self.find(name, network_variable())?,
            None => DEFAULT_NETWORK,
        };
        self.resolve(&self.settings(name, overrides))
    }

    /// What the file has set for the network `name`.
    pub(super) fn settings_of(&self, name: &str) -> Option<&Settings> {
        self.tables.iter().find(|table| table.name == name).map(|table| &table.settings)
    }

    /// The network `name` as the environment wants it. What is wrong with any other network of the file is an
    /// error too: a file that is wrong somewhere is not relied on elsewhere.
    pub fn network(&self, name: &str, environment: &Environment) -> Result<Network, ConfigErrors> {
        self.overridden(name, &environment.overrides()?)
    }

    pub(super) fn overridden(&self, name: &str, overrides: &Overrides) -> Result<Network, ConfigErrors> {
        let networks = self.resolve(&self.settings(name, overrides))?;
        let network = networks.into_iter().find(|network| network.name == name);
        let network = network.ok_or_else(|| self.no_network(name, Place::File(self.path.clone())))?;
        Ok(Network { overridden: network.has_overrides() && !self.says(&network), ..network })
    }

    /// Whether the file alone comes to the same network.
    fn says(&self, network: &Network) -> bool {
        let alone = self.networks().unwrap_or_default();
        alone.iter().any(|one| one.name == network.name && one.digest() == network.digest())
    }

    /// What is set for each network, in the order of `names`; the environment's over what `name` has.
    pub(super) fn settings(&self, name: &str, overrides: &Overrides) -> Vec<Settings> {
        let settings = self.tables.iter().map(|table| match table.name == name {
            true => overrides.settings.clone().over(table.settings.clone()),
            false => table.settings.clone(),
        });
        settings.collect()
    }

    /// The networks with these settings, in the order of `names`.
    pub(super) fn resolve(&self, settings: &[Settings]) -> Result<Vec<Network>, ConfigErrors> {
        let drafts = self.tables.iter().zip(settings).map(|(table, settings)| Draft {
            name: &table.name,
            place: &table.place,
            settings: settings.clone(),
        });
        check::networks(&drafts.collect::<Vec<_>>())
    }
}

/// Mode and keep have their built-in values in every network, these are those of `default` alone.
fn built_in_settings() -> Settings {
    fn built_in<T>(value: T) -> Setting<T> {
        Setting { value, place: Place::BuiltIn }
    }
    Settings {
        bridge: value::new_interface("br0").ok().map(built_in),
        address: value::address("10.0.100.3/24").ok().map(built_in).into_iter().collect(),
        ..Settings::default()
    }
}

/// Reads what the TOML parser has made of the text.
struct Reader<'a> {
    source: Source<'a>,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    /// The tables with no error in them.
    fn tables(&mut self, root: &DeTable<'_>) -> Vec<Table> {
        let mut settings = Settings::default();
        let mut named = Vec::new();
        let mut elsewhere = 0;
        for (key, value) in in_order(root) {
            match key_of(key.get_ref()) {
                Some(Key::Taps) => {
                    let problem = Problem::new("\"taps\" has no place at the top level");
                    let hint = "write it under [network.NAME]: the top level gets the taps that are left";
                    self.error(key.span(), problem.hint(hint));
                }
                Some(known) => self.set(known, value, &mut settings),
                None if key.get_ref() == "network" => {
                    let before = self.errors.len();
                    named = self.named(value);
                    elsewhere = self.errors.len() - before;
                }
                None => self.unknown(key, value),
            }
        }
        let place = Place::File(self.source.path.to_owned());
        let settings = settings.over(built_in_settings());
        let default = Table { name: DEFAULT_NETWORK.to_owned(), place, settings };
        let is_sound = self.errors.len() == elsewhere;
        is_sound.then_some(default).into_iter().chain(named).collect()
    }

    /// The tables under `network`.
    fn named(&mut self, networks: &Spanned<DeValue<'_>>) -> Vec<Table> {
        let DeValue::Table(networks) = networks.get_ref() else {
            let problem = Problem::new("network: expected tables with names");
            self.error(networks.span(), problem.hint(NAMED));
            return Vec::new();
        };
        let tables = in_order(networks).into_iter().filter_map(|(name, table)| {
            let DeValue::Table(entries) = table.get_ref() else {
                let problem = Problem::new(format!("network.{}: expected a table", name.get_ref()));
                self.error(name.span(), problem.hint(NAMED));
                return None;
            };
            let before = self.errors.len();
            if let Err(problem) = network_name(name.get_ref()) {
                self.error(name.span(), problem);
            }
            let mut settings = Settings::default();
            for (key, value) in in_order(entries) {
                match key_of(key.get_ref()) {
                    Some(known) => self.set(known, value, &mut settings),
                    None => self.unknown(key, value),
                }
            }
            let place = self.source.place(name.span().start);
            let table = Table { name: name.get_ref().to_string(), place, settings };
            (self.errors.len() == before).then_some(table)
        });
        tables.collect()
    }

    fn set(&mut self, key: Key, value: &Spanned<DeValue<'_>>, settings: &mut Settings) {
        let written = written(&self.source, key, value);
        settings.set(&written, &mut self.errors);
    }

    fn unknown(&mut self, key: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) {
        let name = key.get_ref().as_ref();
        let problem = match value.get_ref() {
            DeValue::Table(_) => {
                let problem = Problem::new(format!("unknown table {name:?}"));
                problem.hint(format!("did you mean [network.{name}]?")).did_you_mean(name, ["network"])
            }
            _ => unknown_key(name),
        };
        self.error(key.span(), problem);
    }

    fn error(&mut self, span: Range<usize>, problem: Problem) {
        self.errors.push(ConfigError::new(self.source.place(span.start), problem));
    }
}

/// The entries of a table as the file has them; the parser keeps them by name.
fn in_order<'t, K, V>(
    table: impl IntoIterator<Item = (&'t Spanned<K>, &'t V)>,
) -> Vec<(&'t Spanned<K>, &'t V)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn written<'v>(source: &Source<'v>, key: Key, value: &'v Spanned<DeValue<'_>>) -> Written<'v> {
    let shape = match value.get_ref() {
        DeValue::String(text) => Shape::Text(text),
        DeValue::Boolean(flag) => Shape::Flag(*flag),
        DeValue::Array(items) => Shape::List(items.iter().map(|item| written(source, key, item)).collect()),
        DeValue::Table(_) => Shape::Table,
        _ => Shape::Bare(source.piece(value.span())),
    };
    Written { key, place: source.place(value.span().start), shape }
}

/// A name ends up in messages, in file names of hooks and in the marks that kvmnet leaves in the kernel.
fn network_name(name: &str) -> Result<(), Problem> {
    if name == DEFAULT_NETWORK {
        let problem = Problem::new("the network \"default\" is the top level of the file");
        return Err(problem.hint("write its keys at the top, above the first [network.NAME]"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 32 || !name.chars().all(allowed) {
        let problem = Problem::new(format!("{name:?} is not a name for a network"));
        return Err(problem.hint("1 to 32 letters, digits, \"-\", \"_\" and \".\""));
    }
    Ok(())
}
