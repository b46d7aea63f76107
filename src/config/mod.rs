//! Text to `Network`: the configuration file and the environment.
//!
//! In: `/etc/kvmnet.conf`, the `KVMNET_` variables, and for which tap. Out: the one network, checked and
//! complete. Never: asks the kernel about networks, guesses, or goes on with a file that is wrong somewhere.
//!
//! ```text
//! read ──► source ──► document ──► file ───┐
//!             syntax                       ├──► consistency ──► Network
//!                          environment ────┘
//!          entry, section: what is set, for both      key: what there is to set
//! ```

mod consistency;
mod document;
mod entry;
mod environment;
mod error;
mod file;
pub(crate) mod key;
mod pattern;
mod read;
mod report;
mod section;
mod shadow;
mod show;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use environment::Environment;
pub use error::ConfigErrors;
pub(crate) use error::{Location, nearest};
pub(crate) use file::{DEFAULT_NETWORK, File};
pub(crate) use report::ConfigReport;
pub(crate) use shadow::Shadow;
pub use show::{Shown, show};
pub(crate) use value::quoted;

use crate::model::{IfName, Network};
use environment::variable;
use error::{ConfigError, Problem};

/// Where the configuration is, unless `KVMNET_CONFIG` says otherwise.
const DEFAULT_PATH: &str = "/etc/kvmnet.conf";

/// The network that `tap` belongs to, or the topmost error. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub(crate) fn load(
    environment: &Environment,
    hook_network: Option<&str>,
    tap: &IfName,
) -> Result<Network, ConfigErrors> {
    let file = open(environment).map_err(ConfigErrors::first)?;
    let name = file.chosen(hook_network, tap)?;
    file.effective(name).map_err(ConfigErrors::first)
}

/// The configuration, if nothing is wrong with the file or the environment.
pub(crate) fn open(environment: &Environment) -> Result<File, ConfigErrors> {
    let Reading { path, file, errors } = Reading::of(environment);
    ConfigErrors::none_of(errors)?;
    // A file that is wrong as a whole has an error.
    Ok(file.unwrap_or_else(|| File::built_in(&path)))
}

/// The environment and the file, as far as they are right.
struct Reading {
    path: String,
    /// The networks that are right, each by itself; None where it is wrong as a whole.
    file: Option<File>,
    /// All that is wrong, the environment's first.
    errors: Vec<ConfigError>,
}

impl Reading {
    fn of(environment: &Environment) -> Self {
        let (overrides, mut errors) = environment.read();
        let path = overrides.config.clone().unwrap_or_else(|| DEFAULT_PATH.to_owned());
        let (file, of_file) = match read_file(&path, overrides.config.is_some()) {
            Ok((file, errors)) => (Some(File { overrides, ..file }), errors),
            Err(errors) => (None, errors.0),
        };
        errors.extend(of_file);
        Self { path, file, errors }
    }
}

/// The networks of the file that are right, each by itself, and what is wrong with the others.
fn read_file(path: &str, is_named: bool) -> Result<(File, Vec<ConfigError>), ConfigErrors> {
    let wrong = |problem| ConfigError::new(Location::File(path.to_owned()), problem);
    match read::read(path).map_err(wrong)? {
        Some(text) => File::read(path, &text),
        None if !is_named => Ok((File::built_in(path), Vec::new())),
        None => {
            let problem = Problem::new(format!("there is no file {path:?}"));
            let problem = match path.starts_with('/') {
                true => problem,
                false => problem.hint("write the whole path, from / on"),
            };
            Err(ConfigError::new(variable("CONFIG"), problem).into())
        }
    }
}
