//! Docker's daemon with its default settings: it makes the host a router that drops what it does not know, and shows its rules
//! the frames inside bridges.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::container::Container;
use crate::lab::{Guest, Lab, Machine, Process, eventually, within};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

pub struct Docker {
    daemon: Daemon,
    container: Container,
}

/// Its files are in the private /run.
const DOCKERD: [&str; 12] = [
    "--data-root",
    "/run/lab/docker",
    "--exec-root",
    "/run/docker-exec",
    "--pidfile",
    "/run/docker.pid",
    "--host",
    "unix:///run/docker.sock",
    "--storage-driver",
    "vfs",
    "--log-level",
    "warn",
];

/// It is asked to end: what it has started would go on without it.
struct Daemon(Process);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGTERM);
        within(Duration::from_secs(20), || self.0.has_ended());
    }
}

/// Whether it takes questions. Its own client is a package of its own in Debian 13.
fn answers(host: &Machine) -> io::Result<bool> {
    host.enter(|| {
        let mut socket = UnixStream::connect("/run/docker.sock")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer.contains(" 200 OK"))
    })
}

fn daemon(lab: &Lab) -> Daemon {
    let daemon = lab.host.start("dockerd", &DOCKERD);
    eventually("dockerd runs", || daemon.has_ended() || answers(&lab.host).unwrap_or_default());
    assert!(!daemon.has_ended(), "dockerd: {}", daemon.printed());
    Daemon(daemon)
}

impl Neighbour for Docker {
    fn start(lab: &Lab) -> Self {
        let daemon = daemon(lab);
        Self { daemon, container: Container::start(lab) }
    }

    fn reload(&mut self, lab: &Lab) {
        self.daemon.0.signal(Signal::SIGTERM);
        eventually("dockerd ends", || self.daemon.0.has_ended());
        self.daemon = daemon(lab);
    }

    /// It leaves its rules behind when it ends; its owner takes them away.
    fn remove(self, lab: &Lab) {
        drop(self.daemon);
        for program in ["iptables", "ip6tables"] {
            for arguments in ["-P FORWARD ACCEPT", "-F", "-X", "-t nat -F", "-t nat -X"] {
                lab.host.run(&format!("{program} {arguments}"));
            }
        }
    }

    /// A container gets out.
    fn assert_goes_on(&self, _: &Lab, _: &Guest, what: &str) {
        self.container.assert_gets_out(what);
    }

    /// Nothing gets to it that Docker does not let in.
    fn assert_keeps_closed(&self, lab: &Lab, what: &str) {
        self.container.assert_is_closed(lab, what);
    }
}

cells!(Docker, "Docker");

#[test]
fn it_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Docker>();
}
