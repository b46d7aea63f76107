//! What kvmnet needs of the kernel. A feature that is built in leaves no certain trace, and one that is a module is loaded
//! when it is asked for, so only what is certainly missing is told: by the kernel's version, its configuration, or the
//! list of its modules.

use super::finding::{Finding, Place};
use super::seen::{KernelFacts, Seen, Tables};
use crate::model::Mode;

/// Something that a kernel has, or has not.
struct Feature {
    what: &'static str,
    symbol: &'static str,
    /// The module, where it can be one.
    module: Option<&'static str>,
    /// The first Linux that has it.
    since: (u32, u32),
    /// Whether a network is in need of it.
    needed: fn(&Seen) -> bool,
}

const FEATURES: [Feature; 9] = [
    Feature { what: "bridges", symbol: "CONFIG_BRIDGE", module: Some("bridge"), since: (2, 4), needed: any },
    Feature { what: "taps", symbol: "CONFIG_TUN", module: Some("tun"), since: (2, 4), needed: any },
    Feature { what: "veth pairs", symbol: "CONFIG_VETH", module: Some("veth"), since: (2, 6), needed: pair },
    Feature {
        what: "nftables",
        symbol: "CONFIG_NF_TABLES",
        module: Some("nf_tables"),
        since: (3, 13),
        needed: unbridged,
    },
    Feature {
        what: "inet tables of nftables",
        symbol: "CONFIG_NF_TABLES_INET",
        module: None,
        since: (3, 14),
        needed: unbridged,
    },
    Feature {
        what: "NAT by nftables",
        symbol: "CONFIG_NFT_NAT",
        module: Some("nft_nat"),
        since: (4, 18),
        needed: nat,
    },
    Feature {
        what: "masquerading by nftables",
        symbol: "CONFIG_NFT_MASQ",
        module: Some("nft_masq"),
        since: (4, 18),
        needed: nat,
    },
    Feature {
        what: "netdev tables of nftables",
        symbol: "CONFIG_NF_TABLES_NETDEV",
        module: None,
        since: (4, 2),
        needed: closed,
    },
    Feature {
        what: "egress chains of nftables, which close a bridge to the host",
        symbol: "CONFIG_NETFILTER_EGRESS",
        module: None,
        since: (5, 16),
        needed: closed,
    },
];

fn any(_: &Seen) -> bool {
    true
}

fn unbridged(seen: &Seen) -> bool {
    seen.configured.iter().any(|one| one.desired.network.mode != Mode::Bridged)
}

fn nat(seen: &Seen) -> bool {
    seen.configured.iter().any(|one| one.desired.network.mode == Mode::Nat)
}

fn pair(seen: &Seen) -> bool {
    seen.configured.iter().any(|one| one.desired.network.veth.is_some())
}

fn closed(seen: &Seen) -> bool {
    seen.configured.iter().any(|one| one.desired.closed)
}

/// What is certainly missing.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let kernel = &seen.kernel;
    let missing: Vec<&Feature> = FEATURES
        .iter()
        .filter(|feature| (feature.needed)(seen) && (lacks(kernel, feature) || no_answer(seen, feature)))
        .collect();
    let mut findings: Vec<Finding> = missing.iter().map(|feature| told(kernel, feature)).collect();
    if !kernel.tun_device && !missing.iter().any(|feature| feature.symbol == "CONFIG_TUN") {
        let finding = Finding::problem("kernel", "is not there: no program can make a tap");
        findings.push(finding.at(Place::file("/dev/net/tun")).run(["modprobe tun"]));
    }
    findings
}

/// Asked over netlink, the kernel said that it has no nf_tables.
fn no_answer(seen: &Seen, feature: &Feature) -> bool {
    feature.symbol == "CONFIG_NF_TABLES" && seen.tables == Tables::Absent
}

fn told(kernel: &KernelFacts, feature: &Feature) -> Finding {
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
    let mut numbers = kernel.release.split(['.', '-']).map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < feature.since,
        _ => false,
    }
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
    let listed = module.zip(kernel.modules.as_ref()).map(|(module, list)| {
        let file = format!("/{module}.ko");
        list.lines().filter_map(|line| line.split(':').next()).any(|path| match path.find(&file) {
            // It may be compressed: .ko.xz, .ko.zst.
            Some(at) => {
                path.get(at + file.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            None => false,
        })
    });
    let present = module.is_some_and(|module| kernel.present.iter().any(|name| name == module));
    is_older(kernel, feature)
        || !present && (configured == Some(false) || configured.is_none() && listed == Some(false))
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
