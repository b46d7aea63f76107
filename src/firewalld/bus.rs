//! Calls over the system bus of D-Bus, and what is answered.
//!
//! Never: has the bus start a program. All but the bus itself is called by the name of its connection.

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::zvariant::{DynamicType, Type};

/// Where it listens (D-Bus specification, "System message bus"). What the environment says is not heeded: this is root.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// The bus itself.
pub const BUS: [&str; 3] = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum Fault {
    /// An error of the program that was called; firewalld's texts begin with a word for it.
    #[error("{text}")]
    Said { name: String, text: String },
    #[error("it does not answer")]
    Late,
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Fault {
    /// Whether it is one of these errors, by the word or by the name.
    pub fn is(&self, words: &[&str]) -> bool {
        let Self::Said { name, text } = self else { return false };
        let word = text.split([':', ' ']).next().unwrap_or_default();
        words.iter().any(|known| *known == word || *known == name)
    }

    fn of_call(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                let name = name.to_string();
                Self::Said { text: text.unwrap_or_else(|| name.clone()), name }
            }
            zbus::Error::InputOutput(error) if error.kind() == ErrorKind::TimedOut => Self::Late,
            error => Self::Bus(error),
        }
    }
}

/// Whom and what: a name on the bus, an object, an interface.
pub type Place<'a> = [&'a str; 3];

/// A connection to the bus.
pub struct Bus(Connection);

impl Bus {
    /// Connects; None where there is no bus. No call waits longer than `patience`.
    pub fn connect(patience: Duration) -> Result<Option<Self>, Fault> {
        let stream = match open() {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            stream => stream?,
        };
        let connection = Builder::unix_stream(stream).method_timeout(patience).build();
        Ok(Some(Self(connection?)))
    }

    /// Calls a method. An answer of another type than is asked for is an error.
    pub fn call<A, R>(&self, [name, path, interface]: Place, method: &str, arguments: &A) -> Result<R, Fault>
    where
        A: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let answer = self.0.call_method(Some(name), path, Some(interface), method, arguments);
        Ok(answer.map_err(Fault::of_call)?.body().deserialize()?)
    }
}

/// Without waiting for a bus that takes nobody in.
fn open() -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(SOCKET)?)?;
    Ok(socket.into())
}
