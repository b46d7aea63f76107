//! The networks, who is on them, and what kvmnet changed on the machine for them.
//!
//! In: the kernel, /proc, the configuration. Out: [`Status`], as data and as text. Never: changes anything, or needs
//! rights: it says what it cannot see without them.
//!
//! ```text
//! StatusSnapshot ────┐
//! guests ────────────┼──► network, guest, change ──► Status ──► render
//! config ────────────┘
//! ```

mod change;
mod data;
mod dhcp;
mod forward;
mod guest;
mod network;
mod render;

pub use data::Status;

use crate::apply::Kernel;
use crate::config::{self, ConfigErrors, Environment};
use crate::error::Error;
use crate::holder;
use crate::model;
use crate::network::ports_of_others;
use crate::observed::Tables;
use crate::reader::StatusSnapshot;
use data::{Guest, LinkState, Network};
use guest::Guests;

/// All networks, or the one that is named.
pub fn read(wanted: Option<&str>) -> Result<Status, Error> {
    let Kernel { mut rtnl, mut nft } = Kernel::open()?;
    let snapshot = StatusSnapshot::read(nft.as_mut(), &mut rtnl).map_err(Error::system("ask the kernel"))?;
    let configured = config::open(&Environment::of_process()).and_then(|file| file.networks());
    let mut status = gather(&snapshot, &configured);
    let Some(name) = wanted else { return Ok(status) };
    if !status.networks.iter().any(|network| network.name == name) {
        // The network may be among what is wrong with the file.
        configured?;
        let known: Vec<String> = status.networks.into_iter().map(|network| network.name).collect();
        return Err(Error::unknown_network(name, &known, None));
    }
    status.networks.retain(|network| network.name == name);
    status.strays.clear();
    Ok(status)
}

fn gather(snapshot: &StatusSnapshot, configured: &Result<Vec<model::Network>, ConfigErrors>) -> Status {
    let file = configured.as_ref().ok().map(Vec::as_slice);
    // Without taps nobody has one open.
    let has_taps = snapshot.observed.facts.links.iter().any(model::Link::is_tap);
    let holders = if has_taps { holder::all() } else { Vec::new() };
    let guests = Guests::new(snapshot, &holders);
    let instances = snapshot.observed.networks.iter();
    let mut networks: Vec<Network> =
        instances.map(|instance| network::up(instance, snapshot, &guests, file)).collect();
    let mut bridges: Vec<&model::Link> =
        ports_of_others(&snapshot.observed.facts, &snapshot.observed.networks)
            .map(|(bridge, _)| bridge)
            .collect();
    bridges.sort_by_key(|bridge| bridge.index);
    bridges.dedup_by_key(|bridge| bridge.index);
    networks.extend(bridges.into_iter().map(|bridge| network::of_ports(bridge, snapshot, &guests, file)));
    let file = file.unwrap_or_default();
    let position = |up: &Network| file.iter().position(|network| network.name == up.name);
    networks.sort_by_key(|network| position(network).unwrap_or(usize::MAX));
    let is_up = |network: &&model::Network| networks.iter().any(|up| up.name == network.name);
    let idle: Vec<Network> = file.iter().filter(|network| !is_up(network)).map(network::not_up).collect();
    networks.extend(idle);
    let strays = guests.strays();
    let error = configured.as_ref().err().and_then(|errors| errors.iter().next());
    let incomparable = error.map(|error| match error.is_unreadable() {
        true => format!("the configuration could not be read, and is not compared: {error}"),
        false => {
            format!("the configuration has errors, and is not compared (`kvmnet check` lists them): {error}")
        }
    });
    let mut notes: Vec<String> = incomparable.into_iter().collect();
    notes.extend(unseen(snapshot, networks.iter().flat_map(|network| &network.guests).chain(&strays)));
    Status { networks, strays, notes }
}

/// What cannot be seen, and why.
fn unseen<'a>(snapshot: &StatusSnapshot, mut guests: impl Iterator<Item = &'a Guest>) -> Vec<String> {
    let is_root = nix::unistd::geteuid().is_root();
    let why = if is_root { "no rights" } else { "not root" };
    let mut notes = Vec::new();
    if snapshot.observed.nft == Tables::Hidden {
        notes.push(format!(
            "{why}: nftables cannot be read, so networks are found by their bridges alone; tables, NAT and uplinks are not shown"
        ));
    }
    let is_unseen = |guest: &Guest| guest.link == LinkState::Up && guest.processes.is_empty();
    if guests.any(is_unseen) {
        notes.push(match is_root {
            false => "not root: the files of other users' processes cannot be seen, so the VMs behind some taps are not known".to_owned(),
            true => "the processes behind some taps cannot be seen from here (another PID namespace?)".to_owned(),
        });
    }
    notes
}
