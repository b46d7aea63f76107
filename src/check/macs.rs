//! Two guests with one MAC on one network: each gets only a part of what is meant for it.
//!
//! A bridge learns an address at one port at a time, so what it has learned cannot tell alone; the command lines of the
//! QEMUs can. Together they tell of a guest that has another's MAC without its command line saying so.

use std::collections::{HashMap, HashSet};

use super::finding::Finding;
use super::seen::Seen;
use crate::holder::Holder;
use crate::model::{IfName, Mac, Mode, fnv1a};
use crate::vmm::{self, DEFAULT_MAC};

/// So many taps are named in one finding.
const MOST: usize = 8;

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

/// For each MAC that two taps have. A guest may send with as many as it likes, so only those of one MAC are compared.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let nics = nics(seen);
    let mut by_mac: HashMap<Mac, Vec<&Nic>> = HashMap::new();
    nics.iter().for_each(|nic| by_mac.entry(nic.mac).or_default().push(nic));
    let mut findings = Vec::new();
    for nic in &nics {
        let Some(same) = by_mac.remove(&nic.mac).filter(|same| same.len() > 1) else { continue };
        findings.extend(shared(&same));
    }
    findings.extend(seen.holders.iter().filter(|holder| holder.is_cut && !holder.elsewhere).map(cut));
    findings
}

/// What is to be said of NICs with one MAC: for each bridge, and for those that may be of one LAN.
fn shared(nics: &[&Nic]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, nic) in nics.iter().enumerate() {
        // Two NICs of one VM may be one by its own will, as in a bond.
        let same_vm = |other: &Nic| other.pid.is_some() && other.pid == nic.pid;
        let shares = |other: &Nic| other.tap != nic.tap && !same_vm(other);
        let here = |other: &&&Nic| shares(other) && other.bridge == nic.bridge;
        let on_lan = |other: &&&Nic| shares(other) && other.bridge != nic.bridge && other.lan && nic.lan;
        let (before, after) = (nics.iter().take(number), nics.iter().skip(number + 1));
        let others: Vec<&Nic> = after.clone().filter(here).copied().collect();
        if !before.clone().any(|other| here(&other)) && !others.is_empty() {
            findings.push(told(nic, &others, Finding::problem));
        }
        let others: Vec<&Nic> = after.filter(on_lan).copied().collect();
        if !before.clone().any(|other| on_lan(&other)) && !others.is_empty() {
            findings.push(told(nic, &others, Finding::note));
        }
    }
    findings
}

/// What is behind a command line's end is not compared.
fn cut(holder: &Holder) -> Finding {
    let text = format!("the command line of process {} is too long to be read to its end", holder.pid);
    Finding::note("mac", text).say("MACs that it gives further on are not compared")
}

fn told(first: &Nic, others: &[&Nic], finding: fn(&'static str, String) -> Finding) -> Finding {
    let describe = |nic: &Nic| match nic.pid {
        Some(pid) => format!("{} (process {pid})", nic.tap),
        None => nic.tap.to_string(),
    };
    let all = std::iter::once(&first).chain(others).map(|nic| describe(nic));
    let mut all: Vec<String> = all.take(MOST).collect();
    let more = (1 + others.len()).saturating_sub(MOST);
    all.extend((more > 0).then(|| format!("{more} more")));
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
    // Names of taps are per network namespace.
    let holders = || seen.holders.iter().filter(|holder| !holder.elsewhere);
    let mut given: HashMap<IfName, Vec<Mac>> = HashMap::new();
    let mut pids: HashMap<IfName, u32> = HashMap::new();
    for holder in holders() {
        for (_, tap) in &holder.taps {
            pids.entry(*tap).or_insert(holder.pid);
        }
        for (tap, mac) in vmm::macs(&holder.arguments, &holder.taps) {
            given.entry(tap).or_default().push(mac);
        }
    }
    let mut learned: HashMap<u32, Vec<Mac>> = HashMap::new();
    for station in &seen.observed.facts.stations {
        learned.entry(station.port).or_default().push(station.mac);
    }
    let mut nics: Vec<Nic> = Vec::new();
    for standing in seen.observed.networks.iter().filter(|standing| standing.mark.is_some()) {
        let lan = standing.mark.as_ref().is_some_and(|mark| mark.mode == Mode::Bridged);
        for tap in seen.observed.taps_on(&standing.bridge) {
            let pid = pids.get(&tap.name).copied();
            let macs = [given.get(&tap.name), learned.get(&tap.index)].into_iter().flatten().flatten();
            let mut known = HashSet::new();
            let new = macs.filter(|mac| known.insert(**mac));
            nics.extend(new.map(|mac| Nic { bridge: standing.bridge, lan, tap: tap.name, pid, mac: *mac }));
        }
    }
    nics
}
