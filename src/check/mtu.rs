//! Guests whose packets are larger than their uplink takes.

use super::finding::Finding;
use super::networks::word;
use super::seen::{Configured, Seen};
use crate::model::{Link, Mode};
use crate::plan;

/// Of every network.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let networks = seen.configured.iter();
    networks
        .flat_map(|configured| match configured.desired.network.mode {
            Mode::Bridged => bridged(seen, configured),
            _ => forwarded(seen, configured),
        })
        .collect()
}

/// A bridge drops a frame that is too large for a port without a word (`is_skb_forwardable`).
fn bridged(seen: &Seen, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let Some(nic) = observed.nic(network).filter(|nic| !nic.is_bridge()) else { return Vec::new() };
    let larger = seen.observed.taps_on(&network.bridge).filter(|tap| tap.mtu > nic.mtu);
    let findings = larger.map(|tap| {
        let text = format!(
            "takes packets of {} bytes, the uplink {} of its network {} only {}: larger ones vanish",
            tap.mtu, nic.name, network.name, nic.mtu
        );
        Finding::problem("mtu", text).at(&tap.name).say(format!(
            "ip link set {} mtu {}, and in the guest; or start it with QEMU's -device …,host_mtu={}",
            word(&tap.name),
            nic.mtu,
            nic.mtu
        ))
    });
    findings.collect()
}

/// The host says what is too large (ICMP), which works unless a firewall on the way keeps it from the sender.
fn forwarded(seen: &Seen, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let mut names = plan::uplinks(desired, observed, false);
    names.extend(plan::uplinks(desired, observed, true));
    names.sort_unstable();
    names.dedup();
    // A bridge that is yet to be made has the kernel's default.
    let bridge = seen.observed.facts.link(&network.bridge).map_or(1500, |bridge| bridge.mtu);
    let taps = seen.observed.taps_on(&network.bridge).map(|tap| tap.mtu);
    let largest = taps.max().unwrap_or(bridge);
    let smaller = |link: &&Link| link.mtu < largest;
    let uplinks = names.iter().filter_map(|name| seen.observed.facts.link(name)).filter(smaller);
    let findings = uplinks.map(|uplink| {
        let text = format!(
            "takes packets of {} bytes, the guests of network {} send up to {largest}: some connections may hang",
            uplink.mtu, network.name
        );
        Finding::note("mtu", text).at(&uplink.name).say(format!(
            "set the MTU of the guests' NICs to {}: in the guests, or with QEMU's -device …,host_mtu={}",
            uplink.mtu, uplink.mtu
        ))
    });
    findings.collect()
}
