//! One netlink socket: several requests in one send, and their replies.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use nix::errno::Errno;
use nix::libc;
use thiserror::Error;

use super::answers::Answers;
use super::message::Message;
use crate::signals;

/// The largest reply: a part of a dump, as large as the kernel makes them (`netlink_dump`).
const BUFFER: usize = 32 * 1024;
/// How often a dump is made until no change comes between two of its parts.
const TRIES: usize = 64;
/// More than a refusal takes of the receive buffer: the request, the kernel's sentence, the buffer's own head.
const REFUSAL: usize = 4 * 1024;

/// What a socket sends at once without being asked for more room (`net.core.wmem_default` is 208 KiB).
const SEND: usize = 150 * 1024;

/// A refusal of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct KernelError {
    /// The errno.
    pub errno: i32,
    /// The kernel's own sentence (NLMSGERR_ATTR_MSG); empty where it has none.
    pub message: String,
}

impl KernelError {
    pub fn errno(&self) -> Errno {
        Errno::from_raw(self.errno)
    }

    /// Whether what was read is not of one moment: a change came in between (NLM_F_DUMP_INTR; nf_tables: EINTR).
    pub fn is_interrupted(&self) -> bool {
        self.errno == libc::EINTR
    }
}

impl From<KernelError> for io::Error {
    fn from(error: KernelError) -> Self {
        io::Error::from_raw_os_error(error.errno)
    }
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.errno())?;
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

/// Reads until what was read is of one moment, a few times at most. `read` gives None where a change came in between.
pub fn of_one_moment<T>(mut read: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    for _ in 0..TRIES {
        if let Some(whole) = read()? {
            return Ok(whole);
        }
    }
    Err(io::Error::other(format!("it was changed each of the {TRIES} times that it was read")))
}

/// A netlink socket.
pub struct Socket {
    inner: NlSocket,
    sequence: u32,
    buffer: Vec<u8>,
    /// For how many bytes of refusals room was made.
    room: usize,
}

impl Socket {
    /// Opens a socket of `family`.
    pub fn bare(family: NlFamily) -> io::Result<Self> {
        Ok(Self { inner: NlSocket::new(family)?, sequence: 0, buffer: vec![0; BUFFER], room: 0 })
    }

    /// The same, one that asks for the kernel's own words in errors.
    pub fn open(family: NlFamily) -> io::Result<Self> {
        let socket = Self::bare(family)?;
        socket.inner.enable_ext_ack(true)?;
        Ok(socket)
    }

    /// Lets dumps be filtered (NETLINK_GET_STRICT_CHK).
    pub fn filter_dumps(&self) -> io::Result<()> {
        self.inner.enable_strict_checking(true)
    }

    /// Subscribes to multicast groups (RTNLGRP_*). A socket without an address of its own would not hear what the kernel
    /// does by itself, such as an IPv6 address coming into use (`do_one_broadcast`).
    pub fn join(&self, groups: &[u32]) -> io::Result<()> {
        self.inner.bind(None, Groups::empty())?;
        self.inner.add_mcast_membership(Groups::new_groups(groups))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor belongs to `self.inner`, which outlives the borrow.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }

    /// Takes the next message that nobody asked for, with a bounded wait; false when the time is over.
    pub fn event(&mut self, wait: nix::poll::PollTimeout) -> io::Result<bool> {
        use nix::poll::{PollFd, PollFlags, poll};
        if poll(&mut [PollFd::new(self.fd(), PollFlags::POLLIN)], wait)? == 0 {
            return Ok(false);
        }
        self.take()?;
        Ok(true)
    }

