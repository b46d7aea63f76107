//! `kvmnet-bridge-helper`: a tap on a network for the QEMU of a user who is not root (`-netdev bridge,helper=`), in the place of
//! QEMU's own helper.
//!
//! In: a network's name and a socket, from a user whom nobody trusts, and capabilities of its own file. Out: the tap, through the
//! socket. Never: reads what the user could not read, heeds a variable, or does anything for a user who was not let on.
//!
//! The order is the point: what needs the most rights comes first, and they are given up before anything is read that the user
//! or another program has written.

mod arguments;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod socket;

use std::ffi::OsString;
use std::os::fd::AsFd;

use arguments::Request;
use socket::Socket;

use crate::caller::{Caller, refuse_variables};
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::hook::print;
use crate::inherited;
use crate::log::{self, Level};
use crate::model::{IfName, Mode, Network, Uplink};
use crate::run::{self, Teller};
use crate::terminal::{lines, printable};
use crate::tun::{Shape, Tap};

const NAME: &str = "kvmnet-bridge-helper";

const HELP: &str = "Usage: kvmnet-bridge-helper [--use-vnet] --br=NETWORK --fd=SOCKET\n\n\
    QEMU runs it, as in:\n  qemu-system-x86_64 … -nic bridge,br=lab,helper=/usr/local/lib/kvmnet/kvmnet-bridge-helper\n\n\
    NETWORK is a network of /etc/kvmnet.conf, by its name or its bridge, whose `users`\n\
    name the user, or another bridge that /etc/qemu/bridge.conf allows.\n";

/// The whole of it; gives its exit status, which is 1 whatever is wrong, as that of QEMU's own.
pub fn main(arguments: &[OsString]) -> u8 {
    inherited::put_right();
    let result = arguments::read(arguments).and_then(|request| match request {
        Request::Text(text) => {
            print(&text, false);
            Ok(None)
        }
        Request::Tap { network, socket, vnet_hdr } => serve(&network, socket, vnet_hdr).map(Some),
    });
    match result {
        Ok(done) => {
            done.iter().for_each(|summary| log::write(NAME, Level::Info, summary));
            0
        }
        Err(error) => {
            let hint = error.hint().map(|hint| format!("hint: {}\n", printable(&hint))).unwrap_or_default();
            print(&format!("{}{hint}", lines(&format!("{NAME}: {error}\n"))), true);
            log::write(NAME, Level::Error, &error.to_string());
            1
        }
    }
}

fn serve(name: &str, socket: i32, vnet_hdr: bool) -> Result<String, Error> {
    let socket = Socket::inherited(socket)?;
    let caller = Caller::of_process();
    run::require_rights()?;
    refuse_variables(&Environment::of_process(), None)?;
    let lock = caller.become_user()?;
    let network = network(name, &caller)?;
    let (tap, done) = run::attach_new(lock, || {
        let pattern = IfName::NEW_TAP;
        let shape = Shape { queues: 1, vnet_hdr };
        let tap = Tap::new(&pattern, shape).map_err(|source| Error::NewTap { tap: pattern, source })?;
        let desired = Desired { teller: Teller::Starter, ..Desired::new(tap.name, network) };
        Ok((tap, desired))
    })?;
    done.notes.iter().for_each(|note| print(&format!("{NAME}: {note}\n"), true));
    done.left.iter().for_each(|error| log::write(NAME, Level::Error, &error.to_string()));
    let queue = tap.queues.first().map(AsFd::as_fd);
    // Where nobody takes it, the tap goes with this process, and the network as after the end of any guest.
    socket.hand_over(queue)?;
    Ok(format!("{}, for {caller}", done.summary))
}

/// The network that the user may put guests on.
fn network(name: &str, caller: &Caller) -> Result<Network, Error> {
    let file = config::open(&Environment::default()).map_err(Error::Config)?;
    let networks = file.networks().map_err(Error::Config)?;
    let is_called = |network: &&Network| network.name == name;
    let is_on = |network: &&Network| network.bridge.as_str() == name;
    if let Some(network) = networks.iter().find(is_called).or_else(|| networks.iter().find(is_on)) {
        return caller.require_grant(network).map(|()| network.clone());
    }
    if config::qemu_allows(name).map_err(Error::Config)? {
        return only_port(name);
    }
    Err(Error::NotAllowed { bridge: name.to_owned() })
}

/// A bridge that is none of kvmnet's is used as it is.
fn only_port(name: &str) -> Result<Network, Error> {
    let wrong = |error: crate::model::BadName| Error::Usage { problem: error.to_string(), program: NAME };
    let bridge = IfName::new(name).map_err(wrong)?;
    let network = Network { name: name.to_owned(), bridge, ..Network::default() };
    Ok(Network { mode: Mode::Bridged, uplink: Uplink::None, ..network })
}
