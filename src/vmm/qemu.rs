//! The MACs of a QEMU's NICs, as its command line says. It does not know what was plugged in later.

use std::collections::{HashMap, HashSet};

use super::options::Options;
use crate::model::{IfName, MAX_LEN, Mac};

/// What QEMU gives the first NIC without a MAC, the same in every VM; the next NIC of the same VM gets the next
/// (`qemu_macaddr_default_if_unset`).
pub const DEFAULT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// How an option says which tap it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tap {
    Name(IfName),
    File(u32),
    Any,
}

/// What connects a NIC and taps: a netdev, or None for the hub of `-net`.
type Cable = Option<String>;

struct Nic {
    /// QEMU gives MACs to those of `-nic` first, then to those of `-net nic`, then to those of `-device`.
    turn: u8,
    mac: Option<Mac>,
    cable: Cable,
}

/// The taps of a QEMU, each with the MAC of a NIC on it. `taps` are those that it has open, each with the number of the
/// file, in that order. A command line may be of any length, so nothing searches all of it for each NIC.
pub fn macs(arguments: &[String], taps: &[(u32, IfName)]) -> Vec<(IfName, Mac)> {
    let (nics, backends) = read(arguments);
    let macs = by_cable(nics);
    let named: HashSet<Tap> = backends.iter().map(|(_, tap)| *tap).collect();
    let is_named = |file, name| named.contains(&Tap::File(file)) || named.contains(&Tap::Name(name));
    let unnamed = taps.iter().filter(|(file, name)| !is_named(*file, *name));
    let mut unnamed: Vec<IfName> = unnamed.map(|(_, name)| *name).collect();
    // One with several queues has several files in a row.
    unnamed.dedup();
    let mut unnamed = unnamed.into_iter();
    let files: HashMap<u32, IfName> = taps.iter().copied().collect();
    let names: HashSet<IfName> = files.values().copied().collect();
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for (cable, tap) in &backends {
        let name = match tap {
            Tap::Any => unnamed.next(),
            Tap::File(file) => files.get(file).copied(),
            Tap::Name(name) => names.get(name).copied(),
        };
        // The same cable to the same tap adds nothing.
        let Some(name) = name.filter(|name| known.insert((cable, *name))) else { continue };
        found.extend(macs.get(cable).into_iter().flatten().map(|mac| (name, *mac)));
    }
    found.dedup();
    found
}

/// The NICs, in the order in which QEMU gives them MACs, and the taps.
fn read(arguments: &[String]) -> (Vec<Nic>, Vec<(Cable, Tap)>) {
    let (mut nics, mut backends) = (Vec::new(), Vec::new());
    for (number, pair) in arguments.windows(2).enumerate() {
        let [option, value] = pair else { continue };
        let option = option.strip_prefix('-').map(|option| option.trim_start_matches('-'));
        let Some(option @ ("nic" | "net" | "netdev" | "device")) = option else { continue };
        let options = Options::read(value, "type");
        let kind = options.get("type");
        let nic = |turn: u8, key: &str, cable: Cable| {
            Some(Nic { turn, mac: options.get(key).and_then(|mac| mac.parse().ok()), cable })
        };
        let netdev = options.get("netdev").map(str::to_owned);
        // Both ends of the cable of `-nic`, which nothing else names.
        let own = Some(format!("-nic {number}"));
        let (nic, backend) = match (option, kind) {
            ("nic", Some("none")) => (None, None),
            ("nic", Some("tap" | "bridge")) => (nic(0, "mac", own.clone()), Some(own)),
            ("nic", _) => (nic(0, "mac", own), None),
            ("net", Some("nic")) => (nic(1, "macaddr", netdev), None),
            ("net", Some("tap" | "bridge")) => (None, Some(None)),
            // A bridge's tap comes from a helper that QEMU starts.
            ("netdev", Some("tap" | "bridge")) => (None, Some(options.get("id").map(str::to_owned))),
            ("device", _) if netdev.is_some() => (nic(2, "mac", netdev), None),
            _ => (None, None),
        };
        nics.extend(nic);
        if let Some(cable) = backend {
            backends.extend(taps(&options).into_iter().map(|tap| (cable.clone(), tap)));
        }
    }
    nics.sort_by_key(|nic| nic.turn);
    (nics, backends)
}

