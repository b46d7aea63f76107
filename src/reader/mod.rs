//! The only reader of the kernel: asks as little as possible.
//!
//! In: a wish, or which tap leaves. Out: [`Observed`](crate::observed::Observed). Never: decides or changes anything.
//!
//! Kept small by three things: interfaces are asked for by name; all of kvmnet's networks are found by one
//! dump of the (few) nftables tables; a dump of ports or routes is made only where a feature needs it.

mod address_manager;
mod default_routes;
mod down;
mod firewall;
mod host_snapshot;
pub mod leases;
mod networks;
mod port_mappings;
mod starter;
mod station;
mod status_snapshot;
mod survey;
mod template;
mod up;

pub use host_snapshot::HostSnapshot;
pub use status_snapshot::StatusSnapshot;
pub use up::is_proc_fixed;
