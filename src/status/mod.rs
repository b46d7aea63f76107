//! What is: the networks and the guests on them.

use serde::Serialize;

use crate::error::Error;

/// Every network, and who is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {}

/// Reads what is; only of one network where it is named.
pub fn read(_network: Option<&str>) -> Result<Status, Error> {
    Ok(Status {})
}

impl Status {
    /// For people, in 80 columns.
    pub fn render(&self, _color: bool) -> String {
        String::new()
    }
}
