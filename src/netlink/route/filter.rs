//! Filters on interfaces: RTM_NEWQDISC, RTM_NEWTFILTER and their kin (`net/sched/sch_ingress.c`, `cls_bpf.c`).

use crate::model::{Filter, Instruction};
use crate::netlink::message::{ACK, CREATE, ECHO, EXCL, Message, find, find_u32};

const NEWQDISC: u16 = 36;
const DELQDISC: u16 = 37;
const GETQDISC: u16 = 38;
const NEWTFILTER: u16 = 44;
const DELTFILTER: u16 = 45;
const GETTFILTER: u16 = 46;
/// TC_H_CLSACT, the place of `clsact` and of `ingress`.
const CLSACT: u32 = 0xffff_fff1;
/// TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) and TC_H_MIN_EGRESS.
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// The handle of the qdisc itself.
const HANDLE: u32 = 0xffff_0000;
/// The first preference there is; other filters come later.
const PREFERENCE: u32 = 1;
const ETH_P_ALL: u16 = 3;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;
/// TCA_BPF_FLAG_ACT_DIRECT: what the program returns is the verdict.
const DIRECT: u32 = 1;
/// The length of `struct tcmsg`.
const BODY: usize = 20;

/// `struct tcmsg`.
fn body(index: u32, handle: u32, parent: u32, info: u32) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&handle.to_ne_bytes());
    body[12..16].copy_from_slice(&parent.to_ne_bytes());
    body[16..20].copy_from_slice(&info.to_ne_bytes());
    body
}

/// Makes the place for filters, or takes it away with all that is in it.
pub fn set_clsact(index: u32, on: bool) -> Message {
    let body = body(index, HANDLE, CLSACT, 0);
    if !on {
        return Message::new(DELQDISC, 0, &body);
    }
    Message::new(NEWQDISC, CREATE | EXCL, &body).with(|qdisc| qdisc.put_str(TCA_KIND, "clsact"))
}

/// Asks whether an interface has a place for filters. The kernel answers as if it told of a change, which it does to who
/// wants an echo; where there is none, it says nothing unless it is asked to acknowledge.
pub fn get_clsact(index: u32) -> Message {
    Message::new(GETQDISC, ACK | ECHO, &body(index, HANDLE, CLSACT, 0))
}

/// Puts a filter on an interface, or takes it off.
pub fn set(index: u32, filter: Filter, on: bool) -> Message {
    if !on {
        return of(DELTFILTER, 0, index, filter);
    }
    of(NEWTFILTER, CREATE | EXCL, index, filter).with(|message| {
        message.put_str(TCA_KIND, "bpf").nest(TCA_OPTIONS, |options| {
            options.put_u32(TCA_BPF_FLAGS, DIRECT);
            options.put(TCA_BPF_OPS_LEN, &(filter.program().len() as u16).to_ne_bytes());
            options.put(TCA_BPF_OPS, &program(filter))
        })
    })
}

/// Asks for a filter.
pub fn get(index: u32, filter: Filter) -> Message {
    of(GETTFILTER, 0, index, filter)
}

fn of(kind: u16, flags: u16, index: u32, filter: Filter) -> Message {
    let parent = if filter.is_egress() { EGRESS } else { INGRESS };
    let info = PREFERENCE << 16 | u32::from(ETH_P_ALL.to_be());
    Message::new(kind, flags, &body(index, 1, parent, info))
}

/// `struct sock_filter`, one after another.
fn program(filter: Filter) -> Vec<u8> {
    let bytes = |(code, jt, jf, k): &Instruction| {
        let [a, b] = code.to_ne_bytes();
        [&[a, b, *jt, *jf], &k.to_ne_bytes()[..]].concat()
    };
    filter.program().iter().flat_map(bytes).collect()
}

/// Whether a reply is this very filter, and not another one in its place.
pub fn is(reply: &[u8], filter: Filter) -> bool {
    let options = reply.get(BODY..).and_then(|attrs| find(attrs, TCA_OPTIONS)).unwrap_or_default();
    let is_direct = find_u32(options, TCA_BPF_FLAGS) == Some(DIRECT);
    is_direct && find(options, TCA_BPF_OPS) == Some(program(filter).as_slice())
}
