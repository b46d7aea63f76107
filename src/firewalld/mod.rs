//! firewalld's zones for kvmnet have the interfaces of the networks that stand, and no others.
//!
//! firewalld rejects what no zone of its accepts, and writes its table anew as it likes, so no rule can be put there. It has
//! zones for kvmnet in files of its own (share/firewalld), and is asked over D-Bus to have the interfaces in them: those of now,
//! and in its files, which outlast its reload. Only the program `kvmnet` does that; a hook has it started.
//!
//! In: the kernel, firewalld. Never: reloads it, changes a zone that is not kvmnet's.

mod bus;
mod sets;
mod view;
mod zones;

pub use view::{View, view};

use std::fs;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::apply::Kernel;
use crate::model::{IfName, Mode};
use crate::observed::{Instance, Observed};
use bus::Fault;
use sets::SETS;
use zones::Firewalld;

/// The name of its table.
pub const TABLE: &str = "firewalld";
/// Where it lets frames through inside the bridges of kvmnet's sets, by their policy.
pub const FRAMES_CHAIN: &str = "filter_FWD_policy_kvmnet-frames_allow";

/// Guests reach the outside, and what of it reaches them, as kvmnet's tables say.
const FORWARDED: &str = "kvmnet";
/// Nothing is forwarded.
const HOST_ONLY: &str = "kvmnet-host";
/// Frames between guests, where br_netfilter shows them: of bridges by which the host does not take part.
const BRIDGE: &str = "kvmnet-bridge";
const ZONES: [&str; 3] = [FORWARDED, HOST_ONLY, BRIDGE];

/// It may be starting, or read its files anew.
const PATIENCE: Duration = Duration::from_secs(25);
/// Of one who only looks, or has nothing new to tell.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);
/// Networks may come and go meanwhile, but not for ever.
const ROUNDS: usize = 16;

/// Why guests may be cut off by firewalld.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the message of each says what it is")]
pub enum Problem {
    #[error("firewalld does not know the zone {0}, and rejects what the guests on {1} send")]
    NoZone(&'static str, IfName),
    #[error("firewalld does not know the set {0}, and rejects frames between the guests on {1}")]
    NoSet(&'static str, IfName),
    #[error("firewalld does not have the guests' interfaces in their zones: {0}")]
    Fault(String),
    #[error("cannot ask the kernel: {0}")]
    Kernel(io::Error),
}

impl Problem {
    /// The way out.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoZone(..) | Self::NoSet(..) => {
                Some("once its files are there (install.sh copies them): firewall-cmd --reload; kvmnet apply")
            }
            Self::Fault(_) => Some("once it answers: kvmnet apply"),
            Self::Kernel(_) => None,
        }
    }
}

impl From<Fault> for Problem {
    /// What it says of its rules may be pages.
    fn from(fault: Fault) -> Self {
        Self::Fault(fault.to_string().lines().next().unwrap_or_default().to_owned())
    }
}

/// What it shall have.
#[derive(Debug, PartialEq)]
struct Wanted {
    /// The interfaces of its zones.
    zones: Vec<(&'static str, IfName)>,
    /// Bridges inside which frames shall pass, where they are in no zone by name: what is let through there is their owner's choice.
    frames: Vec<IfName>,
}

/// Has firewalld know the networks of now. Several may do so at once: each looks again after its last change, so who is last has
/// seen what is. One that `may_start` just now is waited for.
pub fn settle(may_start: bool) -> Result<(), Problem> {
    let patience = if may_start { PATIENCE } else { SHORT_PATIENCE };
    in_time(patience, move || {
        let Some(firewalld) = Firewalld::find(patience)? else { return Ok(()) };
        let mut known = wanted()?;
        for _ in 0..ROUNDS {
            bring_to(&firewalld, &known)?;
            let now = wanted()?;
            if now == known {
                break;
            }
            known = now;
        }
        Ok(())
    })
}

/// The work of another thread, which is left alone where it takes too long: the bus may take a connection and never answer.
fn in_time<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    told.recv_timeout(patience).unwrap_or_else(|_| Err(Fault::Late.into()))
}

fn wanted() -> Result<Wanted, Problem> {
    let Kernel { mut rtnl, mut nft } = Kernel::open().map_err(|error| Problem::Fault(error.to_string()))?;
    let observed = Observed::of_networks(nft.as_mut(), &mut rtnl).and_then(Observed::complete);
    Ok(of_networks(&observed.map_err(Problem::Kernel)?))
}

