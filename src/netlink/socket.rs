//! One netlink socket: several requests in one send, and their replies.

use std::io;

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use nix::libc;
use thiserror::Error;

use super::message::{HEADER, Message, attributes, text, u16_at, u32_at};
use crate::signals;

/// NLM_F_REQUEST.
pub const REQUEST: u16 = 0x1;
/// NLM_F_ACK.
pub const ACK: u16 = 0x4;
/// NLM_F_DUMP.
pub const DUMP: u16 = 0x300;
/// NLM_F_CREATE.
pub const CREATE: u16 = 0x400;
/// NLM_F_EXCL.
pub const EXCL: u16 = 0x200;
/// NLM_F_REPLACE.
pub const REPLACE: u16 = 0x100;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_MULTI: u16 = 0x2;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The largest reply: a part of a dump, as large as the kernel makes them (`netlink_dump`).
const BUFFER: usize = 32 * 1024;

/// A refusal of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct KernelError {
    /// The errno.
    pub errno: i32,
    /// The kernel's own sentence (NLMSGERR_ATTR_MSG); empty where it has none.
    pub message: String,
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", nix::errno::Errno::from_raw(self.errno))?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// What the kernel said to each request, in order: None is success.
pub type Outcome = Vec<Option<KernelError>>;

/// An exchange that broke off.
#[derive(Debug, Error)]
pub enum Broken {
    /// Before anything was sent: nothing happened.
    #[error(transparent)]
    Unsent(io::Error),
    /// After the send: everything happened, but what the kernel said to it is lost.
    #[error(transparent)]
    Unanswered(io::Error),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unsent(error) | Broken::Unanswered(error) => error,
        }
    }
}

/// Gets each reply: the number of the request and the body, without the header.
pub type OnReply<'a> = &'a mut dyn FnMut(usize, &[u8]);

/// A netlink socket.
pub struct Socket {
    inner: NlSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of `family` that asks for the kernel's own words in errors.
    pub fn open(family: NlFamily) -> io::Result<Self> {
        let inner = NlSocket::new(family)?;
        inner.enable_ext_ack(true)?;
        Ok(Self { inner, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Lets dumps be filtered (NETLINK_GET_STRICT_CHK).
    pub fn filter_dumps(&self) -> io::Result<()> {
        self.inner.enable_strict_checking(true)
    }

    /// Subscribes to a multicast group (RTNLGRP_*).
    pub fn join(&self, group: u32) -> io::Result<()> {
        self.inner.add_mcast_membership(Groups::new_groups(&[group]))
    }

    /// The next message that nobody asked for, with a bounded wait; None when the time is over.
    pub fn event(&mut self, wait: nix::poll::PollTimeout) -> io::Result<Option<(u16, &[u8])>> {
        use nix::poll::{PollFd, PollFlags, poll};
        use std::os::fd::{AsRawFd, BorrowedFd};
        // SAFETY: the descriptor belongs to `self.inner`, which outlives the borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) };
        if poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], wait)? == 0 {
            return Ok(None);
        }
        let (length, _) = self.inner.recv(&mut self.buffer[..], Msg::DONTWAIT)?;
        let message = self.buffer.get(..length).unwrap_or_default();
        Ok(u16_at(message, 4).map(|kind| (kind, message.get(HEADER..).unwrap_or_default())))
    }

    /// Sends all of `requests` in one message and reads until the last of them is answered.
    ///
    /// A request is over with its reply (a get), its error or acknowledgement, or the end of its dump; one
    /// without NLM_F_ACK that asks for nothing is silent on success, and over with those behind it, so the
    /// last must ask for something.
    ///
    /// All replies but a dump's are queued before the send returns (`netlink_rcv_skb`), so nothing waits.
    pub fn exchange(&mut self, requests: &mut [Message], on_reply: OnReply) -> Result<Outcome, Broken> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.iter().map(|request| request.bytes().len()).sum());
        for request in requests.iter_mut() {
            self.sequence = self.sequence.wrapping_add(1);
            request.set_sequence(self.sequence);
            bytes.extend_from_slice(request.bytes());
        }
        uninterrupted(|| self.inner.send(&bytes[..], Msg::empty())).map_err(Broken::Unsent)?;
        let mut answers = Answers::new(requests, first);
        while !answers.complete() {
            let received =
                uninterrupted(|| self.inner.recv(&mut self.buffer[..], Msg::DONTWAIT | Msg::TRUNC));
            let length = match received {
                Ok((length, _)) => length,
                // An nf_tables batch that fails as a whole is answered on its first message alone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && answers.failed() => break,
                Err(error) => return Err(Broken::Unanswered(error)),
            };
            let too_long = || Broken::Unanswered(io::Error::from_raw_os_error(libc::EMSGSIZE));
            answers.read(self.buffer.get(..length).ok_or_else(too_long)?, on_reply);
        }
        Ok(answers.outcome)
    }

    /// Makes one dump and collects what `parse` makes of its replies.
    pub fn dump<T>(&mut self, request: Message, parse: impl Fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
        let mut found = Vec::new();
        let outcome = self.exchange(&mut [request], &mut |_, reply| found.extend(parse(reply)))?;
        match outcome.into_iter().flatten().next() {
            Some(error) => Err(io::Error::from_raw_os_error(error.errno)),
            None => Ok(found),
        }
    }
}

