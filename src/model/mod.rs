//! What a network is made of: plain data, compared with `==`. No I/O, no netlink.

pub mod address;
mod carried;
mod claim;
pub mod facts;
mod filter;
pub mod foreign;
mod forward;
pub mod guest_filter;
mod guest_identity;
mod host_access;
mod ifname;
pub mod iptables;
pub mod lease;
pub mod ledger;
pub mod link;
mod listener;
mod need;
mod network;
mod network_filter;
mod owner;
pub mod port;
mod port_mapping;
mod question;
pub mod route;
pub mod ruleset;
mod served;
pub mod setting;
mod tap_record;

pub use address::Address;
pub use claim::{Claim, Own};
pub use facts::Facts;
pub use filter::{Filter, Instruction, bytecode};
pub use forward::{Forward, Protocol};
pub use guest_filter::{Filtering, GuestFilter, Program, Sources};
pub use guest_identity::{GuestIdentity, is_label, label};
pub use host_access::HostAccess;
pub use ifname::{BadName, IfName, MAX_LEN};
pub use ledger::{Changed, Ledger};
pub use link::{AddrGen, Link, Mac};
pub use listener::Listener;
pub use need::Need;
pub use network::{FirewallUse, Mode, Network, Origin, Uplink, Veth, is_network_name};
pub use network_filter::Subnets;
pub use owner::AddressManager;
pub use port_mapping::{Owner, PortMapping, loopback};
pub use question::Question;
pub use route::{Neighbour, Nexthop, PolicyRule, Route};
pub use served::Served;
pub use setting::Setting;
pub use tap_record::TapRecord;

/// FNV-1a, 64 bits: the same for the same bytes in every build, which the hashes of `std` do not promise.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
