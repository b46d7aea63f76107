//! What kvmnet needs of the kernel. A feature that is built in leaves no certain trace, and a module is loaded when it is
//! asked for, so only what is certainly missing is reported: by the kernel's version, its configuration, or the list of its
//! modules.

use super::finding::{Finding, Place};
use super::input::{CheckInput, KernelFacts};
use crate::desired::Desired;
use crate::model::Mode;
use crate::observed::Tables;

struct Feature {
    what: &'static str,
    symbol: &'static str,
    /// The module, where it can be one.
    module: Option<&'static str>,
    /// The first Linux that has it.
    since: (u32, u32),
    /// Which networks need it; None where every machine does.
    needed: Option<fn(&Desired) -> bool>,
}

const UNBRIDGED: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.mode != Mode::Bridged);
const NAT: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.mode == Mode::Nat);
const VETH: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.veth.is_some());
const CLOSED: Option<fn(&Desired) -> bool> = Some(|desired| desired.closed);

const FEATURES: [Feature; 9] = [
    feature("bridges", "CONFIG_BRIDGE", Some("bridge"), (2, 4), None),
    feature("taps", "CONFIG_TUN", Some("tun"), (2, 4), None),
    feature("veth pairs", "CONFIG_VETH", Some("veth"), (2, 6), VETH),
    feature("nftables", "CONFIG_NF_TABLES", Some("nf_tables"), (3, 13), UNBRIDGED),
    feature("inet tables of nftables", "CONFIG_NF_TABLES_INET", None, (3, 14), UNBRIDGED),
    feature("NAT by nftables", "CONFIG_NFT_NAT", Some("nft_nat"), (4, 18), NAT),
    feature("masquerading by nftables", "CONFIG_NFT_MASQ", Some("nft_masq"), (4, 18), NAT),
    feature("netdev tables of nftables", "CONFIG_NF_TABLES_NETDEV", None, (4, 2), CLOSED),
    feature(EGRESS, "CONFIG_NETFILTER_EGRESS", None, (5, 16), CLOSED),
];

const EGRESS: &str = "egress chains of nftables, which close a bridge to the host";

const fn feature(
    what: &'static str,
    symbol: &'static str,
    module: Option<&'static str>,
    since: (u32, u32),
    needed: Option<fn(&Desired) -> bool>,
) -> Feature {
    Feature { what, symbol, module, since, needed }
}

pub fn check(input: &CheckInput) -> Vec<Finding> {
    let kernel = &input.kernel;
    // Asked over netlink, the kernel said that it has no nf_tables.
    let no_answer =
        |feature: &Feature| feature.symbol == "CONFIG_NF_TABLES" && input.tables == Tables::Absent;
    let is_needed = |feature: &&Feature| {
        feature.needed.is_none_or(|needed| input.configured.iter().any(|one| needed(&one.desired)))
    };
    let needed = FEATURES.iter().filter(is_needed);
    let missing: Vec<&Feature> =
        needed.filter(|feature| lacks(kernel, feature) || no_answer(feature)).collect();
    let mut findings: Vec<Finding> = missing.iter().map(|feature| finding(kernel, feature)).collect();
    if !kernel.tun_device && !missing.iter().any(|feature| feature.symbol == "CONFIG_TUN") {
        let finding = Finding::problem("kernel", "is not there: no program can make a tap");
        findings.push(finding.at(Place::file("/dev/net/tun")).run(["modprobe tun"]));
    }
    findings
}

fn finding(kernel: &KernelFacts, feature: &Feature) -> Finding {
    let Feature { what, symbol, module, since: (major, minor), .. } = feature;
    let text = format!("Linux {} has no {what} ({symbol})", kernel.release);
    let finding = Finding::problem("kernel", text);
    match module {
        _ if is_older(kernel, feature) => finding.say(format!("use Linux {major}.{minor} or later")),
        Some(module) => finding.say(format!(
            "`modprobe {module}` loads it if it is a module; some distributions have a package of extra modules"
        )),
        None => finding.say(format!("use a kernel that is built with {symbol}")),
    }
}

fn is_older(kernel: &KernelFacts, feature: &Feature) -> bool {
    let mut numbers = kernel.release.split(['.', '-']).map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version < feature.since)
}

/// Whether the feature is missing for certain.
fn lacks(kernel: &KernelFacts, feature: &Feature) -> bool {
    let Feature { symbol, module, .. } = feature;
    let configured = kernel.config.as_ref().and_then(|text| {
        text.lines().find_map(|line| match line.strip_prefix(symbol) {
            Some("=y" | "=m") => Some(true),
            _ => (line == format!("# {symbol} is not set")).then_some(false),
        })
    });
    // A line is `PATH/MODULE.ko: what it depends on`; it may be compressed, as `.ko.xz`.
    let names = |line: &str, module: &str| {
        let path = line.split(':').next().unwrap_or_default();
        path.rsplit('/').next().is_some_and(|file| file.split('.').next() == Some(module))
    };
    let listed = module.zip(kernel.modules.as_ref());
    let listed = listed.map(|(module, list)| list.lines().any(|line| names(line, module)));
    let present = module.is_some_and(|module| kernel.present.iter().any(|name| name == module));
    is_older(kernel, feature) || !present && !configured.or(listed).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lacking(kernel: &KernelFacts) -> Vec<&'static str> {
        FEATURES.iter().filter(|feature| lacks(kernel, feature)).map(|feature| feature.symbol).collect()
    }

    fn kernel(release: &str) -> KernelFacts {
        KernelFacts { release: release.to_owned(), tun_device: true, ..KernelFacts::default() }
    }

    #[test]
    fn nothing_known_is_nothing_missing() {
        assert_eq!(lacking(&kernel("6.18.44-fc-v669")), [""; 0]);
        assert_eq!(lacking(&kernel("unknown")), [""; 0]);
        assert_eq!(lacking(&kernel("5.16")), [""; 0]);
    }

    #[test]
    fn by_version() {
        assert_eq!(lacking(&kernel("5.15.0-105-generic")), ["CONFIG_NETFILTER_EGRESS"]);
        assert_eq!(lacking(&kernel("4.9.0-13-amd64")).len(), 3);
    }

    #[test]
    fn by_configuration() {
        let mut kernel = kernel("6.1.0");
        kernel.config =
            Some("CONFIG_VETH=m\n# CONFIG_BRIDGE is not set\n# CONFIG_TUN is not set\n".to_owned());
        assert_eq!(lacking(&kernel), ["CONFIG_BRIDGE", "CONFIG_TUN"]);
        kernel.present.push("tun".to_owned());
        assert_eq!(lacking(&kernel), ["CONFIG_BRIDGE"]);
    }

    #[test]
    fn by_list_of_modules() {
        let mut kernel = kernel("6.1.0");
        let list = "kernel/net/bridge/bridge.ko\nkernel/drivers/net/tun.ko\nkernel/drivers/net/veth.ko.xz:\n\
                    kernel/net/netfilter/nf_tables.ko: kernel/net/netfilter/nft_nat.ko\n\
                    kernel/net/netfilter/xnft_masq.ko.zst:\n";
        kernel.modules = Some(list.to_owned());
        assert_eq!(lacking(&kernel), ["CONFIG_NFT_NAT", "CONFIG_NFT_MASQ"]);
        kernel.config = Some("CONFIG_NFT_NAT=y\n".to_owned());
        assert_eq!(lacking(&kernel), ["CONFIG_NFT_MASQ"]);
    }
}
