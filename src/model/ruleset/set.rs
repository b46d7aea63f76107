//! Sets and maps, whose elements change without their table.

use std::fmt;
use std::net::IpAddr;

use super::Family;
use super::words::is_comment;
use crate::model::Protocol;

/// A type of the values in keys and in what maps lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Mark,
    /// A set by interfaces has no elements of kvmnet's: the kernel makes one for each that a rule meets, and forgets it after a minute.
    Interface,
    Protocol,
    Port,
    Ipv4,
    Ipv6,
}

/// A value of one of these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Mark(u32),
    Protocol(Protocol),
    Port(u16),
    Address(IpAddr),
}

/// What bounds a set whose elements rules make: their number, more than any bridge has ports, and how long each lasts.
pub const DYNAMIC_SIZE: u32 = 4096;
pub const DYNAMIC_SECONDS: u32 = 60;

/// A set by its name and the types of its keys; a map leads to values of other types.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub key: &'static [Type],
    pub data: &'static [Type],
}

/// A key with a comment, in a map with what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub key: Vec<Value>,
    pub data: Vec<Value>,
    /// What `nft` shows behind the key.
    pub comment: String,
}

/// A set, or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    pub kind: &'static Kind,
    pub elements: Vec<Element>,
}

/// All that is in one set, now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    pub family: Family,
    pub table: String,
    pub from: Set,
    pub to: Set,
}

/// Ports that lead to a guest, or some that no longer do, as elements of sets of a network's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMappings {
    pub table: String,
    /// The tap that they are of.
    pub owner: String,
    pub sets: Vec<Set>,
}

impl Element {
    /// A number with a comment.
    pub fn numbered(number: u32, comment: String) -> Self {
        Self { key: vec![Value::Mark(number)], data: Vec::new(), comment }
    }
}

impl Set {
    /// Whether it has an element with the key of this one.
    pub fn has(&self, element: &Element) -> bool {
        self.elements.iter().any(|known| known.key == element.key)
    }
}

impl Kind {
    pub const fn is_map(&self) -> bool {
        !self.data.is_empty()
    }

    /// Whether rules make its elements.
    pub fn is_dynamic(&self) -> bool {
        self.key == [Type::Interface]
    }

    /// Whether it leads to addresses of IPv6.
    pub fn is_of_ipv6(&self) -> bool {
        self.data.first() == Some(&Type::Ipv6)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Mark => "mark",
            Type::Interface => "iface_index",
            Type::Protocol => "inet_proto",
            Type::Port => "inet_service",
            Type::Ipv4 => "ipv4_addr",
            Type::Ipv6 => "ipv6_addr",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Mark(number) => write!(f, "{number}"),
            Value::Protocol(protocol) => write!(f, "{protocol}"),
            Value::Port(port) => write!(f, "{port}"),
            Value::Address(address) => write!(f, "{address}"),
        }
    }
}

/// The types of its keys, as `nft` declares them.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("type ")?;
        joined(f, self.key)?;
        if self.is_map() {
            f.write_str(" : ")?;
            joined(f, self.data)?;
        }
        if self.is_dynamic() {
            write!(f, "; size {DYNAMIC_SIZE}; flags dynamic,timeout; timeout {DYNAMIC_SECONDS}s")?;
        }
        Ok(())
    }
}

/// A comment that cannot be written is left out.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, &self.key)?;
        if is_comment(&self.comment) {
            write!(f, " comment \"{}\"", self.comment)?;
        }
        if !self.data.is_empty() {
            f.write_str(" : ")?;
            joined(f, &self.data)?;
        }
        Ok(())
    }
}

/// A concatenation.
fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T]) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(" . ")?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

/// As `nft add element` takes it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements: Vec<String> = self.elements.iter().map(ToString::to_string).collect();
        write!(f, "{{ {} }}", elements.join(", "))
    }
}
