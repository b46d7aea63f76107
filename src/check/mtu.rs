//! Guests whose packets are larger than their uplink takes.

use super::finding::Finding;
use super::input::{CheckInput, Configured};
use crate::feature;
use crate::model::{IfName, Mode};
use crate::terminal::shell_word;

/// Of every network.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let findings = input.configured.iter().flat_map(|configured| match configured.desired.network.mode {
        Mode::Bridged => bridged(input, configured),
        _ => forwarded(input, configured),
    });
    findings.collect()
}

/// A bridge silently drops a frame that is too large for a port (`is_skb_forwardable`).
fn bridged(input: &CheckInput, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let Some(nic) = observed.nic(network).filter(|nic| !nic.is_bridge()) else { return Vec::new() };
    let larger = input.observed.taps_on(&network.bridge).filter(|tap| tap.mtu > nic.mtu);
    let findings = larger.map(|tap| {
        let text = format!(
            "takes packets of {} bytes, the uplink {} of its network {} only {}: larger ones vanish",
            tap.mtu, nic.name, network.name, nic.mtu
        );
        Finding::problem("mtu", text).at(&tap.name).say(format!(
            "ip link set {} mtu {}, and in the guest; or start it with QEMU's -device …,host_mtu={}",
            shell_word(tap.name),
            nic.mtu,
            nic.mtu
        ))
    });
    findings.collect()
}

/// The host says what is too large (ICMP), which works unless a firewall on the way keeps it from the sender.
fn forwarded(input: &CheckInput, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let network = &desired.network;
    let facts = &input.observed.facts;
    let mut uplinks: Vec<IfName> =
        [false, true].into_iter().flat_map(|v6| feature::uplinks(desired, observed, v6)).collect();
    uplinks.sort_unstable();
    uplinks.dedup();
    let taps = input.observed.taps_on(&network.bridge).map(|tap| tap.mtu);
    // A bridge that is yet to be made has the kernel's default.
    let bridge = || facts.link(&network.bridge).map_or(1500, |bridge| bridge.mtu);
    let largest = taps.max().unwrap_or_else(bridge);
    let smaller = uplinks.iter().filter_map(|name| facts.link(name)).filter(|uplink| uplink.mtu < largest);
    let findings = smaller.map(|uplink| {
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