fn of_networks(observed: &Observed) -> Wanted {
    let mut zones: Vec<_> = observed.networks.iter().flat_map(of_network).collect();
    zones.sort_unstable();
    let has_zone = |bridge: &IfName| zones.iter().any(|(_, interface)| interface == bridge);
    let is_meant = |one: &&Instance| one.ledger_of_bridge().is_some_and(|ledger| !ledger.hands_off);
    let bridges = observed.networks.iter().filter(is_meant).map(|one| one.bridge);
    // By its iptables backend it has no table, and kvmnet's rules are among its own.
    let is_cut_off = |bridge: &IfName| observed.firewalld && !has_zone(bridge) && shows_frames(bridge);
    let mut frames: Vec<IfName> = bridges.filter(is_cut_off).collect();
    frames.sort_unstable();
    Wanted { zones, frames }
}

/// Whether br_netfilter shows frames from port to port of a bridge: by the machine's switches, or by its own.
fn shows_frames(bridge: &IfName) -> bool {
    let switches = ["iptables", "ip6tables"].into_iter().flat_map(|family| {
        [
            format!("/proc/sys/net/bridge/bridge-nf-call-{family}"),
            format!("/sys/class/net/{bridge}/bridge/nf_call_{family}"),
        ]
    });
    switches.into_iter().any(|switch| fs::read_to_string(switch).is_ok_and(|value| value.trim() != "0"))
}

fn of_network(one: &Instance) -> Vec<(&'static str, IfName)> {
    let Some(ledger) = one.ledger_of_bridge().filter(|ledger| !ledger.hands_off) else { return Vec::new() };
    let host_if = ledger.host_if(one.bridge);
    let hosts = zone_of(ledger.mode).map(|zone| (zone, host_if));
    // A bridge that was found may be more to its owner than a switch for guests.
    let is_switch = ledger.made && (ledger.mode == Mode::Isolated || host_if != one.bridge);
    hosts.into_iter().chain(is_switch.then_some((BRIDGE, one.bridge))).collect()
}

/// Of the interface by which the host takes part. A bridged network's bridge stands for a NIC that is in a zone of its owner's
/// choice.
pub fn zone_of(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Nat | Mode::Routed => Some(FORWARDED),
        Mode::HostOnly => Some(HOST_ONLY),
        Mode::Isolated | Mode::Bridged => None,
    }
}

fn bring_to(firewalld: &Firewalld, wanted: &Wanted) -> Result<(), Problem> {
    let mut zones = Vec::new();
    let mut missing = fill_sets(firewalld, &wanted.frames)?;
    for name in ZONES {
        let of_zone =
            || wanted.zones.iter().filter(|(zone, _)| *zone == name).map(|(_, interface)| interface);
        match (firewalld.zone(name)?, of_zone().next()) {
            (Some(zone), _) => zones.push((zone, of_zone().map(IfName::as_str).collect::<Vec<_>>())),
            (None, Some(interface)) => missing = missing.or(Some(Problem::NoZone(name, *interface))),
            (None, None) => {}
        }
    }
    // First out of all: one may change its zone with its network's mode.
    for (zone, wanted) in &zones {
        firewalld.take_out(zone, wanted)?;
    }
    for (zone, wanted) in &zones {
        firewalld.put_in(zone, wanted)?;
    }
    missing.map_or(Ok(()), Err)
}

/// A set for each bridge, as far as there are any. Gives what is missing.
fn fill_sets(firewalld: &Firewalld, bridges: &[IfName]) -> Result<Option<Problem>, Problem> {
    let mut open = Vec::new();
    for bridge in bridges {
        open.extend(firewalld.zone_of(bridge.as_str())?.is_empty().then_some(*bridge));
    }
    let mut missing = None;
    for (number, of_bridge) in SETS.iter().enumerate() {
        let bridge = open.get(number);
        for (name, halves) in of_bridge {
            let entries = bridge.map(|bridge| sets::entries(halves, bridge.as_str()));
            match (firewalld.set(name)?, bridge) {
                (Some(set), _) => firewalld.fill(&set, &entries.unwrap_or_default())?,
                (None, Some(bridge)) => missing = missing.or(Some(Problem::NoSet(name, *bridge))),
                (None, None) => {}
            }
        }
    }
    Ok(missing)
}
