//! Questions of the domain name system (RFC 1035), asked and answered by hand.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::Machine;

const PATIENCE: Duration = Duration::from_secs(5);
pub const A: u16 = 1;
pub const AAAA: u16 = 28;
const PTR: u16 = 12;

/// What a server said: addresses and names, or how it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Found(Vec<String>),
    /// The response code: 3 is that there is no such name, 5 that it may not be asked.
    Refused(u8),
    Silence,
}

/// Asks a server for the addresses of a name.
pub fn ask(from: &Machine, server: &str, name: &str, kind: u16) -> Answer {
    let query = query(name, kind);
    let server = SocketAddr::new(server.parse().expect("an address"), 53);
    let reply = from.enter(|| {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        socket.connect(server).ok()?;
        socket.send(&query).ok()?;
        let mut reply = vec![0; 4096];
        let length = socket.recv(&mut reply).ok()?;
        reply.truncate(length);
        Some(reply)
    });
    reply.map_or(Answer::Silence, |reply| read(&reply))
}

/// The same over TCP.
pub fn ask_tcp(from: &Machine, server: &str, name: &str) -> Answer {
    let query = query(name, A);
    let server = SocketAddr::new(server.parse().expect("an address"), 53);
    let reply = from.enter(|| {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(&(query.len() as u16).to_be_bytes()).ok()?;
        stream.write_all(&query).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).ok()?;
        Some(reply)
    });
    reply.map_or(Answer::Silence, |reply| read(&reply))
}

/// The name of an IPv4 address.
pub fn name_of(from: &Machine, server: &str, address: &str) -> Answer {
    let reversed: Vec<&str> = address.split('.').rev().collect();
    ask(from, server, &format!("{}.in-addr.arpa", reversed.join(".")), PTR)
}

fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    query
}

/// The length of the name at a place: labels, up to an empty one or a pointer.
fn name_length(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match bytes[at] {
            0 => return at + 1 - start,
            0xc0.. => return at + 2 - start,
            length => at += usize::from(length) + 1,
        }
    }
}

fn name_at(bytes: &[u8], mut at: usize) -> String {
    let mut labels = Vec::new();
    loop {
        match bytes[at] {
            0 => return labels.join("."),
            high @ 0xc0.. => at = usize::from(high & 0x3f) << 8 | usize::from(bytes[at + 1]),
            length => {
                let end = at + 1 + usize::from(length);
                labels.push(String::from_utf8_lossy(&bytes[at + 1..end]).into_owned());
                at = end;
            }
        }
    }
}

fn read(reply: &[u8]) -> Answer {
    let code = reply[3] & 15;
    if code != 0 {
        return Answer::Refused(code);
    }
    let count = u16::from_be_bytes([reply[6], reply[7]]);
    let mut at = 12 + name_length(reply, 12) + 4;
    let mut found = Vec::new();
    for _ in 0..count {
        at += name_length(reply, at);
        let kind = u16::from_be_bytes([reply[at], reply[at + 1]]);
        let length = usize::from(u16::from_be_bytes([reply[at + 8], reply[at + 9]]));
        let data = &reply[at + 10..at + 10 + length];
        match kind {
            A => found.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()).to_string()),
            AAAA => found.push(Ipv6Addr::from(<[u8; 16]>::try_from(data).unwrap()).to_string()),
            PTR => found.push(name_at(reply, at + 10)),
            _ => {}
        }
        at += 10 + length;
    }
    found.sort();
    Answer::Found(found)
}

/// A resolver of the outside that knows one address for every name.
pub struct Resolver {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    pub fn start(machine: &Machine, address: &str, answer: [u8; 4]) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let socket = machine.enter(|| UdpSocket::bind((address, 53))).expect("port 53 is free");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut query = [0; 4096];
            while !told.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let question = 12 + name_length(&query, 12) + 4;
                let kind = u16::from_be_bytes([query[question - 4], query[question - 3]]);
                let mut reply = query[..question.min(length)].to_vec();
                reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(kind == A), 0, 0, 0, 0]);
                if kind == A {
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
                    reply.extend(answer);
                }
                let _ = socket.send_to(&reply, from);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
