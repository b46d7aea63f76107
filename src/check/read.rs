//! Reads everything that is checked, and changes nothing.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::input::{CheckInput, Configured, Firewall, HookFile, KernelFacts};
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
    let kernel = Kernel::open()?;
    let ask = || Error::system("ask the kernel");
    let (mut nft, tables, firewall) = firewall(kernel.nft).map_err(ask())?;
    let mut rtnl = kernel.rtnl;
    let nets: Vec<IpNet> =
        config.networks.iter().flat_map(|network| network.addresses.iter().copied()).collect();
    let observed = Observed::survey(nft.as_mut(), &mut rtnl, &nets).map_err(ask())?;
    let mut configured = Vec::new();
    for network in config.networks.iter().cloned() {
        let read = observed.of_network(nft.as_mut(), &mut rtnl, network).map_err(ask())?;
        configured.push(Configured { desired: read.0, observed: read.1 });
    }
    let addresses = rtnl.all_addresses().map_err(ask())?;
    let without_ipv6 = without_ipv6(&configured);
    let busy = quiet.end();
    Ok(CheckInput {
        root: nix::unistd::geteuid().is_root(),
        // Not by opening it: that waits where it is a FIFO.
        config_hidden: access(config.file.would_be_at(), AccessFlags::R_OK) == Err(Errno::EACCES),
        addresses: addresses.into_iter().map(|(_, address)| address.net.addr()).collect(),
        without_ipv6,
        busy,
        config,
        configured,
        observed,
        tables,
        firewall,
        bridge_filter: ["iptables", "ip6tables"]
            .map(|word| is_on(format!("/proc/sys/net/bridge/bridge-nf-call-{word}"))),
        holders: holder::all(),
        kernel: kernel_facts(),
        hooks: ["/etc/qemu-ifup", "/etc/qemu-ifdown"].map(|path| (path, hook(path))),
    })
}

/// The firewall of others; the socket only where it answers.
fn firewall(nft: Option<Nft>) -> io::Result<(Option<Nft>, Tables, Firewall)> {
    let mut firewall = Firewall { legacy: legacy(), ..Firewall::default() };
    let Some(mut nft) = nft else { return Ok((None, Tables::Absent, firewall)) };
    firewall.chains = match nft.chains() {
        Ok(chains) => chains,
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPERM) => return Ok((None, Tables::Hidden, firewall)),
            // nfnetlink is there, nf_tables is not.
            Some(Errno::EINVAL) => return Ok((None, Tables::Absent, firewall)),
            _ => return Err(error),
        },
    };
    let mut asked = Vec::new();
    for chain in firewall.chains.iter().filter(|chain| chain.decides()) {
        let table = (chain.protocol, &chain.table);
        if !asked.contains(&table) {
            asked.push(table);
            firewall.rules.extend(nft.rules(chain.protocol, &chain.table)?);
        }
    }
    Ok((Some(nft), Tables::Readable, firewall))
}

/// iptables-legacy has its tables apart from nf_tables; which of them are in use is all that can be read of them.
fn legacy() -> Vec<&'static str> {
    let uses = |path| fs::read_to_string(path).is_ok_and(|names| names.lines().any(|name| name == "filter"));
    let paths = [("ip", "/proc/net/ip_tables_names"), ("ip6", "/proc/net/ip6_tables_names")];
    paths.into_iter().filter(|(_, path)| uses(*path)).map(|(family, _)| family).collect()
}

/// The interfaces that the host's addresses are or will be on, and that take no IPv6 address.
fn without_ipv6(configured: &[Configured]) -> Option<Vec<String>> {
    let conf = Path::new("/proc/sys/net/ipv6/conf");
    let host_ifs = configured.iter().map(|one| one.desired.host_if().to_string());
    let names = host_ifs.chain(["default".to_owned()]);
    conf.exists().then(|| names.filter(|name| is_on(conf.join(name).join("disable_ipv6"))).collect())
}

fn is_on(setting: impl AsRef<Path>) -> bool {
    fs::read_to_string(setting).is_ok_and(|value| value.trim() != "0")
}

fn kernel_facts() -> KernelFacts {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let list = |name: &str| fs::read_to_string(format!("/lib/modules/{release}/{name}")).ok();
    let modules = list("modules.builtin").zip(list("modules.dep"));
    let present = fs::read_dir("/sys/module").into_iter().flatten().flatten();
    KernelFacts {
        config: fs::read_to_string(format!("/boot/config-{release}")).ok(),
        modules: modules.map(|(builtin, loadable)| builtin + &loadable),
        present: present.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
        tun_device: Path::new("/dev/net/tun").exists(),
        release,
    }
}

/// More than the largest of kvmnet's programs has, and what both have in them.
const MAX_PROGRAM: u64 = 16 * 1024 * 1024;
const IN_PROGRAM: &[u8] = crate::lock::PATH.as_bytes();

fn hook(path: &str) -> HookFile {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let target = fs::read_link(path).map(|target| target.to_string_lossy().into_owned());
            return target.map_or(HookFile::Missing, HookFile::Dangling);
        }
        Err(_) => return HookFile::Hidden,
    };
    if !about.is_file() {
        return HookFile::Foreign;
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_PROGRAM).read_to_end(&mut bytes));
    match read {
        Err(_) => HookFile::Hidden,
        Ok(_) if !bytes.windows(IN_PROGRAM.len()).any(|window| window == IN_PROGRAM) => HookFile::Foreign,
        _ if about.permissions().mode() & 0o111 == 0 => HookFile::NotExecutable,
        _ => HookFile::Ours,
    }
}
