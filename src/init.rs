//! A configuration file for this machine.

use crate::error::Error;

/// The text of a commented file with a free subnet and the machine's uplink.
pub fn file() -> Result<String, Error> {
    Ok(String::new())
}
