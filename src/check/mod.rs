//! What is wrong with the configuration or the machine, and what to do about it.
//!
//! In: the environment. Out: [`Findings`]. Never: changes anything.
//!
//! ```text
//!  file, environment ──┐
//!  kernel ─────────────┼──► read ──► Seen ──► one file of judgements for each family ──► Findings
//!  /proc, /etc, /boot ─┘
//! ```
//!
//! All that is read is read first; the judgements are functions of it. Those on networks are the plan's own refusals,
//! and what has been changed of a network is what the plan would do: what a hook would say is what is said here.

mod bridge_filter;
mod config;
mod finding;
mod firewall;
mod hooks;
mod kernel;
mod leftovers;
mod macs;
mod mtu;
mod networks;
mod read;
mod render;
mod rights;
mod seen;
mod standing;
mod walk;

pub use finding::{Finding, Fix, Place, Severity};
pub use render::render;

use serde::Serialize;

use crate::config::Environment;
use crate::error::Error;
use seen::Seen;

/// All findings, and what was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How many networks the configuration has; None where it is wrong.
    pub networks: Option<usize>,
    /// How many guests' taps are on the networks that stand.
    pub guests: usize,
    /// Whether all could be seen; without root it cannot.
    pub complete: bool,
    /// The configuration's first.
    pub findings: Vec<Finding>,
}

impl Findings {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter()
    }
}

/// Looks for everything, touching nothing.
pub fn check(environment: &Environment) -> Result<Findings, Error> {
    Ok(judge(&read::read(environment)?))
}

fn judge(seen: &Seen) -> Findings {
    let families: [fn(&Seen) -> Vec<Finding>; 11] = [
        config::judge,
        networks::judge,
        firewall::judge,
        bridge_filter::judge,
        macs::judge,
        mtu::judge,
        standing::judge,
        leftovers::judge,
        kernel::judge,
        hooks::judge,
        rights::judge,
    ];
    let findings = families.iter().flat_map(|family| family(seen)).collect();
    let networks = seen.config.errors.is_empty().then_some(seen.config.networks.len());
    Findings { networks, guests: seen.guests().count(), complete: seen.is_complete(), findings }
}
