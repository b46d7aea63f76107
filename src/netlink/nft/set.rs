//! Sets, maps and their elements: NFT_MSG_NEWSET, NEWSETELEM, DELSETELEM, GETSETELEM (`net/netfilter/nf_tables_api.c`).

use std::net::IpAddr;

use super::attr::*;
use super::table::{body, comment, family_number, userdata};
use crate::model::Protocol;
use crate::model::ruleset::{
    DYNAMIC_SECONDS, DYNAMIC_SIZE, Element, Elements, Family, Kind, Set, Type, Value,
};
use crate::netlink::message::{CREATE, DUMP, EXCL, Message, attributes, find, ip};

/// NFTNL_UDATA_SET_KEYBYTEORDER (libnftnl, `udata.h`) and BYTEORDER_HOST_ENDIAN, for `nft` alone, to show a number.
const KEY_BYTE_ORDER: [u8; 2] = [0, size_of::<u32>() as u8];
const HOST_ENDIAN: u32 = 1;
/// NFT_SET_MAP.
const MAP: u32 = 8;
/// NFT_SET_TIMEOUT, and NFT_SET_EVAL: rules make its elements.
const TIMEOUT: u32 = 0x10;
const EVAL: u32 = 0x20;
const NFTA_SET_DESC_SIZE: u16 = 1;
/// As many elements as surely have room in one attribute of 64 KiB: each takes its comment and 112 bytes at most.
const AT_ONCE: usize = 200;

/// A type by its number in nftables (`include/datatype.h`), by which `nft` knows how to show a value, and its length; the
/// kernel only keeps the number.
fn datatype(kind: Type) -> (u32, u32) {
    match kind {
        Type::Mark => (19, 4),
        Type::Interface => (20, 4),
        Type::Protocol => (12, 1),
        Type::Port => (13, 2),
        Type::Ipv4 => (7, 4),
        Type::Ipv6 => (8, 16),
    }
}

/// The same of a concatenation, in which each value begins with a register of 32 bits (`concat_subtype_add`).
fn concatenation(types: &[Type]) -> (u32, u32) {
    let parts = types.iter().map(|kind| datatype(*kind));
    parts.fold((0, 0), |(number, length), (type_, bytes)| {
        (number << 6 | type_, length + bytes.next_multiple_of(4))
    })
}

/// Adds the messages that make a set with all that is in it. `number` tells it from the other sets of a batch.
pub fn put(messages: &mut Vec<Message>, family: Family, table: &str, set: &Set, number: u32) {
    let kind = set.kind;
    let header = body(family_number(family), 0);
    messages.push(Message::new(NEWSET, CREATE | EXCL, &header).with(|message| {
        message.put_str(NFTA_SET_TABLE, table).put_str(NFTA_SET_NAME, kind.name);
        let (key, length) = concatenation(kind.key);
        message.put_be32(NFTA_SET_KEY_TYPE, key).put_be32(NFTA_SET_KEY_LEN, length);
        if kind.is_map() {
            let (data, length) = concatenation(kind.data);
            message.put_be32(NFTA_SET_FLAGS, MAP);
            message.put_be32(NFTA_SET_DATA_TYPE, data).put_be32(NFTA_SET_DATA_LEN, length);
        }
        if kind.is_dynamic() {
            message.put_be32(NFTA_SET_FLAGS, TIMEOUT | EVAL);
            message.nest(NFTA_SET_DESC, |desc| desc.put_be32(NFTA_SET_DESC_SIZE, DYNAMIC_SIZE));
            let timeout = u64::from(DYNAMIC_SECONDS) * 1000;
            message.put(NFTA_SET_TIMEOUT, &timeout.to_be_bytes());
        }
        message.put_be32(NFTA_SET_ID, number);
        if matches!(kind.key, [Type::Mark | Type::Interface]) {
            message.put(NFTA_SET_USERDATA, &[&KEY_BYTE_ORDER[..], &HOST_ENDIAN.to_ne_bytes()].concat());
        }
        message
    }));
    messages.extend(add(family, table, kind, &set.elements));
}

