//! Sets and their elements: NFT_MSG_NEWSET, NEWSETELEM, DELSETELEM, GETSETELEM (`net/netfilter/nf_tables_api.c`).

use super::attr::*;
use super::table::{body, comment, family_number, userdata};
use crate::model::ruleset::{Element, Elements, Family, Set};
use crate::netlink::message::{CREATE, DUMP, EXCL, Message, attributes, find, find_u32};

/// TYPE_MARK of nftables (`include/datatype.h`), by which `nft` knows how to show a key; the kernel only keeps it.
const TYPE_MARK: u32 = 19;
/// NFTNL_UDATA_SET_KEYBYTEORDER (libnftnl, `udata.h`) and BYTEORDER_HOST_ENDIAN, likewise for `nft` alone.
const KEY_BYTE_ORDER: [u8; 2] = [0, size_of::<u32>() as u8];
const HOST_ENDIAN: u32 = 1;
/// As many elements as surely have room in one attribute of 64 KiB: each takes its comment and 32 bytes at most.
const AT_ONCE: usize = 200;

/// Adds the messages that make a set with all that is in it. `number` tells it from the other sets of a batch.
pub fn put(messages: &mut Vec<Message>, family: Family, table: &str, set: &Set, number: u32) {
    let header = body(family_number(family), 0);
    messages.push(Message::new(NEWSET, CREATE | EXCL, &header).with(|message| {
        message.put_str(NFTA_SET_TABLE, table).put_str(NFTA_SET_NAME, set.name);
        message.put_be32(NFTA_SET_KEY_TYPE, TYPE_MARK).put_be32(NFTA_SET_KEY_LEN, size_of::<u32>() as u32);
        message.put_be32(NFTA_SET_ID, number);
        message.put(NFTA_SET_USERDATA, &[&KEY_BYTE_ORDER[..], &HOST_ENDIAN.to_ne_bytes()].concat())
    }));
    add(messages, family, table, set);
}

/// Adds the messages that put these elements in the place of all that are in a set.
pub fn replace(messages: &mut Vec<Message>, elements: &Elements) {
    let Elements { family, table, to, .. } = elements;
    // Without elements, all are meant.
    messages.push(about(DELSETELEM, 0, *family, table, to.name));
    add(messages, *family, table, to);
}

fn add(messages: &mut Vec<Message>, family: Family, table: &str, set: &Set) {
    messages.extend(set.elements.chunks(AT_ONCE).map(|part| {
        about(NEWSETELEM, CREATE, family, table, set.name).with(|message| {
            message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| part.iter().fold(list, put_element))
        })
    }));
}

fn put_element<'a>(list: &'a mut Message, element: &Element) -> &'a mut Message {
    list.nest(NFTA_LIST_ELEM, |item| {
        item.nest(NFTA_SET_ELEM_KEY, |key| key.put_u32(NFTA_DATA_VALUE, element.key));
        item.put(NFTA_SET_ELEM_USERDATA, &userdata(&element.comment))
    })
}

/// A message about the elements of a set.
fn about(kind: u16, flags: u16, family: Family, table: &str, set: &str) -> Message {
    Message::new(kind, flags, &body(family_number(family), 0))
        .with(|message| message.put_str(NFTA_SET_ELEM_LIST_TABLE, table).put_str(NFTA_SET_ELEM_LIST_SET, set))
}

/// Asks for the elements of a set.
pub fn dump(family: Family, table: &str, set: &str) -> Message {
    about(GETSETELEM, DUMP, family, table, set)
}

/// Reads the elements of one part of a dump.
pub fn parse(reply: &[u8]) -> Option<Vec<Element>> {
    let elements = find(reply.get(4..)?, NFTA_SET_ELEM_LIST_ELEMENTS)?;
    Some(attributes(elements).filter_map(|(_, element)| parse_element(element)).collect())
}

fn parse_element(element: &[u8]) -> Option<Element> {
    let key = find_u32(find(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
    Some(Element { key, comment: find(element, NFTA_SET_ELEM_USERDATA).map(comment).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::HEADER;

    fn numbered(count: u32, comment: &str) -> Set {
        let elements = (1..=count).map(|key| Element { key, comment: comment.to_owned() }).collect();
        Set { name: "record", elements }
    }

    /// `nft --debug=mnl add element inet kvmnet-br0 record '{ 7 comment "made" }'`
    #[test]
    fn an_element_is_as_nft_writes_it() {
        let set = Set { name: "r", elements: vec![Element { key: 7, comment: "made".to_owned() }] };
        let mut messages = Vec::new();
        add(&mut messages, Family::Inet, "t", &set);
        let expected = [
            &[1, 0, 0, 0][..],             // nfgenmsg: inet
            &[6, 0, 1, 0, b't', 0, 0, 0],  // table
            &[6, 0, 2, 0, b'r', 0, 0, 0],  // set
            &[32, 0, 3, 0x80],             // elements
            &[28, 0, 1, 0x80],             // one
            &[12, 0, 1, 0x80, 8, 0, 1, 0], // its key
            &7u32.to_ne_bytes(),
            &[11, 0, 6, 0, 0, 5], // userdata: a comment
            b"made\0\0",
        ]
        .concat();
        assert_eq!(messages[0].bytes()[HEADER..], expected);
    }

    #[test]
    fn reads_what_it_wrote() {
        for (count, comment) in [(0, ""), (1, "eth3:f=0@2"), (450, "an address"), (3, &"x".repeat(250))] {
            let set = numbered(count, comment);
            let mut messages = Vec::new();
            add(&mut messages, Family::Inet, "kvmnet-br0", &set);
            let read = messages.iter().filter_map(|message| parse(&message.bytes()[HEADER..])).flatten();
            assert_eq!(read.collect::<Vec<_>>(), set.elements);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_element() {
        let mut messages = Vec::new();
        add(&mut messages, Family::Inet, "t", &numbered(1, "made"));
        let bytes = &messages[0].bytes()[HEADER..];
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).is_none_or(|elements| elements.len() <= 1));
        }
    }
}
