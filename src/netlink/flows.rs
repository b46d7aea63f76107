//! Connections that are tracked: IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE (`net/netfilter/nf_conntrack_netlink.c`).

use std::net::IpAddr;

use nix::libc;

use super::message::{DUMP, Message, find, find_ip};

/// NFNL_SUBSYS_CTNETLINK in the upper byte of a message's type.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// CTA_FILTER_F_CTA_IP_SRC (`nf_internals.h`).
const IP_SOURCE: u32 = 1;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;

/// Asks for those that `host` answers. Linux before 5.8 knows no filter and tells of all.
pub fn dump_to(host: IpAddr) -> Message {
    Message::new(GET, DUMP, &body(host)).with(|message| {
        message.nest(CTA_TUPLE_REPLY, |tuple| tuple.nest(CTA_TUPLE_IP, |ip| ip.put_ip(source(host), host)));
        message.nest(CTA_FILTER, |filter| filter.put_u32(CTA_FILTER_REPLY_FLAGS, IP_SOURCE))
    })
}

/// What deletes one that was told of, if `host` answers it.
pub fn delete(reply: &[u8], host: IpAddr) -> Option<Message> {
    let attrs = reply.get(4..)?;
    let answers = find(find(attrs, CTA_TUPLE_REPLY)?, CTA_TUPLE_IP)?;
    find_ip(answers, source(host)).filter(|from| *from == host)?;
    let tuple = find(attrs, CTA_TUPLE_ORIG)?;
    Some(Message::new(DELETE, 0, &body(host)).with(|message| {
        message.nest(CTA_TUPLE_ORIG, |nested| nested.put_body(tuple));
        for kind in [CTA_ZONE, CTA_ID] {
            find(attrs, kind).into_iter().for_each(|value| {
                message.put(kind, value);
            });
        }
        message
    }))
}

fn source(host: IpAddr) -> u16 {
    if host.is_ipv4() { CTA_IP_V4_SRC } else { CTA_IP_V6_SRC }
}

/// `struct nfgenmsg`
fn body(host: IpAddr) -> [u8; 4] {
    [if host.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::netlink::message::HEADER;

    fn connection(answers: &str) -> Vec<u8> {
        let tuple = |message: &mut Message, kind: u16, host: IpAddr| {
            message.nest(kind, |tuple| tuple.nest(CTA_TUPLE_IP, |ip| ip.put_ip(source(host), host)));
        };
        let told = Message::new(GET, 0, &[2, 0, 0, 0]).with(|message| {
            tuple(message, CTA_TUPLE_ORIG, "192.168.1.25".parse().unwrap());
            tuple(message, CTA_TUPLE_REPLY, answers.parse().unwrap());
            message.put(CTA_ID, &[1, 2, 3, 4])
        });
        told.bytes()[HEADER..].to_vec()
    }

    #[test]
    fn only_what_the_guest_answers_is_deleted() {
        let host = "10.0.100.1".parse().unwrap();
        assert_eq!(delete(&connection("10.0.100.2"), host), None);
        let message = delete(&connection("10.0.100.1"), host).unwrap();
        let attrs = &message.bytes()[HEADER + 4..];
        assert_eq!(find(attrs, CTA_ID), Some(&[1, 2, 3, 4][..]));
        let told = connection("10.0.100.1");
        assert_eq!(find(attrs, CTA_TUPLE_ORIG), find(&told[4..], CTA_TUPLE_ORIG));
        assert_eq!(find(attrs, CTA_TUPLE_REPLY), None);
        for end in 0..told.len() - 8 {
            assert!(delete(&told[..end], host).is_none());
        }
    }
}
