//! kvmnet.

pub mod apply;
pub mod config;
pub mod desired;
pub mod error;
pub mod firewall;
pub mod hook;
pub mod lock;
pub mod log;
pub mod model;
pub mod netlink;
pub mod observed;
pub mod plan;
pub mod run;
pub mod signals;
