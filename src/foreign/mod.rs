//! Chains of other programs that drop guests' packets: no table of kvmnet's can open what they close.
//!
//! In: their chains and rules, a network. Out: what drops what, and the commands that open it. Never: asks the kernel, changes
//! anything.

mod blocked;
mod openings;
mod walk;

pub use blocked::{asked, blocked, bridged, forwarded, opens, received, told};
pub use openings::Opening;
pub use walk::{Asks, Firewall, LegacyFilter, Obstacle, Packet};
