//! What is to be done: a pure function of what is desired and what is observed.
//!
//! Never reads or writes anything, so it is tested as a table of cases. An empty plan is the normal result of
//! a second run. The order of the steps is the safety of the whole: a record is written before what it records
//! and removed after it, and the rules that keep guests in are there before a bridge is up and go last.

mod accept_rules;
mod after;
mod difference;
mod down;
mod everywhere;
mod guest;
mod port;
mod port_mappings;
mod record;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod transaction;
mod up;
mod values;

pub use crate::feature::Refusal;
pub use crate::item::Step;
pub use accept_rules::sweep as sweep_accept_rules;
pub use down::{down, network_down, sweep};
pub use port_mappings::sweep as sweep_ports;
pub use transaction::{Plan, Transaction};
pub use up::{bring_up, refusals, up, writes_led_guests};

use difference::Difference;
