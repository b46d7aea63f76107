//! A service in a guest that says to each who asks as whom it sees them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lab::{Machine, eventually};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(1500);
const TICK: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

pub struct Service {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Service {
    /// On this port of a machine, over TCP and UDP, for all of its addresses.
    pub fn on(machine: &Machine, port: u16) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut sockets = None;
        eventually("the port is free", || {
            let bound = machine
                .enter(|| Some((TcpListener::bind(("::", port)).ok()?, UdpSocket::bind(("::", port)).ok()?)));
            sockets = bound;
            sockets.is_some()
        });
        let (tcp, udp) = sockets.unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(TICK)).unwrap();
        let (of_tcp, of_udp) = (Arc::clone(&over), Arc::clone(&over));
        let tcp = thread::spawn(move || {
            while !of_tcp.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((stream, from)) => drop(thread::spawn(move || serve(stream, from))),
                    Err(_) => thread::sleep(TICK),
                }
            }
        });
        let udp = thread::spawn(move || {
            let mut bytes = [0; 2048];
            while !of_udp.load(Ordering::Relaxed) {
                if let Ok((_, from)) = udp.recv_from(&mut bytes) {
                    let _lost = udp.send_to(name(from).as_bytes(), from);
                }
            }
        });
        Self { over, threads: vec![tcp, udp] }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

fn name(from: SocketAddr) -> String {
    from.ip().to_canonical().to_string()
}

/// Says who asks, and then what it is told.
fn serve(mut stream: TcpStream, from: SocketAddr) {
    let _lost = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let mut bytes = [0; 4096];
    let mut said = stream.write_all(format!("{}\n", name(from)).as_bytes());
    while let (Ok(()), Ok(length @ 1..)) = (said, stream.read(&mut bytes)) {
        said = stream.write_all(&bytes[..length]);
    }
}

/// As whom a machine is seen that asks there; None where no answer comes.
pub fn seen_as(from: &Machine, protocol: Protocol, address: &str, port: u16) -> Option<String> {
    let to = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
    from.enter(|| match protocol {
        Protocol::Tcp => over_tcp(to),
        Protocol::Udp => over_udp(to),
    })
}

/// Ten packets each way at least.
fn over_tcp(to: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 100];
    let length = stream.read(&mut bytes).ok()?;
    let block = [7; 20_000];
    stream.write_all(&block).ok()?;
    let mut echoed = [0; 20_000];
    stream.read_exact(&mut echoed).ok()?;
    assert_eq!(echoed, block);
    Some(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned())
}

fn over_udp(to: SocketAddr) -> Option<String> {
    let socket = UdpSocket::bind((if to.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).unwrap();
    socket.connect(to).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(b"who am I?").ok()?;
    let mut bytes = [0; 100];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}
