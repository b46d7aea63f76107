//! The socket on which QEMU waits for the tap (unix(7), SCM_RIGHTS).

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::NAME;
use crate::error::Error;

/// An open file of QEMU's that is such a socket.
pub struct Socket(RawFd);

impl Socket {
    /// The file of this number, before this process has opened any itself.
    pub fn inherited(number: RawFd) -> Result<Self, Error> {
        let is_socket = option(number, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
            && option(number, libc::SO_TYPE) == Some(libc::SOCK_STREAM);
        let problem = format!("--fd={number} is not a connected socket of QEMU's");
        is_socket.then_some(Self(number)).ok_or(Error::Usage { problem, program: NAME })
    }

    /// Sends the tap with one byte, as QEMU's own helper does. Nobody waits for a reader that does not read.
    pub fn hand_over(&self, tap: Option<BorrowedFd>) -> Result<(), Error> {
        let files: Vec<RawFd> = tap.iter().map(AsRawFd::as_raw_fd).collect();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent =
            sendmsg::<()>(self.0, &[IoSlice::new(&[0])], &[ControlMessage::ScmRights(&files)], flags, None);
        match sent {
            Ok(1) => Ok(()),
            Ok(_) => Err(io::Error::from(io::ErrorKind::WriteZero)),
            Err(errno) => Err(errno.into()),
        }
        .map_err(Error::system("hand the tap to QEMU"))
    }
}

fn option(file: RawFd, option: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointers are to a value and its length, which outlive the call; a number that is no socket is an error.
    let result =
        unsafe { libc::getsockopt(file, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut length) };
    (result == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::File;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn only_a_unix_stream() {
        let file = File::open("/dev/null").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (datagram, _) = UnixDatagram::pair().unwrap();
        for number in [file.as_raw_fd(), udp.as_raw_fd(), datagram.as_raw_fd(), 4711, -1, i32::MAX] {
            assert!(Socket::inherited(number).is_err(), "{number}");
        }
        let (near, far) = UnixStream::pair().unwrap();
        let socket = Socket::inherited(near.as_raw_fd()).unwrap();
        socket.hand_over(Some(file.as_fd())).unwrap();
        drop(far);
        assert!(socket.hand_over(Some(file.as_fd())).is_err(), "nobody is there");
    }

    /// One that is full is not waited for.
    #[test]
    fn a_reader_that_does_not_read() {
        let (near, _far) = UnixStream::pair().unwrap();
        let socket = Socket::inherited(near.as_raw_fd()).unwrap();
        let file = File::open("/dev/null").unwrap();
        assert!((0..100_000).any(|_| socket.hand_over(Some(file.as_fd())).is_err()));
    }
}
