//! What can be changed: a file for each kind of kernel object.
//!
//! Each says what its changes are called, the command of an administrator that does the same, the message that the kernel
//! gets, the way back, and which errors mean that there is nothing left to do. A new kind is a file here, and a line in
//! `steps!`.

mod accept_rules;
mod address;
mod claim;
mod elements;
mod flows;
mod guest_filter;
mod ipv6_identity;
mod link;
mod neighbour;
mod nexthop;
mod policy_rule;
mod port;
mod port_mappings;
mod probe;
mod route;
mod setting;
mod table;
mod wait;

pub use accept_rules::AcceptRulesChange;
pub use address::{AddressChange, add_address};
pub use claim::ClaimChange;
pub use flows::CutFlows;
pub use guest_filter::GuestFilterChange;
pub use ipv6_identity::{Ipv6IdentityChange, secret_key};
pub use link::LinkChange;
pub use neighbour::NeighbourChange;
pub use nexthop::NexthopChange;
pub use policy_rule::PolicyRuleChange;
pub use port::PortChange;
pub use port_mappings::PortMappingsChange;
pub use probe::{Probe, ProbeTarget};
pub use route::RouteChange;
pub use setting::SettingChange;
pub use table::TableChange;
pub use wait::Wait;

use std::fmt;
use std::ops::Deref;

use nix::errno::Errno;

use crate::model::ruleset::Elements;
use crate::model::{IfName, Setting};
use crate::netlink::message::Message;
use crate::netlink::nft;
use crate::terminal::shell_word;

/// How a change gets to the kernel. Changes of one kind that follow each other go out in one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// rtnetlink.
    Route,
    /// nf_tables.
    Nft,
    /// A file under /proc/sys.
    File,
    /// Connections that are tracked.
    Flows,
    /// It changes nothing: a wait or a question.
    None,
}

/// The numbers of interfaces; an error is the name of one whose number is not known yet.
pub type Numbers<'a> = &'a dyn Fn(&IfName) -> Result<u32, IfName>;

/// What each kind of change says of itself.
pub trait Change {
    /// Its kind, in a word for programs.
    fn kind(&self) -> &'static str;

    /// What it does, for an error that begins with "cannot".
    fn deed(&self) -> String;

    /// The command that does the same; with `{:#}` an nft command has a line for each rule. A remark (`#`) where there is
    /// none. (It is not among what [`Step`] derefs to: a hook would link the commands, which it never prints.)
    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result
    where
        Self: Sized;

    /// The change that takes this one back; None where nothing is to be taken back, or nothing can be.
    fn inverse(&self) -> Option<Step> {
        None
    }

    /// Whether something ends by it for good, so that what was done before is not taken back either.
    fn deletes(&self) -> bool {
        false
    }

    /// Whether it cannot be taken back: what is deleted or replaced as a whole is not made again. These come last.
    fn is_final(&self) -> bool {
        self.deletes()
    }

    /// How it gets to the kernel.
    fn transport(&self) -> Transport {
        if self.nft().is_some() { Transport::Nft } else { Transport::Route }
    }

    /// Its rtnetlink message, if it has one. An error is the name of an interface whose number is not known.
    fn message(&self, _numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(None)
    }

    /// Its part of an nf_tables transaction, if it has one.
    fn nft(&self) -> Option<nft::Change<'_>> {
        None
    }

    /// Whether an error says that it was done before: its answer was lost.
    fn is_there(&self, _errno: Errno) -> bool {
        false
    }

    /// Whether an error says that its goal is reached already: what was to go is gone, what was to come is there.
    fn forgives(&self, _errno: Errno) -> bool {
        false
    }

    /// Whether `name` is another interface from then on, with another number.
    fn renumbers(&self, _name: &IfName) -> bool {
        false
    }

    /// What a person can do about an error.
    fn hint(&self, _errno: Errno) -> Option<&'static str> {
        None
    }
}

/// Makes [`Step`] of the kinds of changes.
macro_rules! steps {
    ($($kind:ident($change:ty),)*) => {
        /// One change, or a wait between two: prints as the command of an administrator, and knows its way back.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "a variant is called as what it holds, which says what it is")]
        pub enum Step {
            $($kind($change),)*
        }

        $(impl From<$change> for Step {
            fn from(change: $change) -> Self {
                Self::$kind(change)
            }
        })*

        /// Whichever kind it is.
        impl Deref for Step {
            type Target = dyn Change;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$kind(change) => change,)*
                }
            }
        }

        /// The exact command that does the same; with `{:#}` an nft command has a line for each rule.
        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(change) => change.write_command(f),)*
                }
            }
        }
    };
}

steps! {
    Link(LinkChange),
    Port(PortChange),
    Claim(ClaimChange),
    Setting(SettingChange),
    GuestFilter(GuestFilterChange),
    Ipv6Identity(Ipv6IdentityChange),
    Address(AddressChange),
    Route(RouteChange),
    Nexthop(NexthopChange),
    PolicyRule(PolicyRuleChange),
    Neighbour(NeighbourChange),
    Table(TableChange),
    Elements(Elements),
    PortMappings(PortMappingsChange),
    Flows(CutFlows),
    AcceptRules(AcceptRulesChange),
    Wait(Wait),
    Probe(Probe),
}

impl Step {
    /// Everything before is done and acknowledged before anything behind begins.
    pub const BARRIER: Step = Step::Wait(Wait::Barrier);

    /// Changes a number.
    pub fn set(link: IfName, setting: Setting, from: u32, to: u32) -> Self {
        Self::Setting(SettingChange { link, setting, from, to, back: false })
    }

    /// Puts a number back that kvmnet changed.
    pub fn put_back(link: IfName, setting: Setting, from: u32, to: u32) -> Self {
        Self::Setting(SettingChange { link, setting, from, to, back: true })
    }

    /// The command that does the same, where there is one: a wait and a question have none.
    pub fn command(&self) -> Option<String> {
        Some(format!("{self:#}")).filter(|command| !command.starts_with('#'))
    }

    /// The steps that take this one back at once: an IPv6 address that was in use is so again without detection.
    pub fn way_back(&self) -> Vec<Step> {
        match self.inverse() {
            Some(Step::Address(AddressChange::Add { link, address })) => add_address(&address, link),
            inverse => inverse.into_iter().collect(),
        }
    }

    /// Whether a network does without it where /proc/sys is read-only.
    pub fn is_spare(&self) -> bool {
        matches!(self, Step::Setting(change) if change.is_spare())
    }
}

/// A name as a shell takes it.
fn word(name: &IfName) -> String {
    shell_word(name)
}

/// The command for a family.
fn ip_word(family: u8) -> &'static str {
    if i32::from(family) == nix::libc::AF_INET6 { "ip -6" } else { "ip -4" }
}