    /// Takes the next datagram of the kernel's, and tells how long it was. None is for one of another process, which may
    /// send here if it has rights over the network, and would be believed.
    fn take(&mut self) -> io::Result<Option<usize>> {
        // SAFETY: a `sockaddr_nl` is plain numbers, for which zero is a value.
        let mut sender = unsafe { std::mem::zeroed::<libc::sockaddr_nl>() };
        let mut size = size_of_val(&sender) as libc::socklen_t;
        let (fd, flags) = (self.inner.as_raw_fd(), libc::MSG_DONTWAIT | libc::MSG_TRUNC);
        let (bytes, room) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
        // SAFETY: both pointers are to values of these lengths that outlive the call.
        let length =
            unsafe { libc::recvfrom(fd, bytes, room, flags, (&raw mut sender).cast(), &raw mut size) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        Ok((sender.nl_pid == 0).then_some(length))
    }

    /// Makes room for so many refusals at once. False where that needs more rights than there are.
    pub fn make_room(&mut self, refusals: usize) -> bool {
        let wanted = refusals.saturating_mul(REFUSAL);
        if self.room < wanted && self.set_buffer(libc::SO_RCVBUFFORCE, wanted) {
            self.room = wanted;
        }
        self.room >= wanted
    }

    /// SO_RCVBUFFORCE or SO_SNDBUFFORCE, which no limit of the machine's cuts.
    fn set_buffer(&self, option: libc::c_int, bytes: usize) -> bool {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        let length = size_of_val(&bytes) as libc::socklen_t;
        let (fd, value) = (self.inner.as_raw_fd(), (&raw const bytes).cast());
        // SAFETY: the pointer is to a value of this length that outlives the call.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, length) == 0 }
    }

    /// Sends all of `requests` in one message and reads until the last of them is answered.
    ///
    /// A request is over with its reply (a get), its error or acknowledgement, or the end of its dump; one
    /// without NLM_F_ACK that asks for nothing is silent on success, and over with those behind it, so the
    /// last must ask for something. A refusal that found no room is told (ENOBUFS), so silence is success.
    ///
    /// All replies but a dump's are queued before the send returns (`netlink_rcv_skb`), so nothing waits.
    pub fn exchange(&mut self, requests: &mut [Message], on_reply: OnReply) -> Result<Outcome, Broken> {
        self.converse(requests, false, on_reply)
    }

    /// The same for nf_tables, which may refuse a send as a whole: that is told of its first message alone.
    pub fn exchange_batch(&mut self, requests: &mut [Message], on_reply: OnReply) -> Result<Outcome, Broken> {
        self.converse(requests, true, on_reply)
    }

    fn converse(
        &mut self,
        requests: &mut [Message],
        is_batch: bool,
        on_reply: OnReply,
    ) -> Result<Outcome, Broken> {
        let mut answers = self.send(requests)?;
        let result = self.collect(&mut answers, is_batch, on_reply);
        if let Err(error) = result {
            self.drain();
            return Err(Broken::Unanswered(error));
        }
        Ok(answers.outcome())
    }

    fn send(&mut self, requests: &mut [Message]) -> Result<Answers, Broken> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(requests.iter().map(|request| request.bytes().len()).sum());
        for request in requests.iter_mut() {
            self.sequence = self.sequence.wrapping_add(1);
            request.set_sequence(self.sequence);
            bytes.extend_from_slice(request.bytes());
        }
        if bytes.len() > SEND {
            // Where that is not allowed, the send itself will say so.
            let _ = self.set_buffer(libc::SO_SNDBUFFORCE, bytes.len());
        }
        uninterrupted(|| self.inner.send(&bytes[..], Msg::empty())).map_err(Broken::Unsent)?;
        // Room for the answers: the heap of a hook need not grow.
        drop(bytes);
        Ok(Answers::new(requests, first))
    }

    fn collect(&mut self, answers: &mut Answers, is_batch: bool, on_reply: OnReply) -> io::Result<()> {
        while !answers.complete() {
            match self.receive(answers, on_reply) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_batch && answers.failed() => {
                    break;
                }
                result => result?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, answers: &mut Answers, on_reply: OnReply) -> io::Result<()> {
        let Some(length) = uninterrupted(|| self.take())? else {
            // Somebody may send without end.
            return if signals::is_expired() { Err(Errno::EINTR.into()) } else { Ok(()) };
        };
        let too_long = || io::Error::from_raw_os_error(libc::EMSGSIZE);
        answers.read(self.buffer.get(..length).ok_or_else(too_long)?, on_reply);
        Ok(())
    }

    /// Reads what is left of an exchange that broke off: a socket that overran takes no reply until it is empty, and one
    /// with half a dump none of another.
    fn drain(&mut self) {
        let overran = |error: &io::Error| error.raw_os_error() == Some(libc::ENOBUFS);
        while !signals::is_expired() {
            match uninterrupted(|| self.take()) {
                Err(error) if !overran(&error) => return,
                _ => {}
            }
        }
    }

    /// Makes one dump as far as `wants_more` says. The kernel forgets the rest of it with the socket.
    pub fn dump_while(
        mut self,
        mut request: Message,
        mut wants_more: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), KernelError> {
        let system = |error: io::Error| KernelError {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            message: String::new(),
        };
        let sent = self.send(std::slice::from_mut(&mut request));
        let mut answers = sent.map_err(|broken| system(broken.into()))?;
        let mut goes_on = true;
        while goes_on && !answers.complete() {
            self.receive(&mut answers, &mut |_, reply| goes_on = goes_on && wants_more(reply))
                .map_err(system)?;
        }
        answers.outcome().into_iter().flatten().next().map_or(Ok(()), Err)
    }

    /// Makes one dump and collects what `parse` makes of its replies. One that a change cuts through is made again.
    pub fn dump<T>(
        &mut self,
        mut request: Message,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        of_one_moment(|| {
            let mut found = Vec::new();
            let outcome = self
                .exchange(std::slice::from_mut(&mut request), &mut |_, reply| found.extend(parse(reply)))?;
            match outcome.into_iter().flatten().next() {
                Some(error) if error.is_interrupted() => Ok(None),
                Some(error) => Err(error.into()),
                None => Ok(Some(found)),
            }
        })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_keeps_changing_is_given_up() {
        let mut tries = 0;
        let error = of_one_moment::<()>(|| {
            tries += 1;
            Ok(None)
        });
        assert_eq!(tries, TRIES);
        assert!(error.unwrap_err().to_string().contains("was changed"));
        let mut parts = [None, None, Some(7)].into_iter();
        assert_eq!(of_one_moment(|| Ok(parts.next().flatten())).unwrap(), 7);
    }
}