/// Adds the messages that put these elements in the place of all that are in a set.
pub fn replace(messages: &mut Vec<Message>, elements: &Elements) {
    let Elements { family, table, to, .. } = elements;
    // Without elements, all are meant.
    messages.push(about(DELSETELEM, 0, *family, table, to.kind));
    messages.extend(add(*family, table, to.kind, &to.elements));
}

/// Adds elements.
pub fn add(family: Family, table: &str, set: &Kind, elements: &[Element]) -> Vec<Message> {
    about_elements(NEWSETELEM, CREATE, family, table, set, elements)
}

/// Deletes elements.
pub fn delete(family: Family, table: &str, set: &Kind, elements: &[Element]) -> Vec<Message> {
    about_elements(DELSETELEM, 0, family, table, set, elements)
}

/// Asks for one element.
pub fn get(family: Family, table: &str, set: &Kind, element: &Element) -> Message {
    about(GETSETELEM, 0, family, table, set)
        .with(|message| message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| put_element(list, set, element)))
}

fn about_elements(
    message: u16,
    flags: u16,
    family: Family,
    table: &str,
    set: &Kind,
    elements: &[Element],
) -> Vec<Message> {
    let parts = elements.chunks(AT_ONCE).map(|part| {
        about(message, flags, family, table, set).with(|message| {
            message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                part.iter().fold(list, |list, element| put_element(list, set, element))
            })
        })
    });
    parts.collect()
}

fn put_element<'a>(list: &'a mut Message, set: &Kind, element: &Element) -> &'a mut Message {
    list.nest(NFTA_LIST_ELEM, |item| {
        item.nest(NFTA_SET_ELEM_KEY, |key| key.put(NFTA_DATA_VALUE, &bytes(&element.key)));
        if set.is_map() {
            item.nest(NFTA_SET_ELEM_DATA, |data| data.put(NFTA_DATA_VALUE, &bytes(&element.data)));
        }
        item.put(NFTA_SET_ELEM_USERDATA, &userdata(&element.comment))
    })
}

