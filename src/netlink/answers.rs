//! What the kernel says to several requests of one send, told apart by their numbers.

use nix::libc;

use super::message::{ACK, HEADER, Message, attributes, text, u16_at, u32_at};
use super::socket::{KernelError, OnReply, Outcome};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_MULTI: u16 = 0x2;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// What is known of each request of a send.
pub(super) struct Answers {
    first: u32,
    all: Vec<Answer>,
}

struct Answer {
    /// It is still waited for.
    is_open: bool,
    /// A change came between two parts of the reply.
    is_interrupted: bool,
    error: Option<KernelError>,
}

impl Answers {
    pub(super) fn new(requests: &[Message], first: u32) -> Self {
        let answer = |request: &Message| Answer {
            is_open: request.flags() & ACK != 0 || is_get(request) || request.is_dump(),
            is_interrupted: false,
            error: None,
        };
        Self { first, all: requests.iter().map(answer).collect() }
    }

    pub(super) fn failed(&self) -> bool {
        self.all.iter().any(|answer| answer.error.is_some())
    }

    pub(super) fn complete(&self) -> bool {
        !self.all.iter().any(|answer| answer.is_open)
    }

    /// An error that the kernel named counts more than that it was interrupted.
    pub(super) fn outcome(self) -> Outcome {
        let interrupted = || KernelError { errno: libc::EINTR, message: String::new() };
        let error = |answer: Answer| answer.error.or_else(|| answer.is_interrupted.then(interrupted));
        self.all.into_iter().map(error).collect()
    }

    /// Reads the messages of one datagram.
    pub(super) fn read(&mut self, mut part: &[u8], on_reply: OnReply) {
        while let (Some(length), Some(kind), Some(flags), Some(sequence)) =
            (u32_at(part, 0), u16_at(part, 4), u16_at(part, 6), u32_at(part, 8))
        {
            let length = length as usize;
            let Some(body) = part.get(HEADER..length) else { break };
            part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
            let number = sequence.wrapping_sub(self.first) as usize;
            let Some(answer) = self.all.get_mut(number) else { continue };
            answer.is_interrupted |= flags & NLM_F_DUMP_INTR != 0;
            match kind {
                NLMSG_ERROR => answer.close(error(body, flags)),
                NLMSG_DONE => answer.close(done(body)),
                _ => {
                    on_reply(number, body);
                    if flags & NLM_F_MULTI == 0 {
                        answer.close(None);
                    }
                }
            }
        }
    }
}

impl Answer {
    fn close(&mut self, error: Option<KernelError>) {
        self.error = self.error.take().or(error);
        self.is_open = false;
    }
}

/// Gets are answered without an acknowledgement; in both families their types are told by the numbers.
fn is_get(request: &Message) -> bool {
    let kind = u16_at(request.bytes(), 4).unwrap_or_default();
    match kind >> 8 {
        // rtnetlink: four types for each object, the third is the get (`include/uapi/linux/rtnetlink.h`).
        0 => kind & 3 == 2,
        // ctnetlink: new, get, delete.
        1 => kind & 0xff == 1,
        // nf_tables: GETTABLE, GETCHAIN, GETRULE, GETSET, GETSETELEM: new, get, delete in turn.
        _ => matches!(kind & 0xff, 1 | 4 | 7 | 10 | 13),
    }
}

fn error(body: &[u8], flags: u16) -> Option<KernelError> {
    let errno = u32_at(body, 0)? as i32;
    if errno == 0 {
        return None;
    }
    let request = if flags & NLM_F_CAPPED != 0 { HEADER } else { u32_at(body, 4)? as usize };
    let attributes_at = 4 + request.next_multiple_of(4);
    let message = (flags & NLM_F_ACK_TLVS != 0).then(|| {
        let mut found = attributes(body.get(attributes_at..).unwrap_or_default());
        found.find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG).map(|(_, value)| text(value))
    });
    Some(KernelError { errno: positive(errno), message: message.flatten().unwrap_or_default() })
}

/// A dump that failed says so in its last message.
fn done(body: &[u8]) -> Option<KernelError> {
    let errno = u32_at(body, 0).map(|number| number as i32).filter(|errno| *errno < 0)?;
    Some(KernelError { errno: positive(errno), message: String::new() })
}

