//! The network of a QEMU guest, from its tap to the world.
//!
//! `qemu-ifup`, `qemu-ifdown` and `kvmnet` are a `main` each over this library. One run goes through it from top to
//! bottom, and so do the modules below, in this order:
//!
//! ```text
//!  argv, signal mask        hook, inherited
//!        │
//!  /etc/kvmnet.conf ──► config ──► desired ─┐
//!  KVMNET_…                                 ├──► feature ──► plan ──► apply ──► kernel
//!      kernel ──► reader ──► observed ─────┘                 │
//!                                                             └──► (each step prints as a command)
//! ```
//!
//! What must never happen, and where to look:
//!
//! | module | takes | gives | never |
//! | --- | --- | --- | --- |
//! | [`hook`] | arguments, environment | exit status, messages | knows a network |
//! | [`run`] | a tap or a network | what was done, or would be | decides anything |
//! | [`bridge_helper`] | arguments of a user's QEMU | a tap | trusts the user |
//! | [`launch`] | a command line | another program in this process | leaves a process beside it |
//! | `model` | | plain data | does I/O |
//! | [`config`] | text, environment | a checked `model::Network` | asks the kernel |
//! | [`desired`], [`firewall`] | a network | what must hold | does I/O |
//! | [`reader`], [`observed`] | the kernel | what holds | decides or writes |
//! | `network`, `switch` | facts | what stands, who is on it, and how a bridge is told to be one | does I/O |
//! | `subnet` | networks, routes | subnets for those that leave theirs open | asks, decides |
//! | `feature` | a wish, facts | what shall be, what speaks against it, what has to be known | compares |
//! | `foreign` | rules of others, a network | what drops its guests' packets, the commands that open it | asks, changes |
//! | [`plan`] | what shall be, what is | [`plan::Step`]s, of the kinds in `item` | knows a mode, does I/O |
//! | [`apply`] | steps | nothing, or all taken back | decides |
//! | [`status`], [`check`], [`init`], [`completion`] | the kernel, the configuration | what is, what is wrong, a file, names | writes |
//! | `firewalld` | the kernel | firewalld's zones, over D-Bus | is called by a hook |
//! | [`netlink`] | data of `model` | bytes, and back | knows guests or configurations |
//! | [`holder`], [`vmm`], `guests` | /proc, a command line | who has a tap open, what VM that is | asks the VM |
//! | [`probe`], [`tun`], [`lock`], [`signals`], [`rights`], [`seccomp`], [`confine`], [`account`], [`caller`], [`log`] | | a facility of the system each | know each other |
//! | [`terminal`], [`error`] | text, data, what failed | what a person reads | prints |
//! | `fuzz` | any bytes | what must hold of them, for tests | is in a program |
//!
//! To find one's way: [`run::up`] is one run, in the order above; `model::Network` is what a configuration comes to,
//! [`plan::Step`] what can be done about it. docs/architecture.md says why, and where to put what is new.
//!
//! There is no state file: the kernel is the database. See `model::ledger`.

pub mod bridge_helper;
pub mod hook;
pub mod launch;
pub mod run;

mod model;
pub use model::IfName;

pub mod config;
mod desired;
mod feature;
mod firewall;
mod foreign;
mod item;
mod network;
mod observed;
mod plan;
mod reader;
mod subnet;
mod switch;

mod apply;
mod netlink;

pub mod check;
pub mod completion;
pub mod init;
pub mod status;

mod account;
pub mod caller;
mod confine;
pub mod error;
mod firewalld;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guests;
mod holder;
pub mod inherited;
mod lock;
pub mod log;
mod probe;
mod rights;
mod seccomp;
pub mod serve;
mod service;
mod signals;
mod sorted;
pub mod terminal;
mod tun;
mod vmm;
mod xtables;