/// The MACs of NICs. One that was given none gets, as from QEMU, the first default that no NIC before has.
fn by_cable(nics: Vec<Nic>) -> HashMap<Cable, Vec<Mac>> {
    let Mac([a, b, c, d, e, first]) = DEFAULT_MAC;
    let mut used: HashSet<Mac> = HashSet::new();
    // A MAC that is used stays used, so the search goes on where it ended.
    let mut free = (first..0xff).map(|last| Mac([a, b, c, d, e, last]));
    let mut by_cable: HashMap<Cable, Vec<Mac>> = HashMap::new();
    for nic in nics {
        let Some(mac) = nic.mac.or_else(|| free.find(|mac| !used.contains(mac))) else { continue };
        used.insert(mac);
        by_cable.entry(nic.cable).or_default().push(mac);
    }
    by_cable
}

/// The taps of a backend; one with several queues has several files of one tap.
fn taps(options: &Options) -> Vec<Tap> {
    let files = ["fd", "fds"].iter().filter_map(|key| options.get(key)).flat_map(|files| files.split(':'));
    let files: Vec<Tap> = files.filter_map(|file| file.parse().ok()).map(Tap::File).collect();
    match options.get("ifname").filter(|name| !name.contains('%')) {
        _ if !files.is_empty() => files,
        // QEMU cuts names to the length that the kernel takes.
        Some(name) => IfName::new(name.get(..MAX_LEN).unwrap_or(name)).map(Tap::Name).into_iter().collect(),
        None => vec![Tap::Any],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(line: &str, taps: &[(u32, &str)], wanted: &[(&str, &str)]) {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let taps: Vec<_> = taps.iter().map(|(file, name)| (*file, IfName::new(name).unwrap())).collect();
        let found = macs(&arguments, &taps);
        let found: Vec<_> = found.iter().map(|(tap, mac)| (tap.to_string(), mac.to_string())).collect();
        let wanted: Vec<_> =
            wanted.iter().map(|(tap, mac)| ((*tap).to_owned(), format!("52:54:00:12:34:{mac}"))).collect();
        assert_eq!(found, wanted, "{line}");
    }

    #[test]
    fn as_people_type_it() {
        let tap = &[(9, "vif0.0")];
        for line in [
            "qemu -net nic -net tap,ifname=vif0.0,script=/etc/qemu-ifup",
            "qemu -nic tap,ifname=vif0.0",
            "qemu -netdev tap,id=n0,ifname=vif0.0 -device virtio-net-pci,netdev=n0",
            "qemu --device e1000,netdev=n0 --netdev type=tap,id=n0",
            "qemu -nic tap",
            "qemu -nic tap,ifname=vif%d",
        ] {
            check(line, tap, &[("vif0.0", "56")]);
        }
        for line in [
            "qemu -net nic,macaddr=52:54:00:12:34:77 -net tap,ifname=vif0.0",
            "qemu -nic tap,ifname=vif0.0,mac=52:54:00:12:34:77",
            "qemu -netdev tap,id=n0,ifname=vif0.0 -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:77",
        ] {
            check(line, tap, &[("vif0.0", "77")]);
        }
    }

    #[test]
    fn as_libvirt_starts_it() {
        let line = "qemu -netdev {\"type\":\"tap\",\"fd\":\"33\",\"vhost\":true,\"id\":\"hostnet0\"} \
                    -device {\"driver\":\"virtio-net-pci\",\"netdev\":\"hostnet0\",\"mac\":\"52:54:00:12:34:99\"}";
        check(line, &[(30, "vnet1"), (33, "vnet0")], &[("vnet0", "99")]);
        let line = "qemu -netdev tap,fds=33:34,id=n0 -device virtio-net-pci,mq=on,netdev=n0";
        check(line, &[(33, "vnet0"), (34, "vnet0")], &[("vnet0", "56")]);
    }

    /// Work that grows with the square of it would take minutes, and the test its time.
    #[test]
    fn a_line_of_any_length() {
        let nic = |number: usize| {
            format!(" -netdev tap,id=n{number},ifname=t{number} -device e1000,netdev=n{number}")
        };
        let all: String = (0..40_000).map(nic).collect();
        check(&format!("qemu{all}"), &[(9, "t3"), (10, "t900")], &[("t3", "59")]);
        let open: Vec<(u32, IfName)> =
            (0..30_000).map(|n| (n, IfName::new(&format!("t{n}")).unwrap())).collect();
        let line: Vec<String> = format!("qemu{all}").split_whitespace().map(str::to_owned).collect();
        assert_eq!(macs(&line, &open).len(), 0xff - 0x56);
    }

    #[test]
    fn several_nics() {
        let taps = &[(9, "a"), (10, "b"), (11, "tap0")];
        let line = "qemu -netdev tap,id=y,ifname=b -device e1000,netdev=y -nic user -nic tap \
                    -nic tap,ifname=a,mac=52:54:00:12:34:57";
        // As `info network` of QEMU 7.2 says: one that is silent does not know of those behind it.
        check(line, taps, &[("b", "58"), ("tap0", "57"), ("a", "57")]);
        let line = "qemu -nic tap,queues=2 -nic tap";
        check(line, &[(9, "tap0"), (10, "tap0"), (11, "tap1")], &[("tap0", "56"), ("tap1", "57")]);
    }

    #[test]
    fn a_mac_is_found_on_its_tap() {
        let tap = &[(9, "vif0.0")];
        let given = &[("vif0.0", "07")];
        let default = &[("vif0.0", "56")];
        for (line, expected) in [
            ("qemu -nic tap,ifname=vif0.0,mac=52:54:00:12:34:07", &given[..]),
            ("qemu -net nic,macaddr=52:54:00:12:34:07 -net tap,ifname=vif0.0", given),
            ("qemu -netdev tap,id=a,ifname=vif0.0 -device e1000,netdev=a,mac=52:54:00:12:34:07", given),
            ("qemu -netdev tap,id=a,ifname=vif0.0 -device e1000,netdev=a", default),
            ("qemu -net nic -net tap,ifname=vif0.0", default),
            ("qemu -nic tap,ifname=vif0.0", default),
            ("qemu -nic tap,ifname=vif0.0 -nic tap,ifname=vif1.0", default),
            ("qemu -nic tap,ifname=vif0.0 -nic tap,ifname=vif1.0,mac=52:54:00:12:34:07", default),
            ("qemu -netdev tap,id=a,ifname=vif0.0", &[]),
            ("qemu -nic tap,ifname=vif1.0,mac=52:54:00:12:34:07", &[]),
            ("qemu -nic user", &[]),
            ("qemu -nic bridge,br=lab,mac=52:54:00:12:34:07", given),
            ("qemu -netdev bridge,br=lab,id=a -device e1000,netdev=a", default),
            ("qemu -net nic -net bridge", default),
        ] {
            check(line, tap, expected);
        }
    }

    #[test]
    fn no_nic_has_no_mac() {
        check("qemu -netdev tap,id=n0,ifname=vif0.0", &[(9, "vif0.0")], &[]);
        check("qemu -nic none", &[(9, "vif0.0")], &[]);
        check("cloud-hypervisor --net tap=vif0.0", &[(9, "vif0.0")], &[]);
        check("qemu -nic", &[(9, "vif0.0")], &[]);
    }
}
