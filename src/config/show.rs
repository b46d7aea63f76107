//! The values that hold, each with where it comes from.

use std::fmt;

use serde::Serialize;

use super::Environment;
use crate::error::Error;

/// The networks with their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {}

/// Reads them; only one network where it is named.
pub fn show(_environment: &Environment, _network: Option<&str>) -> Result<Shown, Error> {
    Ok(Shown {})
}

impl fmt::Display for Shown {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
