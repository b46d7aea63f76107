//! The bytes of a netlink message: a header, a fixed body, attributes (netlink(7)).
//!
//! neli's typed builders make one message from a dozen allocations; a hook packs many messages into one
//! send, so they are written here straight into one buffer each, with neli's constants.

use std::net::IpAddr;

/// The length of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// NLM_F_REQUEST.
const REQUEST: u16 = 0x1;
/// NLM_F_ACK.
pub const ACK: u16 = 0x4;
/// NLM_F_ECHO.
pub const ECHO: u16 = 0x8;
/// NLM_F_DUMP.
pub const DUMP: u16 = 0x300;
/// NLM_F_REPLACE.
pub const REPLACE: u16 = 0x100;
/// NLM_F_EXCL.
pub const EXCL: u16 = 0x200;
/// NLM_F_CREATE.
pub const CREATE: u16 = 0x400;
/// NLM_F_APPEND.
pub const APPEND: u16 = 0x800;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// The bits of an attribute's number that are not flags (NLA_TYPE_MASK).
const TYPE_MASK: u16 = 0x3fff;

/// A request. Its length is right at every moment; its sequence number is set by the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A request of type `kind` with further NLM_F_* `flags` and a fixed body.
    pub fn new(kind: impl Into<u16>, flags: u16, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.into().to_ne_bytes());
        bytes.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(body);
        let mut message = Self(bytes);
        message.pad();
        message
    }

    /// The same with what `fill` adds.
    pub fn with(mut self, fill: impl FnOnce(&mut Self) -> &mut Self) -> Self {
        fill(&mut self);
        self
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: impl Into<u16>, value: &[u8]) -> &mut Self {
        let start = self.open(kind.into());
        self.0.extend_from_slice(value);
        self.end(start);
        self
    }

    /// Adds a fixed body inside a nested attribute, as a veth's peer has one.
    pub fn put_body(&mut self, body: &[u8]) -> &mut Self {
        self.0.extend_from_slice(body);
        self.pad();
        self
    }

    /// Adds a number in the machine's byte order.
    pub fn put_u32(&mut self, kind: impl Into<u16>, value: u32) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds a number in network byte order, as nf_tables has them.
    pub fn put_be32(&mut self, kind: impl Into<u16>, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a text with its closing NUL.
    pub fn put_str(&mut self, kind: impl Into<u16>, value: impl AsRef<[u8]>) -> &mut Self {
        let start = self.open(kind.into());
        self.0.extend_from_slice(value.as_ref());
        self.0.push(0);
        self.end(start);
        self
    }

    /// Adds an IP address, if there is one.
    pub fn put_ip(&mut self, kind: impl Into<u16>, value: impl Into<Option<IpAddr>>) -> &mut Self {
        match value.into() {
            Some(IpAddr::V4(v4)) => self.put(kind, &v4.octets()),
            Some(IpAddr::V6(v6)) => self.put(kind, &v6.octets()),
            None => self,
        }
    }

    /// Adds attributes as the kernel told them.
    pub fn put_all(&mut self, attributes: &[(u16, Vec<u8>)]) -> &mut Self {
        attributes.iter().fold(self, |message, (kind, value)| message.put(*kind, value))
    }

    /// Adds an attribute that holds what `fill` adds.
    pub fn nest(&mut self, kind: impl Into<u16>, fill: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        let start = self.open(kind.into() | NESTED);
        fill(self);
        self.end(start);
        self
    }

    /// The finished bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its NLM_F_* flags.
    pub fn flags(&self) -> u16 {
        u16_at(&self.0, 6).unwrap_or_default()
    }

    /// Whether the kernel answers with a dump.
    pub fn is_dump(&self) -> bool {
        self.flags() & DUMP == DUMP
    }

    /// Adds NLM_F_* flags.
    pub fn add_flags(&mut self, flags: u16) {
        self.write(6, &(self.flags() | flags).to_ne_bytes());
    }

    /// Sets the number that the replies will carry.
    pub fn set_sequence(&mut self, sequence: u32) {
        self.write(8, &sequence.to_ne_bytes());
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    /// Writes an attribute's length and pads it to four bytes.
    fn end(&mut self, start: usize) {
        let length = (self.0.len() - start) as u16;
        self.write(start, &length.to_ne_bytes());
        self.pad();
    }

    /// Pads to four bytes and writes the message's own length.
    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let length = self.0.len() as u32;
        self.write(0, &length.to_ne_bytes());
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(field) = self.0.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }
}

/// The attributes in `bytes`, each its number and value. Stops at the first that is cut short.
pub fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes(bytes)
}

/// See [`attributes`].
#[derive(Debug, Clone)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & TYPE_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The value of the attribute `kind`.
pub fn find(bytes: &[u8], kind: impl Into<u16>) -> Option<&[u8]> {
    let kind = kind.into();
    attributes(bytes).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// The value of the attribute `kind`, a number in the machine's byte order.
pub fn find_u32(bytes: &[u8], kind: impl Into<u16>) -> Option<u32> {
    u32_at(find(bytes, kind)?, 0)
}

/// The value of the attribute `kind`, a number in network byte order.
pub fn find_be32(bytes: &[u8], kind: impl Into<u16>) -> Option<u32> {
    be32(find(bytes, kind)?)
}

/// The value of the attribute `kind`, a text.
pub fn find_text(bytes: &[u8], kind: impl Into<u16>) -> Option<String> {
    find(bytes, kind).map(text)
}

/// The value of the attribute `kind`, an IP address.
pub fn find_ip(bytes: &[u8], kind: impl Into<u16>) -> Option<IpAddr> {
    ip(find(bytes, kind)?)
}

/// The attributes but for those of the kinds `known`, as the kernel told them.
pub fn others(bytes: &[u8], known: &[u16]) -> Vec<(u16, Vec<u8>)> {
    let others = attributes(bytes).filter(|(kind, _)| !known.contains(kind));
    others.map(|(kind, value)| (kind, value.to_vec())).collect()
}

/// The 16-bit number at `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// The 32-bit number at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// The 64-bit number at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

/// The 32-bit number at the beginning, in network byte order.
pub fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.try_into().ok().map(u32::from_be_bytes)
}

/// A text up to its NUL, or all of it.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// An IP address of 4 or 16 bytes.
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_lengths_and_padding() {
        let mut message = Message::new(16u16, 1, &[7; 4]);
        message.put_str(3u16, "br0").nest(18u16, |m| m.put_u32(1u16, 5));
        let bytes = message.bytes();
        assert_eq!(u32_at(bytes, 0).unwrap() as usize, bytes.len());
        let read: Vec<_> = attributes(&bytes[HEADER + 4..]).collect();
        assert_eq!(read[0], (3, &b"br0\0"[..]));
        assert_eq!(find(read[1].1, 1u16), Some(&5u32.to_ne_bytes()[..]));
    }

    #[test]
    fn reads_no_further_than_the_bytes_go() {
        assert_eq!(attributes(&[200, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attributes(&[0, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[]).count(), 0);
    }
}
