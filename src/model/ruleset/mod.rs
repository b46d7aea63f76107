//! The nftables tables that kvmnet wants, as values that print as `nft` text.

mod found;
mod rule;
mod set;
mod table;
mod words;

pub use found::{Found, FoundChain};
pub use rule::{Field, IcmpType, Match, Rule, Verdict};
pub use set::{DYNAMIC_SECONDS, DYNAMIC_SIZE, Element, Elements, Kind, PortMappings, Set, Type, Value};
pub use table::{Chain, Family, Hook, TABLE_PREFIX, Table, table_name};
pub use words::{COMMENT_MAX, is_identifier, is_text};