/// A concatenation of values, in which each begins with a register.
fn bytes(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Value::Mark(number) => bytes.extend_from_slice(&number.to_ne_bytes()),
            Value::Protocol(protocol) => bytes.push(*protocol as u8),
            Value::Port(port) => bytes.extend_from_slice(&port.to_be_bytes()),
            Value::Address(IpAddr::V4(v4)) => bytes.extend_from_slice(&v4.octets()),
            Value::Address(IpAddr::V6(v6)) => bytes.extend_from_slice(&v6.octets()),
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A message about the elements of a set.
fn about(kind: u16, flags: u16, family: Family, table: &str, set: &Kind) -> Message {
    Message::new(kind, flags, &body(family_number(family), 0)).with(|message| {
        message.put_str(NFTA_SET_ELEM_LIST_TABLE, table).put_str(NFTA_SET_ELEM_LIST_SET, set.name)
    })
}

/// Asks for the elements of a set.
pub fn dump(family: Family, table: &str, set: &Kind) -> Message {
    about(GETSETELEM, DUMP, family, table, set)
}

/// Reads the elements of a set from one part of a dump.
pub fn parse(reply: &[u8], set: &Kind) -> Option<Vec<Element>> {
    let elements = find(reply.get(4..)?, NFTA_SET_ELEM_LIST_ELEMENTS)?;
    Some(attributes(elements).filter_map(|(_, element)| parse_element(element, set)).collect())
}

fn parse_element(element: &[u8], set: &Kind) -> Option<Element> {
    let value = |kind| find(element, kind).and_then(|value| find(value, NFTA_DATA_VALUE));
    Some(Element {
        key: values(value(NFTA_SET_ELEM_KEY)?, set.key)?,
        data: if set.is_map() { values(value(NFTA_SET_ELEM_DATA)?, set.data)? } else { Vec::new() },
        comment: find(element, NFTA_SET_ELEM_USERDATA).map(comment).unwrap_or_default(),
    })
}

/// None where the bytes are not of these types.
fn values(mut bytes: &[u8], types: &[Type]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    for kind in types {
        let length = datatype(*kind).1 as usize;
        let part = bytes.get(..length)?;
        values.push(match kind {
            Type::Mark | Type::Interface => Value::Mark(u32::from_ne_bytes(part.try_into().ok()?)),
            Type::Protocol => Value::Protocol(protocol(*part.first()?)?),
            Type::Port => Value::Port(u16::from_be_bytes(part.try_into().ok()?)),
            Type::Ipv4 | Type::Ipv6 => Value::Address(ip(part)?),
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(values)
}

fn protocol(number: u8) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp].into_iter().find(|protocol| *protocol as u8 == number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::netlink::message::HEADER;

    static RECORD: Kind = Kind { name: "record", key: &[Type::Mark], data: &[] };
    static MAP_OF_PORTS: Kind =
        Kind { name: "forward6", key: &[Type::Protocol, Type::Port], data: &[Type::Ipv6, Type::Port] };

    fn numbered(count: u32, comment: &str) -> Vec<Element> {
        (1..=count).map(|key| Element::numbered(key, comment.to_owned())).collect()
    }

    fn forward() -> Element {
        Element {
            key: vec![Value::Protocol(Protocol::Udp), Value::Port(2222)],
            data: vec![Value::Address("fd00:100::1".parse().unwrap()), Value::Port(22)],
            comment: "vif0.0@3".to_owned(),
        }
    }

    /// `nft --debug=mnl add element inet t record '{ 7 comment "made" }'`
    #[test]
    fn an_element_is_as_nft_writes_it() {
        let messages = add(Family::Inet, "t", &RECORD, &[Element::numbered(7, "made".to_owned())]);
        let expected = [
            &[1, 0, 0, 0][..],                                        // nfgenmsg: inet
            &[6, 0, 1, 0, b't', 0, 0, 0],                             // table
            &[11, 0, 2, 0, b'r', b'e', b'c', b'o', b'r', b'd', 0, 0], // set
            &[32, 0, 3, 0x80],                                        // elements
            &[28, 0, 1, 0x80],                                        // one
            &[12, 0, 1, 0x80, 8, 0, 1, 0],                            // its key
            &7u32.to_ne_bytes(),
            &[11, 0, 6, 0, 0, 5], // userdata: a comment
            b"made\0\0",
        ]
        .concat();
        assert_eq!(messages[0].bytes()[HEADER..], expected);
    }

    /// The number of a concatenation in `nft --debug=mnl add map inet t m '{ type inet_proto . inet_service : … }'`.
    #[test]
    fn types_of_concatenations_are_as_nft_writes_them() {
        assert_eq!(concatenation(&[Type::Protocol, Type::Port]), (0x30d, 8));
        assert_eq!(concatenation(&[Type::Ipv4, Type::Port]), (0x1cd, 8));
        assert_eq!(concatenation(&[Type::Protocol, Type::Ipv6, Type::Port]), (0xc20d, 24));
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut cases = vec![(&MAP_OF_PORTS, vec![forward(); 3])];
        for (count, comment) in [(0, ""), (1, "eth3:f=0@2"), (450, "an address"), (3, &"x".repeat(250))] {
            cases.push((&RECORD, numbered(count, comment)));
        }
        for (set, elements) in cases {
            let messages = add(Family::Inet, "kvmnet-br0", set, &elements);
            let read = messages.iter().filter_map(|message| parse(&message.bytes()[HEADER..], set)).flatten();
            assert_eq!(read.collect::<Vec<_>>(), elements);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_element() {
        for (set, elements) in [(&RECORD, numbered(1, "made")), (&MAP_OF_PORTS, vec![forward()])] {
            let messages = add(Family::Inet, "t", set, &elements);
            let bytes = &messages[0].bytes()[HEADER..];
            for end in 0..bytes.len() {
                assert!(parse(&bytes[..end], set).is_none_or(|elements| elements.len() <= 1));
            }
        }
    }
}
