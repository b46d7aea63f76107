//! Guests whose packets are larger than their uplink takes.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::input::{CheckInput, Configured};
use crate::feature;
use crate::model::{IfName, Link, Mode, Network};
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
    let Network { name, bridge, .. } = &desired.network;
    let Some(nic) = observed.nic(&desired.network).filter(|nic| !nic.is_bridge()) else { return Vec::new() };
    let (uplink, mtu) = (nic.name, nic.mtu);
    let larger = input.observed.taps_on(bridge).filter(|tap| tap.mtu > mtu);
    let findings = larger.map(|tap| {
        let (sends, word) = (tap.mtu, shell_word(tap.name));
        let text = format!(
            "takes packets of {sends} bytes, the uplink {uplink} of its network {name} only {mtu}: larger ones vanish"
        );
        Finding::problem("mtu", text).at(&tap.name).say(format!(
            "ip link set {word} mtu {mtu}, and in the guest; or start it with QEMU's -device …,host_mtu={mtu}"
        ))
    });
    findings.collect()
}

/// The host says what is too large (ICMP), which works unless a firewall on the way keeps it from the sender.
fn forwarded(input: &CheckInput, Configured { desired, observed }: &Configured) -> Vec<Finding> {
    let Network { name, bridge, .. } = &desired.network;
    let facts = &input.observed.facts;
    let uplinks: BTreeSet<IfName> =
        [false, true].into_iter().flat_map(|v6| feature::uplinks(desired, observed, v6)).collect();
    let taps = input.observed.taps_on(bridge).map(|tap| tap.mtu);
    // A bridge that is yet to be made has the kernel's default.
    let largest = taps.max().or(facts.link(bridge).map(|bridge| bridge.mtu)).unwrap_or(1500);
    let smaller = uplinks.iter().filter_map(|name| facts.link(name)).filter(|uplink| uplink.mtu < largest);
    let findings = smaller.map(|Link { name: uplink, mtu, .. }| {
        let text = format!(
            "takes packets of {mtu} bytes, the guests of network {name} send up to {largest}: some connections may hang"
        );
        Finding::note("mtu", text).at(uplink).say(format!(
            "set the MTU of the guests' NICs to {mtu}: in the guests, or with QEMU's -device …,host_mtu={mtu}"
        ))
    });
    findings.collect()
}
