//! Two guests with one MAC on one network: each gets only a part of what is meant for it.
//!
//! A bridge learns an address at one port at a time, so what it has learned cannot tell alone; the command lines of the
//! QEMUs can. Together they tell of a guest that has another's MAC without its command line saying so.

use super::finding::Finding;
use super::seen::Seen;
use crate::holder::Holder;
use crate::model::{IfName, Mac, Mode, fnv1a};
use crate::vmm::{self, DEFAULT_MAC};

/// A guest's NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Nic {
    bridge: IfName,
    /// Whether the bridge is part of a LAN that other bridges may be part of, too.
    lan: bool,
    tap: IfName,
    pid: Option<u32>,
    mac: Mac,
}

/// For each MAC that two taps have.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let nics = nics(seen);
    let mut findings = Vec::new();
    for (number, nic) in nics.iter().enumerate() {
        // Two NICs of one VM may be one by its own will, as in a bond.
        let same_vm = |other: &&Nic| other.pid.is_some() && other.pid == nic.pid;
        let shares = |other: &&Nic| other.mac == nic.mac && other.tap != nic.tap && !same_vm(other);
        let here = |other: &&Nic| shares(other) && other.bridge == nic.bridge;
        let on_lan = |other: &&Nic| shares(other) && other.bridge != nic.bridge && other.lan && nic.lan;
        let (before, after) = (nics.iter().take(number), nics.iter().skip(number + 1));
        let others: Vec<&Nic> = after.clone().filter(here).collect();
        if !before.clone().any(|other| here(&other)) && !others.is_empty() {
            findings.push(told(nic, &others, Finding::problem));
        }
        let others: Vec<&Nic> = after.filter(on_lan).collect();
        if !before.clone().any(|other| on_lan(&other)) && !others.is_empty() {
            findings.push(told(nic, &others, Finding::note));
        }
    }
    findings
}

fn told(first: &Nic, others: &[&Nic], finding: fn(&'static str, String) -> Finding) -> Finding {
    let describe = |nic: &Nic| match nic.pid {
        Some(pid) => format!("{} (process {pid})", nic.tap),
        None => nic.tap.to_string(),
    };
    let all: Vec<String> = std::iter::once(&first).chain(others).map(|nic| describe(nic)).collect();
    let default = if first.mac == DEFAULT_MAC { ", which QEMU gives to all" } else { "" };
    let bridges = match others.iter().all(|other| other.bridge == first.bridge) {
        true => format!("on {}", first.bridge),
        false => "on bridges that may be of one LAN".to_owned(),
    };
    let text = format!("{} have one MAC {bridges}: {}{default}", all.join(" and "), first.mac);
    let free = others.last().map_or(first.tap, |other| other.tap);
    let own = own_mac(&free);
    finding("mac", text).at(&first.tap).say(format!(
        "start the VM of {free} with a MAC of its own: mac={own} behind -nic tap,… or -device …"
    ))
}

/// A MAC that is always the same for a tap, and hardly another's.
fn own_mac(tap: &IfName) -> Mac {
    let [.., a, b, c] = fnv1a(tap.as_str().as_bytes()).to_be_bytes();
    Mac([0x52, 0x54, 0x00, a, b, c])
}

/// What each tap's guest has been given, and what it has sent frames with.
fn nics(seen: &Seen) -> Vec<Nic> {
    let mut nics: Vec<Nic> = Vec::new();
    // Names of taps are per network namespace.
    let holders = || seen.holders.iter().filter(|holder| !holder.elsewhere);
    let given: Vec<(IfName, Mac)> =
        holders().flat_map(|holder| vmm::macs(&holder.arguments, &holder.taps)).collect();
    for standing in seen.observed.networks.iter().filter(|standing| standing.mark.is_some()) {
        let lan = standing.mark.as_ref().is_some_and(|mark| mark.mode == Mode::Bridged);
        for tap in seen.observed.taps_on(&standing.bridge) {
            let given = given.iter().filter(|(name, _)| *name == tap.name).map(|(_, mac)| *mac);
            let stations = seen.observed.facts.stations.iter();
            let learned = stations.filter(|station| station.port == tap.index).map(|station| station.mac);
            let holds = |holder: &&Holder| holder.taps.iter().any(|(_, name)| *name == tap.name);
            let pid = holders().find(holds).map(|holder| holder.pid);
            for mac in given.chain(learned) {
                let nic = Nic { bridge: standing.bridge, lan, tap: tap.name, pid, mac };
                if !nics.contains(&nic) {
                    nics.push(nic);
                }
            }
        }
    }
    nics
}
