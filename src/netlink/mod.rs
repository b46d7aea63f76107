//! The kernel, through netlink: the only place that knows bytes.
//!
//! Speaks in terms of [`crate::model`]; knows nothing of configurations, plans or guests.

mod answers;
mod flows;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod message;
pub mod nft;
pub mod route;
mod socket;
pub mod sockets;
pub mod wifi;

pub use socket::{Broken, KernelError};
