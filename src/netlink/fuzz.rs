//! Any bytes as what the kernel answers: each part is taken for an answer to everything that is ever asked.

use super::answers::Answers;
use super::message::{DUMP, HEADER, Message, u16_at, u32_at};
use super::{nft as nf_tables, route as rtnetlink};

/// As many requests are open.
const REQUESTS: usize = 4;

/// A datagram of rtnetlink's.
pub(crate) fn route(data: &[u8]) {
    datagram(data, Message::new(18u16, DUMP, &[0; 16]), |reply| drop(rtnetlink::fuzz::read(reply)));
}

/// A datagram of nf_tables'.
pub(crate) fn nft(data: &[u8]) {
    datagram(data, Message::new(0x0a01u16, DUMP, &[0; 4]), |reply| drop(nf_tables::fuzz::read(reply)));
}

/// Whatever it is, it ends, answers no request that was not made, and says less where it is cut.
fn datagram(data: &[u8], request: Message, parse: impl Fn(&[u8])) {
    let first = u32_at(data, 8).unwrap_or(1);
    let read = |data: &[u8]| {
        let mut answers = Answers::new(&vec![request.clone(); REQUESTS], first);
        let mut replies = Vec::new();
        answers.read(data, &mut |number, reply| replies.push((number, reply.to_vec())));
        assert_eq!(answers.outcome().len(), REQUESTS);
        replies
    };
    let whole = read(data);
    assert!(whole.len() <= data.len() / HEADER && whole.iter().all(|(number, _)| *number < REQUESTS));
    whole.iter().for_each(|(_, reply)| parse(reply));
    for part in parts(data) {
        assert!(whole.starts_with(&read(part)));
    }
    // And what no header says is one.
    parse(data.get(HEADER..).unwrap_or_default());
}

/// The beginning of it, cut at places that its content says, so that each case is always the same.
fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let seed = data.iter().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    (0..4).map(move |number| &data[..seed.rotate_left(number * 13) % data.len().max(1)])
}

/// Several datagrams in one stream: the first two bytes say how long each is. A dump that a change cut through, or that the kernel gave up,
/// is never taken for the whole.
pub(crate) fn dumps(data: &[u8]) {
    let Some((sizes, stream)) = data.split_first_chunk::<2>() else { return };
    let mut answers = Answers::new(&vec![Message::new(18u16, DUMP, &[0; 16]); REQUESTS], 1);
    let mut sizes = sizes.iter().map(|size| usize::from(*size) * 4).cycle();
    let (mut rest, mut heard) = (stream, Vec::new());
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or_default().clamp(HEADER, rest.len().max(HEADER));
        let (datagram, next) = rest.split_at(size.min(rest.len()));
        rest = next;
        let was_complete = answers.complete();
        answers.read(datagram, &mut |number, _| assert!(number < REQUESTS));
        assert!(answers.complete() || !was_complete, "what is answered stays so");
        heard.extend(messages(datagram));
    }
    for (number, error) in answers.outcome().into_iter().enumerate() {
        let mut own = heard.iter().filter(|message| message.sequence.wrapping_sub(1) as usize == number);
        let is_cut = own.any(|message| message.flags & 0x10 != 0 || message.kind == 3 && message.status < 0);
        assert!(!is_cut || error.is_some(), "request {number} was not answered in full");
    }
}

/// What matters of a message.
struct Heard {
    kind: u16,
    flags: u16,
    sequence: u32,
    status: i32,
}

/// The messages of a datagram, walked along in another way than where it counts.
fn messages(datagram: &[u8]) -> Vec<Heard> {
    let mut found = Vec::new();
    let mut at = 0;
    while let (Some(length), Some(kind), Some(flags), Some(sequence)) =
        (u32_at(datagram, at), u16_at(datagram, at + 4), u16_at(datagram, at + 6), u32_at(datagram, at + 8))
    {
        let length = length as usize;
        if length < HEADER || at + length > datagram.len() {
            break;
        }
        let status = if length >= HEADER + 4 { u32_at(datagram, at + HEADER) } else { None };
        found.push(Heard { kind, flags, sequence, status: status.unwrap_or_default() as i32 });
        at += length.next_multiple_of(4);
    }
    found
}
