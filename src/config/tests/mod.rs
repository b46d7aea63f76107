//! Rows of text, and the value or the exact error that they give.

#![allow(clippy::unwrap_used, clippy::panic)]

mod digest;
mod environment;
mod files;
mod guest_values;
mod manual;
mod networks;
mod patterns;
mod show;
mod syntax;
mod values;

use super::error::ConfigError;
use super::{ConfigErrors, Environment, File};
use crate::model::{IfName, Network};

const PATH: &str = "/etc/kvmnet.conf";

impl File {
    pub(crate) fn parse(path: &str, text: impl AsRef<[u8]>) -> Result<Self, ConfigErrors> {
        let (sections, errors) = super::document::sections(path, text.as_ref())?;
        ConfigErrors::none_of(errors)?;
        Ok(Self { absent: false, sections, ..Self::built_in(path) })
    }

    fn with(&self, environment: &Environment) -> Result<Self, ConfigErrors> {
        let (overrides, errors) = environment.read();
        ConfigErrors::none_of(errors)?;
        Ok(Self { overrides, ..self.clone() })
    }

    pub(crate) fn network(&self, name: &str, environment: &Environment) -> Result<Network, ConfigErrors> {
        self.with(environment)?.effective(name)
    }

    pub(crate) fn choose(
        &self,
        hook_network: Option<&str>,
        environment: &Environment,
        tap: &IfName,
    ) -> Result<&str, ConfigErrors> {
        let file = self.with(environment)?;
        let name = file.chosen(hook_network.map(|name| (name, crate::model::Origin::HookName)), tap)?;
        Ok(self.names().find(|known| *known == name).unwrap())
    }
}

fn name(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().copied())
}

/// All networks of a file.
fn networks(text: &str) -> Result<Vec<Network>, ConfigErrors> {
    File::parse(PATH, text)?.networks()
}

/// The patterns of the network `name`.
fn taps(file: &File, name: &str) -> Vec<String> {
    let networks = file.networks().unwrap();
    networks.into_iter().find(|network| network.name == name).unwrap().taps
}

/// The network `default` of a file, with the environment over it.
fn default(text: &str, variables: &[(&str, &str)]) -> Result<Network, ConfigErrors> {
    File::parse(PATH, text)?.network("default", &environment(variables))
}

/// An error as a person sees it, on one line.
fn shown(error: &ConfigError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
    format!("{error}{hint}").replace("/etc/kvmnet.conf:", "@")
}

/// All that is wrong, one line each, `@` for the path; empty where nothing is.
fn complaints<T>(result: Result<T, ConfigErrors>) -> Vec<String> {
    result.err().map(|errors| errors.iter().map(shown).collect()).unwrap_or_default()
}

/// Checks rows of a file's text and all its complaints.
fn check(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        assert_eq!(complaints(networks(text)), *expected, "for {text:?}");
    }
}