/// The kernel tells errors as negative numbers, down to -4095 (MAX_ERRNO).
fn positive(errno: i32) -> i32 {
    errno.checked_neg().unwrap_or(libc::EPROTO)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::netlink::message::DUMP;

    const GETLINK: u16 = 18;
    const SETLINK: u16 = 19;
    const NEWLINK: u16 = 16;

    /// A message as the kernel sends it, for the request of this number.
    fn reply(kind: u16, flags: u16, number: u32, body: &[u8]) -> Vec<u8> {
        let mut message = Message::new(kind, flags, body);
        message.set_sequence(number);
        message.bytes().to_vec()
    }

    fn no_error(number: u32, flags: u16) -> Vec<u8> {
        reply(NLMSG_DONE, NLM_F_MULTI | flags, number, &[0; 4])
    }

    /// What comes of one dump whose parts are these.
    fn dump(parts: &[Vec<u8>]) -> (usize, Option<i32>) {
        let mut answers = Answers::new(&[Message::new(GETLINK, DUMP, &[0; 16])], 1);
        let mut replies = 0;
        parts.iter().for_each(|part| answers.read(part, &mut |_, _| replies += 1));
        assert!(answers.complete());
        let outcome = answers.outcome();
        (replies, outcome.into_iter().next().unwrap().map(|error| error.errno))
    }

    #[test]
    fn a_dump_that_was_cut_through_says_so() {
        let link = |flags| reply(NEWLINK, NLM_F_MULTI | flags, 1, &[0; 16]);
        assert_eq!(dump(&[link(0), link(0), no_error(1, 0)]), (2, None));
        assert_eq!(dump(&[link(0), link(NLM_F_DUMP_INTR), no_error(1, 0)]), (2, Some(libc::EINTR)));
        assert_eq!(
            dump(&[[link(NLM_F_DUMP_INTR), link(0)].concat(), no_error(1, 0)]),
            (2, Some(libc::EINTR))
        );
        assert_eq!(dump(&[link(0), no_error(1, NLM_F_DUMP_INTR)]), (1, Some(libc::EINTR)));
        // nf_tables may say it in so many words.
        let errno = |errno: i32| reply(NLMSG_DONE, NLM_F_MULTI, 1, &(-errno).to_ne_bytes());
        assert_eq!(dump(&[link(0), errno(libc::EINTR)]), (1, Some(libc::EINTR)));
        assert_eq!(dump(&[link(NLM_F_DUMP_INTR), errno(libc::ENOMEM)]), (1, Some(libc::ENOMEM)));
    }

    #[test]
    fn an_interruption_is_that_dumps_alone() {
        let get = |flags| Message::new(GETLINK, flags, &[0; 16]);
        let mut answers = Answers::new(&[get(0), get(DUMP)], 1);
        answers.read(&reply(NEWLINK, 0, 1, &[0; 16]), &mut |_, _| {});
        answers.read(&reply(NEWLINK, NLM_F_MULTI | NLM_F_DUMP_INTR, 2, &[0; 16]), &mut |_, _| {});
        answers.read(&no_error(2, 0), &mut |_, _| {});
        let interrupted = |error: Option<KernelError>| error.is_some_and(|error| error.is_interrupted());
        assert_eq!(answers.outcome().into_iter().map(interrupted).collect::<Vec<_>>(), [false, true]);
    }

    /// A change whose acknowledgement is lost is not done, whatever is known of those before it.
    #[test]
    fn an_error_of_one_is_not_the_answer_of_another() {
        let set = |flags| Message::new(SETLINK, flags, &[0; 16]);
        let mut answers = Answers::new(&[set(0), set(ACK)], 1);
        let refusal = [(-libc::ENODEV).to_ne_bytes().to_vec(), vec![0; 16]].concat();
        answers.read(&reply(NLMSG_ERROR, NLM_F_CAPPED, 1, &refusal), &mut |_, _| {});
        assert!(answers.failed() && !answers.complete());
    }

    /// The least number there is has no positive one.
    #[test]
    fn an_error_that_no_kernel_tells_is_one() {
        let refusal = [i32::MIN.to_ne_bytes().to_vec(), vec![0; 16]].concat();
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let mut answers = Answers::new(&[Message::new(GETLINK, DUMP, &[0; 16])], 1);
            answers.read(&reply(kind, NLM_F_CAPPED, 1, &refusal), &mut |_, _| {});
            assert!(answers.complete() && answers.failed());
        }
    }

    /// What is cut, anywhere, is waited for, and nothing is made up of it.
    #[test]
    fn a_cut_answer_is_not_an_answer() {
        let link = |at: u8| reply(NEWLINK, NLM_F_MULTI, 1, &[at; 16]);
        let whole = [link(7), link(8), no_error(1, 0)].concat();
        for end in 0..whole.len() {
            let mut answers = Answers::new(&[Message::new(GETLINK, DUMP, &[0; 16])], 1);
            let mut replies = Vec::new();
            answers.read(&whole[..end], &mut |_, reply| replies.push(reply.to_vec()));
            assert!(!answers.complete() && [vec![7; 16], vec![8; 16]].starts_with(&replies), "{end}");
        }
    }
}
