//! What is wrong with the configuration or the machine, and what to do about it.
//!
//! In: the environment. Out: [`Findings`]. Never: changes anything.
//!
//! ```text
//!  file, environment ──┐
//!  kernel ─────────────┼──► read ──► CheckInput ──► one file of checks for each family ──► Findings
//!  /proc, /etc, /boot ─┘
//! ```
//!
//! Everything is read first, while no hook is at work; the checks are functions of it. Those on networks are the plan's own refusals, and what was
//! changed of a network is what the plan would do: what a hook would say is what is said here.

mod bridge_filter;
mod config;
mod dhcp;
mod drift;
mod finding;
mod firewall;
mod forwards;
mod hooks;
mod input;
mod kernel;
mod leftovers;
mod macs;
mod mtu;
mod networks;
mod quiet;
mod render;
mod rights;

use finding::Finding;
pub use render::render;

use serde::Serialize;

use crate::config::Environment;
use crate::error::Error;
use input::CheckInput;

/// All findings, and what was looked at.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// How many networks the configuration has; None where it is wrong.
    networks: Option<usize>,
    /// How many guests' taps are on the networks that are up.
    guests: usize,
    /// Whether everything could be seen; without root it cannot.
    complete: bool,
    /// The configuration's first.
    findings: Vec<Finding>,
}

impl Findings {
    /// Whether anything is wrong, and not only worth knowing.
    pub fn has_problem(&self) -> bool {
        self.findings.iter().any(Finding::is_problem)
    }
}

/// Looks for everything, touching nothing.
pub fn check(environment: &Environment) -> Result<Findings, Error> {
    let input = CheckInput::read(environment)?;
    let families: [fn(&CheckInput) -> Vec<Finding>; 13] = [
        config::check,
        networks::check,
        dhcp::check,
        firewall::check,
        bridge_filter::check,
        macs::check,
        forwards::check,
        mtu::check,
        drift::check,
        leftovers::check,
        kernel::check,
        hooks::check,
        rights::check,
    ];
    let findings = families.iter().flat_map(|family| family(&input)).collect();
    let networks = input.config.errors.is_empty().then_some(input.config.networks.len());
    Ok(Findings { networks, guests: input.guests().count(), complete: input.is_complete(), findings })
}
