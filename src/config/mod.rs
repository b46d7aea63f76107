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
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod key;
mod pattern;
mod qemu_bridges;
mod read;
mod section;
mod shadow;
mod show;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
mod way;

pub use environment::Environment;
pub use error::ConfigErrors;
pub(crate) use error::nearest;
pub(crate) use file::{DEFAULT_NETWORK, File};
pub(crate) use qemu_bridges::qemu_allows;
pub(crate) use shadow::Shadow;
pub use show::{Shown, show};
pub(crate) use value::quoted;

use crate::model::{IfName, Network, Origin};
use environment::Overrides;
use error::ConfigError;

/// The network that `tap` belongs to, or the topmost error. `hook_network` is the NAME of a hook called `qemu-ifup-NAME`.
pub(crate) fn load(
    environment: &Environment,
    hook_network: Option<&str>,
    tap: &IfName,
) -> Result<Network, ConfigErrors> {
    let file = open(environment).map_err(ConfigErrors::first)?;
    file.for_tap(hook_network.map(|name| (name, Origin::HookName)), tap)
}

/// The same, where the command line may name the network.
pub(crate) fn load_named(
    environment: &Environment,
    network: Option<&str>,
    tap: &IfName,
) -> Result<Network, ConfigErrors> {
    let file = open(environment).map_err(ConfigErrors::first)?;
    file.for_tap(network.map(|name| (name, Origin::Argument)), tap)
}

/// The configuration, if nothing is wrong with the file or the environment.
pub(crate) fn open(environment: &Environment) -> Result<File, ConfigErrors> {
    let (file, errors) = File::read(environment);
    ConfigErrors::none_of(errors)?;
    Ok(file)
}

/// What the configuration says, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct ConfigReport {
    pub file: File,
    /// Every network, `default` first; none where anything is wrong.
    pub networks: Vec<Network>,
    /// All that is wrong, the environment's first: with it, with the file, and of its networks with each other.
    pub errors: Vec<ConfigError>,
}

impl ConfigReport {
    /// Reads all. The environment's keys go to the network that KVMNET_NETWORK names, else to `default`.
    pub fn read(environment: &Environment) -> Self {
        let (mut file, mut errors) = File::read(environment);
        // What is wrong with single keys would be reported a second time, as missing.
        if !errors.is_empty() {
            file.overrides = Overrides::default();
        }
        let mut networks = file.all().unwrap_or_else(|wrong| {
            errors.extend(wrong.0);
            Vec::new()
        });
        if !errors.is_empty() {
            networks.clear();
        }
        Self { file, networks, errors }
    }
}
