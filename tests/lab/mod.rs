//! A small world to try the hooks in: machines made of network namespaces, guests on real taps,
//! probes that ask who reaches whom, and snapshots of all that a host's kernel knows.
//!
//! ```text
//!   guest 1 ── vif0.0 ┐                        ┌ eth3 ── outside   192.168.1.25
//!                     ├── (what kvmnet makes) ── host
//!   guest 2 ── vif1.0 ┘                        └ eth4 ── other     10.77.0.2
//! ```
//!
//! Nothing here has a name outside the test: a namespace is held by an open file of the test's process, a
//! program by its parent's life, so that even `kill -9` of a test leaves nothing behind.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test crate uses its own part of the kit")]

/// One test for each form of each mode, or for those that are named: `each_mode!(the_host_is_silent: isolated host_only);` makes
/// `the_host_is_silent::isolated` and `the_host_is_silent::host_only` of the function `the_host_is_silent`.
macro_rules! each_mode {
    ($test:ident) => {
        crate::lab::each_mode!($test: isolated host_only host_only_veth routed routed_veth nat nat_veth bridged);
    };
    ($test:ident: $($mode:ident)*) => {
        mod $test {
            $(#[test]
            fn $mode() {
                super::$test(crate::lab::each_mode!(@ $mode));
            })*
        }
    };
    (@ isolated) => { crate::lab::Network::ISOLATED };
    (@ host_only) => { crate::lab::Network::HOST_ONLY };
    (@ host_only_veth) => { crate::lab::Network::HOST_ONLY_VETH };
    (@ routed) => { crate::lab::Network::ROUTED };
    (@ routed_veth) => { crate::lab::Network::ROUTED_VETH };
    (@ nat) => { crate::lab::Network::NAT };
    (@ nat_veth) => { crate::lab::Network::NAT_VETH };
    (@ bridged) => { crate::lab::Network::BRIDGED };
}
pub(crate) use each_mode;

pub mod bench;
mod capture;
mod cli;
pub mod frame;
mod guest;
mod hook;
mod image;
mod initramfs;
mod machine;
mod monitor;
mod network;
mod probe;
mod process;
mod qemu;
mod random;
mod reference;
pub mod servers;
mod snapshot;
mod strace;
mod tap;
mod traffic;
mod trial;
mod vm;
mod wait;
mod world;

pub use bench::Bench;
pub use capture::{Capture, Packet, inject, inject_all, send_here};
pub use cli::{Cli, Said};
pub use frame::Frame;
pub use guest::Guest;
pub use hook::{Hook, Ran, hooks_dir, use_hooks};
pub use image::Image;
pub use initramfs::Initramfs;
pub use machine::Machine;
pub use monitor::Monitor;
pub use network::{Network, Place};
pub use probe::{Listener, TcpServer};
pub use process::Process;
pub use qemu::{Qemu, Style};
pub use random::Random;
pub use reference::Lab;
pub use snapshot::{Snapshot, assert_same};
pub use strace::{Call, Fault, SPEAKING, Traced, sample, standing_still};
pub use tap::Tap;
pub use traffic::{Answers, Conversation, Pings};
pub use trial::{COLUMNS, Reach, Row, Trial};
pub use vm::{Vm, accelerator, guest_dir, turn, use_guest};
pub use wait::{eventually, within};
pub use world::{Attempt, Cell, TwoNetworks, World, cells};
