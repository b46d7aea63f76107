//! Text to `Network`: the configuration file and the environment.
//!
//! In: `/etc/kvmnet.conf`, the `KVMNET_` variables, and for which tap. Out: the one network, checked and
//! complete. Never: asks the kernel about networks, guesses, or goes on with a file that is wrong somewhere.
//!
//! ```text
//! read ──► source ──► file ───┐
//!             syntax          ├──► check ──► Network
//!              environment ───┘
//!       settings, value, pattern: the keys, for both
//! ```

mod check;
mod environment;
mod error;
mod file;
mod keys;
mod pattern;
mod read;
mod settings;
mod show;
mod source;
mod survey;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use environment::Environment;
pub(crate) use error::nearest;
pub use error::{ConfigError, ConfigErrors, Place};
pub use file::{DEFAULT_NETWORK, File, Shadow};
pub use keys::KEYS;
pub(crate) use show::quoted;
pub use show::{Shown, show};
pub use survey::Survey;

use crate::model::{IfName, Network};
use environment::{Overrides, config_variable};
use error::Problem;

/// Where the configuration is, unless `KVMNET_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/kvmnet.conf";

/// The network that `tap` belongs to. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub fn load(
    environment: &Environment,
    hook_network: Option<&str>,
    tap: &IfName,
) -> Result<Network, ConfigError> {
    let overrides = environment.overrides()?;
    let file = sound(open_with(&overrides)?)?;
    let name = file.chosen(hook_network, &overrides, tap)?;
    Ok(file.overridden(name, &overrides)?)
}

/// The configuration file, or what serves in its place where there is none.
pub fn open(environment: &Environment) -> Result<File, ConfigErrors> {
    sound(open_with(&environment.overrides()?)?)
}

/// A file without errors.
fn sound((file, errors): (File, Vec<ConfigError>)) -> Result<File, ConfigErrors> {
    ConfigErrors::none_of(errors)?;
    Ok(file)
}

/// The networks of the file that are right, each by itself, and what is wrong with the others.
fn open_with(overrides: &Overrides) -> Result<(File, Vec<ConfigError>), ConfigErrors> {
    let path = overrides.config.as_deref().unwrap_or(DEFAULT_PATH);
    let wrong = |problem| ConfigError::new(Place::File(path.to_owned()), problem);
    match read::read(path).map_err(wrong)? {
        Some(text) => File::read(path, &text),
        None if overrides.config.is_none() => Ok((File::built_in(path), Vec::new())),
        None => {
            let problem = Problem::new(format!("there is no file {path:?}"));
            let problem = match path.starts_with('/') {
                true => problem,
                false => problem.hint("write the whole path, from / on"),
            };
            Err(ConfigError::new(config_variable(), problem).into())
        }
    }
}
