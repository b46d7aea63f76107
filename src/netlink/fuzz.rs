//! Any bytes as what the kernel answers: each part is taken for an answer to everything that is ever asked.

use super::answers::Answers;
use super::message::{DUMP, HEADER, Message, u32_at};
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
