//! A network whose guests are told their addresses.

use super::IfName;

/// By its bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    pub bridge: IfName,
    /// Its number, where it was there before this run.
    pub index: Option<u32>,
}
