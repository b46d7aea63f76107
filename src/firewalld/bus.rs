//! Calls over the system bus of D-Bus, and the answers.
//!
//! In: names and texts. Out: texts, a number, or an error. Never: waits longer than it was given, takes what is longer than a
//! limit, has the bus start a program, or listens to what nobody asked for.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::geteuid;
use thiserror::Error;

use super::wire::{self, Answer, HEAD, Kind};

/// Where it listens (D-Bus specification, "System message bus"). What the environment says is not heeded: this is root.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// The bus itself.
pub const BUS: [&str; 3] = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];
/// A line of the greeting is no longer.
const LINE: usize = 512;
/// Messages that nobody asked for, before one that somebody did.
const OTHERS: usize = 64;

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An error of the program that was called; firewalld's texts begin with a word for it.
    #[error("{text}")]
    Said { name: String, text: String },
    #[error("what came from the bus is not a D-Bus message")]
    Garbled,
}

impl Fault {
    /// Whether it is one of these errors, by the word or by the name.
    pub fn is(&self, words: &[&str]) -> bool {
        let Self::Said { name, text } = self else { return false };
        let word = text.split([':', ' ']).next().unwrap_or_default();
        words.iter().any(|known| *known == word || *known == name)
    }
}

/// Whom and what: a name on the bus, an object, an interface.
pub type Place<'a> = [&'a str; 3];

/// A connection to the bus.
pub struct Bus {
    stream: UnixStream,
    serial: u32,
    /// When there is no time left.
    until: Instant,
}

impl Bus {
    /// Connects; None where there is no bus.
    pub fn connect(until: Instant) -> Result<Option<Self>, Fault> {
        let stream = match open() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            stream => stream?,
        };
        let mut bus = Self { stream, serial: 0, until };
        bus.greet()?;
        bus.call(BUS, "Hello", &[])?;
        Ok(Some(bus))
    }

    /// Says who this is, which the bus sees by the socket as well.
    fn greet(&mut self) -> Result<(), Fault> {
        let user: String = geteuid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        self.write(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < LINE {
            line.extend(self.read(1)?);
        }
        match line.starts_with(b"OK ") {
            true => self.write(b"BEGIN\r\n"),
            false => Err(Fault::Garbled),
        }
    }

    /// Calls a method that takes texts.
    pub fn call(&mut self, place: Place, method: &str, texts: &[&str]) -> Result<Answer, Fault> {
        self.serial += 1;
        self.write(&wire::call(self.serial, place, method, texts))?;
        for _ in 0..OTHERS {
            let head = self.read(HEAD)?;
            let (fields, body) = wire::lengths(&head).ok_or(Fault::Garbled)?;
            let (fields, body) = (self.read(fields)?, self.read(body)?);
            let answer = wire::answer(&head, &fields, body).ok_or(Fault::Garbled)?;
            match answer.kind {
                _ if answer.to != Some(self.serial) => {}
                Kind::Return => return Ok(answer),
                Kind::Error(ref name) => {
                    let text = answer.texts().and_then(|texts| texts.into_iter().next());
                    let text = text.unwrap_or_else(|| name.clone());
                    return Err(Fault::Said { name: name.clone(), text });
                }
                Kind::Other => {}
            }
        }
        Err(Fault::Garbled)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let left = self.left()?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write_all(bytes).map_err(in_time)?;
        Ok(())
    }

    /// So many bytes, however slowly they come.
    fn read(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let left = self.left()?;
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(in_time(error).into()),
            }
        }
        Ok(bytes)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(late()) } else { Ok(left) }
    }
}

/// Without waiting for a bus that takes nobody in.
fn open() -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn late() -> io::Error {
    ErrorKind::TimedOut.into()
}

/// The end of a socket's time has another word.
fn in_time(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { late() } else { error }
}