/// Repeats a call that a signal interrupted before it began, as long as there is time.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !signals::is_expired() => {}
            result => return result,
        }
    }
}

/// The requests that still wait for an answer.
struct Answers {
    first: u32,
    open: Vec<bool>,
    outcome: Outcome,
}

impl Answers {
    fn new(requests: &[Message], first: u32) -> Self {
        let asks = |request: &Message| {
            u16_at(request.bytes(), 6).is_some_and(|flags| flags & ACK != 0 || is_get(request))
        };
        Self { first, open: requests.iter().map(asks).collect(), outcome: vec![None; requests.len()] }
    }

    fn failed(&self) -> bool {
        self.outcome.iter().any(Option::is_some)
    }

    fn complete(&self) -> bool {
        !self.open.contains(&true)
    }

    /// Reads the messages of one datagram.
    fn read(&mut self, mut part: &[u8], on_reply: OnReply) {
        while let (Some(length), Some(kind), Some(flags), Some(sequence)) =
            (u32_at(part, 0), u16_at(part, 4), u16_at(part, 6), u32_at(part, 8))
        {
            let length = length as usize;
            let Some(body) = part.get(HEADER..length) else { break };
            part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
            let number = sequence.wrapping_sub(self.first) as usize;
            if number >= self.open.len() {
                continue;
            }
            match kind {
                NLMSG_ERROR => self.close(number, error(body, flags)),
                NLMSG_DONE => self.close(number, done(body)),
                _ => {
                    on_reply(number, body);
                    if flags & NLM_F_MULTI == 0 {
                        self.close(number, None);
                    }
                }
            }
        }
    }

    fn close(&mut self, number: usize, error: Option<KernelError>) {
        if let Some(outcome) = self.outcome.get_mut(number) {
            *outcome = outcome.take().or(error);
        }
        if let Some(open) = self.open.get_mut(number) {
            *open = false;
        }
    }
}

/// Gets are answered without an acknowledgement; in both families their types are told by the numbers.
fn is_get(request: &Message) -> bool {
    let kind = u16_at(request.bytes(), 4).unwrap_or_default();
    match kind >> 8 {
        // rtnetlink: four types for each object, the third is the get (`include/uapi/linux/rtnetlink.h`).
        0 => kind & 3 == 2,
        // nf_tables: GETTABLE, GETCHAIN, GETRULE, …: new, get, delete in turn.
        _ => matches!(kind & 0xff, 1 | 4 | 7),
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
    Some(KernelError { errno: -errno, message: message.flatten().unwrap_or_default() })
}

/// A dump that failed says so in its last message.
fn done(body: &[u8]) -> Option<KernelError> {
    let errno = u32_at(body, 0).map(|number| number as i32).filter(|errno| *errno < 0)?;
    Some(KernelError { errno: -errno, message: String::new() })
}
