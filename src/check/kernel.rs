//! What kvmnet needs of the kernel. A feature that is built in leaves no certain trace, and a module is loaded when it is
//! asked for, so only what is certainly missing is reported: by the kernel's version, its configuration, or the list of its
//! modules.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::desired::Desired;
use crate::model::Mode;
use crate::observed::Tables;

/// What the kernel can do, from several sources.
#[derive(Debug, Default)]
pub struct KernelFacts {
    /// `uname -r`.
    release: String,
    /// The text of /boot/config-RELEASE.
    config: String,
    /// The text of modules.builtin and modules.dep in /lib/modules/RELEASE; empty unless there are both.
    modules: String,
    /// The modules of /sys/module.
    present: Vec<String>,
    tun_device: bool,
}

impl KernelFacts {
    pub fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let release = read("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let lists = ["builtin", "dep"].map(|list| read(&format!("/lib/modules/{release}/modules.{list}")));
        let present = fs::read_dir("/sys/module").into_iter().flatten().flatten();
        Self {
            config: read(&format!("/boot/config-{release}")).unwrap_or_default(),
            modules: lists.into_iter().collect::<Option<String>>().unwrap_or_default(),
            present: present.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
            tun_device: Path::new("/dev/net/tun").exists(),
            release,
        }
    }

    fn is_before(&self, since: (u32, u32)) -> bool {
        let mut numbers = self.release.split(['.', '-']).map_while(|number| number.parse().ok());
        numbers.next().zip(numbers.next()).is_some_and(|version| version < since)
    }
}

/// What it is called, its symbol in the configuration, its module where it can be one, the first Linux that has it, and
/// which networks need it: None where every machine does.
struct Feature(&'static str, &'static str, Option<&'static str>, (u32, u32), Option<fn(&Desired) -> bool>);

const UNBRIDGED: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.mode != Mode::Bridged);
const NAT: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.mode == Mode::Nat);
const VETH: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.veth.is_some());
const CLOSED: Option<fn(&Desired) -> bool> = Some(|desired| desired.network.is_closed());

const FEATURES: [Feature; 9] = [
    Feature("bridges", "CONFIG_BRIDGE", Some("bridge"), (2, 4), None),
    Feature("taps", TUN, Some("tun"), (2, 4), None),
    Feature("veth pairs", "CONFIG_VETH", Some("veth"), (2, 6), VETH),
    Feature("nftables", NF_TABLES, Some("nf_tables"), (3, 13), UNBRIDGED),
    Feature("inet tables of nftables", "CONFIG_NF_TABLES_INET", None, (3, 14), UNBRIDGED),
    Feature("NAT by nftables", "CONFIG_NFT_NAT", Some("nft_nat"), (4, 18), NAT),
    Feature("masquerading by nftables", "CONFIG_NFT_MASQ", Some("nft_masq"), (4, 18), NAT),
    Feature("netdev tables of nftables", "CONFIG_NF_TABLES_NETDEV", None, (4, 2), CLOSED),
    Feature(EGRESS, "CONFIG_NETFILTER_EGRESS", None, (5, 16), CLOSED),
];

const TUN: &str = "CONFIG_TUN";
const NF_TABLES: &str = "CONFIG_NF_TABLES";
const EGRESS: &str = "egress chains of nftables, which close a bridge to the host";

pub fn check(input: &CheckInput) -> Vec<Finding> {
    let kernel = &input.kernel;
    let is_needed = |Feature(.., needed): &&Feature| {
        needed.is_none_or(|needed| input.configured.iter().any(|one| needed(&one.desired)))
    };
    // Asked over netlink, the kernel said that it has no nf_tables.
    let no_answer = |symbol: &str| symbol == NF_TABLES && input.observed.nft == Tables::Absent;
    let is_missing = |feature: &&Feature| lacks(kernel, feature) || no_answer(feature.1);
    let missing: Vec<&Feature> = FEATURES.iter().filter(is_needed).filter(is_missing).collect();
    let mut findings: Vec<Finding> = missing.iter().map(|feature| finding(kernel, feature)).collect();
    if !kernel.tun_device && !missing.iter().any(|Feature(_, symbol, ..)| *symbol == TUN) {
        let finding = Finding::problem("kernel", "is not there: no program can make a tap");
        findings.push(finding.at(Place::file("/dev/net/tun")).run(["modprobe tun"]));
    }
    findings
}

fn finding(kernel: &KernelFacts, Feature(what, symbol, module, since, _): &Feature) -> Finding {
    let text = format!("Linux {} has no {what} ({symbol})", kernel.release);
    let finding = Finding::problem("kernel", text);
    match module {
        _ if kernel.is_before(*since) => finding.say(format!("use Linux {}.{} or later", since.0, since.1)),
        Some(module) => finding.say(format!(
            "`modprobe {module}` loads it if it is a module; some distributions have a package of extra modules"
        )),
        None => finding.say(format!("use a kernel that is built with {symbol}")),
    }
}

/// Whether the feature is missing for certain: a line of the configuration outweighs the list of modules.
fn lacks(kernel: &KernelFacts, Feature(_, symbol, module, since, _): &Feature) -> bool {
    let says = |line: String| kernel.config.lines().any(|known| known == line);
    let is_there = module.is_some_and(|module| kernel.present.iter().any(|name| name == module))
        || ["=y", "=m"].iter().any(|value| says(format!("{symbol}{value}")));
    let is_unlisted =
        |module| !kernel.modules.is_empty() && !kernel.modules.lines().any(|line| is_of(line, module));
    kernel.is_before(*since)
        || !is_there && (says(format!("# {symbol} is not set")) || module.is_some_and(is_unlisted))
}

/// A line of a list is `PATH/MODULE.ko: what it depends on`; the module may be compressed, as `.ko.xz`.
fn is_of(line: &str, module: &str) -> bool {
    let path = line.split(':').next().unwrap_or_default();
    path.rsplit('/').next().is_some_and(|file| file.split('.').next() == Some(module))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lacking(kernel: &KernelFacts) -> Vec<&'static str> {
        FEATURES.iter().filter(|feature| lacks(kernel, feature)).map(|feature| feature.1).collect()
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
        kernel.config = "CONFIG_VETH=m\n# CONFIG_BRIDGE is not set\n# CONFIG_TUN is not set\n".to_owned();
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
        kernel.modules = list.to_owned();
        assert_eq!(lacking(&kernel), ["CONFIG_NFT_NAT", "CONFIG_NFT_MASQ"]);
        kernel.config = "CONFIG_NFT_NAT=y\n".to_owned();
        assert_eq!(lacking(&kernel), ["CONFIG_NFT_MASQ"]);
    }
}
