//! A guest without QEMU: a network namespace, with an IP stack of its own, at the far end of a real tap.

use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;

use super::{Machine, Tap, eventually};

/// A guest: a machine whose `eth0` is joined, frame by frame, to a tap of the host.
pub struct Guest {
    host: Machine,
    machine: Machine,
    name: String,
    tap: Arc<Tap>,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    wire: Option<(OwnedFd, JoinHandle<()>)>,
}

impl Guest {
    /// Boots a guest on the tap `name` of `host`, with the hardware address QEMU would give it.
    pub fn boot(host: &Machine, name: &str, mac: &str) -> Self {
        Self::boot_by(Tap::open, host, name, mac)
    }

    /// The same with a tap that `open` opens.
    pub fn boot_by(open: fn(&Machine, &str) -> Tap, host: &Machine, name: &str, mac: &str) -> Self {
        let tap = Arc::new(open(host, name));
        let machine = Machine::new();
        let nic = open(&machine, "eth0");
        machine.sysctl("ipv6/conf/default/accept_dad", "0");
        machine.sysctl("ipv6/conf/eth0/accept_dad", "0");
        machine.ip(&format!("link set eth0 address {mac} up"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let wire = Some(lay_wire(Arc::clone(&tap), nic, Arc::clone(&heard)));
        Self { host: host.clone(), machine, name: name.to_owned(), tap, heard, wire }
    }

    /// The name of its tap on the host.
    pub fn tap(&self) -> &str {
        &self.name
    }

    /// The open tap, as QEMU holds it and hands it to its hooks.
    pub fn tap_fd(&self) -> &Tap {
        &self.tap
    }

    /// Sends a frame that no IP stack of the guest would: an attacker who is root in the guest can.
    pub fn inject(&self, frame: &[u8]) {
        self.tap.send(frame);
    }

    /// Every frame that has come to the guest since it was booted.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    /// How many frames have come until now.
    pub fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// The frames that have come after so many.
    pub fn heard_since(&self, count: usize) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap()[count..].to_vec()
    }

    /// Ends the guest as `kill -9` of its QEMU does: the tap is gone, and no hook runs.
    pub fn kill(self) {
        let (host, name) = (self.host.clone(), self.name.clone());
        drop(self);
        // What another test's thread starts just now has the tap, too, until it is the program that it shall be.
        eventually("nobody has the tap any more", || {
            let shown = host.try_run(&format!("ip -o link show dev {name}")).stdout;
            !String::from_utf8_lossy(&shown).contains("LOWER_UP")
        });
    }
}

impl Deref for Guest {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some((stop, forwarder)) = self.wire.take() {
            drop(stop);
            let ended = forwarder.join();
            assert!(ended.is_ok() || thread::panicking(), "the wire of {} broke", self.name);
        }
    }
}

/// Carries frames between the tap and the guest's NIC until the returned pipe is closed.
fn lay_wire(tap: Arc<Tap>, nic: Tap, heard: Arc<Mutex<Vec<Vec<u8>>>>) -> (OwnedFd, JoinHandle<()>) {
    // A daemon that is started meanwhile must not hold it open.
    let (stopped, stop) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let forwarder = thread::spawn(move || {
        loop {
            let mut ready = [
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
                PollFd::new(tap.as_fd(), PollFlags::POLLIN),
                PollFd::new(nic.as_fd(), PollFlags::POLLIN),
            ];
            if poll(&mut ready, PollTimeout::NONE).is_err() {
                continue;
            }
            let [closed, from_host, from_guest] = ready.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if !closed.is_empty() || from_host.contains(PollFlags::POLLERR) {
                return;
            }
            if let Some(frame) = from_host.contains(PollFlags::POLLIN).then(|| tap.receive()).flatten() {
                nic.send(&frame);
                heard.lock().unwrap().push(frame);
            }
            if let Some(frame) = from_guest.contains(PollFlags::POLLIN).then(|| nic.receive()).flatten() {
                tap.send(&frame);
            }
        }
    });
    (stop, forwarder)
}
