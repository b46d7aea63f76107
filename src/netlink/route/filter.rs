//! Filters on interfaces: RTM_NEWQDISC, RTM_NEWTFILTER and their kin (`net/sched/sch_ingress.c`, `cls_bpf.c`).

use crate::model::{Filter, Instruction, Program};
use crate::netlink::message::{ACK, CREATE, DUMP, ECHO, EXCL, Message, REPLACE, find, find_u32, u32_at};

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
/// That of a guest's own filter.
const OF_GUEST: u32 = 2;
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
    // A filter of other subnets is replaced, and at no moment is there none.
    let flags = if filter.is_of_subnets() { CREATE } else { CREATE | EXCL };
    with_program(of(NEWTFILTER, flags, index, filter), &filter.program())
}

fn with_program(message: Message, program: &[Instruction]) -> Message {
    message.with(|message| {
        message.put_str(TCA_KIND, "bpf").nest(TCA_OPTIONS, |options| {
            options.put_u32(TCA_BPF_FLAGS, DIRECT);
            options.put(TCA_BPF_OPS_LEN, &(program.len() as u16).to_ne_bytes());
            options.put(TCA_BPF_OPS, &bytes(program))
        })
    })
}

/// Puts a guest's own filter on its tap, also in the place of another one: there is no moment without either.
pub fn put_guest(index: u32, program: &[Instruction]) -> Message {
    with_program(at(NEWTFILTER, CREATE | REPLACE, index, INGRESS, OF_GUEST), program)
}

/// Takes a guest's own filter off.
pub fn delete_guest(index: u32) -> Message {
    at(DELTFILTER, 0, index, INGRESS, OF_GUEST)
}

/// Asks for the filters of what comes in. A dump: a get has no room for a long program on most kernels (NLMSG_GOODSIZE).
pub fn dump(index: u32) -> Message {
    Message::new(GETTFILTER, DUMP, &body(index, 0, INGRESS, 0))
}

/// The program of a guest's own filter, empty where another kind of filter is in its place; None for one that is elsewhere.
pub fn parse_guest(reply: &[u8]) -> Option<Program> {
    let number = |at| u32_at(reply, at);
    let is_it = number(8) == Some(1) && number(12) == Some(INGRESS) && number(16)? >> 16 == OF_GUEST;
    is_it.then(|| parse(reply))
}

fn parse(reply: &[u8]) -> Program {
    let options = reply.get(BODY..).and_then(|attrs| find(attrs, TCA_OPTIONS)).unwrap_or_default();
    let is_direct = find_u32(options, TCA_BPF_FLAGS) == Some(DIRECT);
    let program = find(options, TCA_BPF_OPS).filter(|_| is_direct).unwrap_or_default();
    let instruction = |bytes: &[u8]| match *bytes {
        [a, b, jt, jf, c, d, e, f] => {
            Some((u16::from_ne_bytes([a, b]), jt, jf, u32::from_ne_bytes([c, d, e, f])))
        }
        _ => None,
    };
    program.chunks(8).filter_map(instruction).collect()
}

/// Asks for a filter.
pub fn get(index: u32, filter: Filter) -> Message {
    of(GETTFILTER, 0, index, filter)
}

fn of(kind: u16, flags: u16, index: u32, filter: Filter) -> Message {
    let parent = if filter.is_egress() { EGRESS } else { INGRESS };
    at(kind, flags, index, parent, filter.preference())
}

fn at(kind: u16, flags: u16, index: u32, parent: u32, preference: u32) -> Message {
    let info = preference << 16 | u32::from(ETH_P_ALL.to_be());
    Message::new(kind, flags, &body(index, 1, parent, info))
}

/// `struct sock_filter`, one after another.
fn bytes(program: &[Instruction]) -> Vec<u8> {
    let bytes = |(code, jt, jf, k): &Instruction| {
        let [a, b] = code.to_ne_bytes();
        [&[a, b, *jt, *jf], &k.to_ne_bytes()[..]].concat()
    };
    program.iter().flat_map(bytes).collect()
}

/// Whether a reply is this very filter, and not another one in its place.
pub fn is(reply: &[u8], filter: Filter) -> bool {
    let options = reply.get(BODY..).and_then(|attrs| find(attrs, TCA_OPTIONS)).unwrap_or_default();
    let is_direct = find_u32(options, TCA_BPF_FLAGS) == Some(DIRECT);
    is_direct && find(options, TCA_BPF_OPS) == Some(bytes(&filter.program()).as_slice())
}
