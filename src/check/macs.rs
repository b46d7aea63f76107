//! Two guests with one MAC on one network: each gets only a part of what is meant for it.
//!
//! A bridge learns an address at one port at a time, so what it has learned is not enough; together with the command lines
//! of the QEMUs it also shows a guest that took another's MAC by itself.

use super::finding::Finding;
use super::input::CheckInput;
use crate::guests::GuestIndex;
use crate::holder::Holder;
use crate::model::{IfName, Link, Mac, Mode, fnv1a};
use crate::vmm::DEFAULT_MAC;

/// So many taps are named in one finding.
const MOST: usize = 8;

/// For each MAC that several VMs have on one bridge, or on bridges that may be of one LAN.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let facts = &input.observed.facts;
    let guests = GuestIndex::new(facts, &input.holders, input.guests());
    let bridged = input.networks_up().filter(|(_, ledger)| ledger.mode == Mode::Bridged);
    let lans: Vec<u32> = bridged.filter_map(|(instance, _)| Some(instance.link.as_ref()?.index)).collect();
    let is_on_lan = |tap: &&&Link| tap.master.is_some_and(|bridge| lans.contains(&bridge));
    let mut findings = Vec::new();
    let mut by_mac: Vec<_> = guests.by_mac.iter().collect();
    by_mac.sort_unstable_by_key(|(mac, _)| **mac);
    for (mac, taps) in by_mac {
        for here in taps.chunk_by(|tap, next| tap.master == next.master) {
            let bridge = here.first().and_then(|tap| facts.link_index(tap.master?));
            let place = bridge.map(|bridge| format!("on {}", bridge.name)).unwrap_or_default();
            let taps = guests.one_for_each_vm(here.iter());
            findings.extend(shared(Finding::problem, &guests, *mac, &taps, &place));
        }
        let mut taps = guests.one_for_each_vm(taps.iter().filter(is_on_lan));
        taps.dedup_by_key(|tap| tap.master);
        findings.extend(shared(Finding::note, &guests, *mac, &taps, "on bridges that may be of one LAN"));
    }
    findings.extend(input.holders.iter().filter(|holder| holder.is_cut && !holder.other_netns).map(cut));
    findings
}

/// The rest of a command line that was not read to its end is not compared.
fn cut(holder: &Holder) -> Finding {
    let text = format!("the command line of process {} is too long to be read to its end", holder.pid);
    Finding::note("mac", text).say("MACs further on in it are not compared")
}

/// None unless there are two or more such taps.
fn shared(
    finding: fn(&'static str, String) -> Finding,
    guests: &GuestIndex,
    mac: Mac,
    taps: &[&Link],
    place: &str,
) -> Option<Finding> {
    let [first, .., last] = taps else { return None };
    let described = taps.iter().take(MOST).map(|tap| {
        let pid = guests.pid(tap).map(|pid| format!("process {pid}"));
        let who: Vec<String> = guests.vm_name(tap).into_iter().chain(pid).collect();
        if who.is_empty() { tap.name.to_string() } else { format!("{} ({})", tap.name, who.join(", ")) }
    });
    let more = taps.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("{more} more"));
    let all: Vec<String> = described.chain(more).collect();
    let default = if mac == DEFAULT_MAC { ", which QEMU gives to all" } else { "" };
    let text = format!("{} have the same MAC {place}: {mac}{default}", all.join(" and "));
    let (last, mac) = (last.name, own_mac(&last.name));
    Some(finding("mac", text).at(&first.name).say(format!(
        "start the VM of {last} with a MAC of its own: mac={mac} after -nic tap,… or -device …"
    )))
}

/// A MAC that is always the same for a tap, and hardly another's.
fn own_mac(tap: &IfName) -> Mac {
    let [.., a, b, c] = fnv1a(tap.as_str().as_bytes()).to_be_bytes();
    Mac([0x52, 0x54, 0x00, a, b, c])
}
