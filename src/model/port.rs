//! The ports of what tells guests their addresses and names.

pub const DNS: u16 = 53;
/// RFC 2131.
pub const DHCP4: u16 = 67;
pub const DHCP4_CLIENT: u16 = 68;
/// RFC 8415.
pub const DHCP6: u16 = 547;
pub const DHCP6_CLIENT: u16 = 546;
