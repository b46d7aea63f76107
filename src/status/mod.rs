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
mod guest;
mod network;
mod render;

pub use data::Status;

use crate::apply::Kernel;
use crate::config::{self, ConfigErrors, Environment};
use crate::error::Error;
use crate::holder;
use crate::model;
use crate::observed::{StatusSnapshot, Tables};
use data::{Guest, LinkState, Network};
use guest::Guests;

/// All networks, or the one that is named.
pub fn read(wanted: Option<&str>) -> Result<Status, Error> {
    let Kernel { mut rtnl, mut nft } = Kernel::open()?;
    let glance = StatusSnapshot::read(nft.as_mut(), &mut rtnl).map_err(Error::system("ask the kernel"))?;
    let configured = configured();
    let status = gather(&glance, &configured);
    match wanted {
        Some(name) => only(status, name, &configured),
        None => Ok(status),
    }
}

/// The networks as the file has them.
fn configured() -> Result<Vec<model::Network>, ConfigErrors> {
    config::open(&Environment::of_process())?.networks()
}

fn gather(glance: &StatusSnapshot, configured: &Result<Vec<model::Network>, ConfigErrors>) -> Status {
    let file = configured.as_ref().ok().map(Vec::as_slice);
    // Without taps nobody has one open.
    let has_taps = glance.observed.facts.links.iter().any(model::Link::is_tap);
    let holders = if has_taps { holder::all() } else { Vec::new() };
    let guests = Guests::new(glance, &holders);
    let instance = glance.observed.networks.iter();
    let mut networks: Vec<Network> =
        instance.map(|instance| network::up(instance, glance, &guests, file)).collect();
    let position = |name: &str| file.and_then(|file| file.iter().position(|network| network.name == name));
    networks.sort_by_key(|network| position(&network.name).unwrap_or(usize::MAX));
    for network in file.unwrap_or_default() {
        if !networks.iter().any(|instance| instance.name == network.name) {
            networks.push(network::not_up(network));
        }
    }
    let strays = guests.strays();
    let mut notes = Vec::new();
    if let Err(errors) = configured {
        notes.extend(errors.iter().next().map(|error| match error.is_unreadable() {
            true => format!("the configuration could not be read, and is not compared: {error}"),
            false => format!(
                "the configuration has errors, and is not compared (`kvmnet check` lists them): {error}"
            ),
        }));
    }
    notes.extend(unseen(glance, networks.iter().flat_map(|network| &network.guests).chain(&strays)));
    Status { networks, strays, notes }
}

/// What cannot be seen, and why.
fn unseen<'a>(glance: &StatusSnapshot, mut guests: impl Iterator<Item = &'a Guest>) -> Vec<String> {
    let is_root = nix::unistd::geteuid().is_root();
    let why = if is_root { "no rights" } else { "not root" };
    let mut notes = Vec::new();
    if glance.observed.nft == Tables::Hidden {
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

fn only(
    mut status: Status,
    name: &str,
    configured: &Result<Vec<model::Network>, ConfigErrors>,
) -> Result<Status, Error> {
    if !status.networks.iter().any(|network| network.name == name) {
        // The network may be among what is wrong with the file.
        if let Err(errors) = configured {
            return Err(Error::Config(errors.clone()));
        }
        let known = status.networks.into_iter().map(|network| network.name).collect();
        return Err(Error::UnknownNetwork { name: name.to_owned(), known, absent: None });
    }
    status.networks.retain(|network| network.name == name);
    status.strays.clear();
    Ok(status)
}
