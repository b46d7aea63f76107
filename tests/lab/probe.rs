//! Asking who reaches whom.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use super::{Machine, eventually};

/// The port that every probe of the lab speaks to.
pub const PORT: u16 = 7000;

impl Machine {
    /// Whether an echo request to `address` (`fe80::…%eth0`, too) is answered within a second.
    pub fn pings(&self, address: &str) -> bool {
        self.try_run(&format!("ping -n -q -c 1 -W 1 {address}")).status.success()
    }

    /// Pings all addresses at once; true for each that answered.
    pub fn pings_each(&self, addresses: &[String]) -> Vec<bool> {
        thread::scope(|scope| {
            let pings: Vec<_> = addresses.iter().map(|to| scope.spawn(|| self.pings(to))).collect();
            pings.into_iter().map(|ping| ping.join().expect("a ping does not panic")).collect()
        })
    }

    /// Sends one datagram to the lab's port at `address` and expects nothing back.
    pub fn send(&self, address: &str, text: &str) {
        self.enter(|| {
            let socket = UdpSocket::bind("[::]:0").expect("a UDP socket");
            let _unreachable = socket.send_to(text.as_bytes(), target(address));
        });
    }

    /// Opens a TCP connection to the lab's port at `address`, within two seconds or never.
    pub fn open(&self, address: &str) -> io::Result<TcpStream> {
        self.enter(|| TcpStream::connect_timeout(&target(address), Duration::from_secs(2)))
    }
}

/// Where a probe's text goes: IPv4 addresses as IPv6 writes them, so that one socket serves both.
fn target(address: &str) -> SocketAddr {
    let (address, interface) = address.split_once('%').unwrap_or((address, ""));
    let scope = if interface.is_empty() { 0 } else { if_nametoindex(interface).unwrap_or(0) };
    match address.parse().expect("an IP address") {
        IpAddr::V4(v4) => SocketAddr::from((v4.to_ipv6_mapped(), PORT)),
        IpAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(v6, PORT, 0, scope)),
    }
}

/// A service of a machine that hears datagrams for any of its addresses.
pub struct Listener {
    socket: UdpSocket,
    heard: Vec<(String, String)>,
}

impl Listener {
    pub fn on(machine: &Machine) -> Self {
        let socket = bound(|| machine.enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT))));
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        Self { socket, heard: Vec::new() }
    }

    /// The datagrams that have come until now: (source address, text).
    pub fn heard(&mut self) -> &[(String, String)] {
        let mut bytes = [0; 2048];
        while let Ok((length, from)) = self.socket.recv_from(&mut bytes) {
            let source = from.ip().to_canonical().to_string();
            self.heard.push((source, String::from_utf8_lossy(&bytes[..length]).into_owned()));
        }
        &self.heard
    }

    /// Whether a datagram with this text has come.
    pub fn has_heard(&mut self, text: &str) -> bool {
        self.heard().iter().any(|(_, heard)| heard == text)
    }

    /// From which address a datagram with this text has come.
    pub fn source_of(&mut self, text: &str) -> Option<String> {
        self.heard().iter().find(|(_, heard)| heard == text).map(|(source, _)| source.clone())
    }
}

/// Binds a socket. The one before may live a moment longer, in a program that another thread's test is just starting.
fn bound<T>(bind: impl Fn() -> io::Result<T>) -> T {
    let mut socket = None;
    eventually("the port is free", || {
        socket = bind().ok();
        socket.is_some()
    });
    socket.expect("it is bound")
}

/// A service of a machine that accepts TCP connections for any of its addresses.
pub struct TcpServer {
    listener: TcpListener,
}

impl TcpServer {
    pub fn on(machine: &Machine) -> Self {
        let listener = bound(|| machine.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))));
        Self { listener }
    }

    /// Takes the next connection.
    pub fn accept(&self) -> TcpStream {
        self.listener.accept().expect("a connection comes").0
    }
}
