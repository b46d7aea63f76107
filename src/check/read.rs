//! Reads everything that is checked, and changes nothing.

use std::fs;
use std::io;
use std::path::Path;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::bridge_filter::{FAMILIES, Family};
use super::hooks;
use super::input::{CheckInput, Configured, Firewall};
use super::kernel::KernelFacts;
use super::quiet::Quiet;
use crate::apply::Kernel;
use crate::config::{ConfigReport, Environment};
use crate::error::Error;
use crate::holder;
use crate::netlink::nft::Nft;
use crate::observed::{Observed, Tables};

pub fn read(environment: &Environment) -> Result<CheckInput, Error> {
    let config = ConfigReport::read(environment);
    let quiet = Quiet::begin();
    let Kernel { mut rtnl, mut nft } = Kernel::open()?;
    let ask = || Error::system("ask the kernel");
    let nets: Vec<IpNet> =
        config.networks.iter().flat_map(|network| network.addresses.iter().copied()).collect();
    let observed = Observed::survey(nft.as_mut(), &mut rtnl, &nets).map_err(ask())?;
    let mut nft = nft.filter(|_| observed.nft == Tables::Readable);
    let firewall = firewall(nft.as_mut()).map_err(ask())?;
    let mut configured = Vec::new();
    for network in config.networks.iter().cloned() {
        let (desired, observed) = observed.of_network(nft.as_mut(), &mut rtnl, network).map_err(ask())?;
        configured.push(Configured { desired, observed });
    }
    let addresses = rtnl.all_addresses().map_err(ask())?;
    let without_ipv6 = without_ipv6(&configured);
    Ok(CheckInput {
        busy: quiet.end(),
        root: nix::unistd::geteuid().is_root(),
        // Not by opening it: that waits where it is a FIFO.
        config_hidden: access(config.file.would_be_at(), AccessFlags::R_OK) == Err(Errno::EACCES),
        addresses: addresses.into_iter().map(|(_, address)| address.net.addr()).collect(),
        without_ipv6,
        config,
        configured,
        observed,
        firewall,
        bridge_filter: FAMILIES.into_iter().filter(is_used).collect(),
        holders: holder::all(),
        kernel: KernelFacts::read(),
        hooks: hooks::PATHS.map(hooks::read),
    })
}

/// The firewall of others.
fn firewall(nft: Option<&mut Nft>) -> io::Result<Firewall> {
    let mut firewall = Firewall { legacy: legacy(), ..Firewall::default() };
    let Some(nft) = nft else { return Ok(firewall) };
    firewall.chains = nft.chains()?;
    // The kernel tells chains table by table.
    let mut tables: Vec<_> = firewall.deciding().map(|chain| (chain.protocol, &chain.table)).collect();
    tables.dedup();
    let rules = tables.into_iter().map(|(protocol, table)| nft.rules(protocol, table));
    firewall.rules = rules.collect::<io::Result<Vec<_>>>()?.concat();
    Ok(firewall)
}

/// iptables-legacy has its tables apart from nf_tables; which of them are in use is all that can be read of them.
fn legacy() -> Vec<&'static str> {
    let names = |family: &str| fs::read_to_string(format!("/proc/net/{family}_tables_names"));
    let uses = |family: &&str| names(family).is_ok_and(|names| names.lines().any(|name| name == "filter"));
    ["ip", "ip6"].into_iter().filter(uses).collect()
}

/// The interfaces that the host's addresses are or will be on, and that take no IPv6 address.
fn without_ipv6(configured: &[Configured]) -> Option<Vec<String>> {
    let conf = Path::new("/proc/sys/net/ipv6/conf");
    let host_ifs = configured.iter().map(|one| one.desired.host_if().to_string());
    let names = host_ifs.chain(["default".to_owned()]);
    conf.exists().then(|| names.filter(|name| is_on(conf.join(name).join("disable_ipv6"))).collect())
}

fn is_used(family: &Family) -> bool {
    is_on(Path::new("/proc/sys/net/bridge").join(family.setting))
}

fn is_on(setting: impl AsRef<Path>) -> bool {
    fs::read_to_string(setting).is_ok_and(|value| value.trim() != "0")
}
