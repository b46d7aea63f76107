//! The MACs of a QEMU's NICs, as its command line says. What was plugged in later it does not.

use std::collections::{HashMap, HashSet};

use super::options::Options;
use crate::model::{IfName, MAX_LEN, Mac};

/// What QEMU gives the first NIC that was given none, in every VM the same; the next NIC of the same VM gets the next
/// (`qemu_macaddr_default_if_unset`).
pub const DEFAULT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// How an option says which tap it means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Tap {
    Named(String),
    File(u32),
    Any,
}

/// A NIC: the MAC that it was given, and where its cable goes: to a netdev, or to the hub of `-net`.
struct Nic {
    mac: Option<Mac>,
    netdev: Option<String>,
}

/// The taps of a QEMU, each with the MAC of a NIC on it. `taps` are those that it has open, each with the number of the
/// file, in that order. A command line may be as long as its author likes, so nothing is looked for along all of it.
pub fn macs(arguments: &[String], taps: &[(u32, IfName)]) -> Vec<(IfName, Mac)> {
    let mut line = Line::read(arguments);
    line.give_defaults();
    let named: HashSet<Tap> = line.backends.iter().flat_map(|(_, taps)| taps).map(Tap::cut).collect();
    let is_named = |file: u32, name: &IfName| {
        named.contains(&Tap::File(file)) || named.contains(&Tap::Named(name.to_string()))
    };
    let mut rest: Vec<IfName> =
        taps.iter().filter(|(file, name)| !is_named(*file, name)).map(|(_, name)| *name).collect();
    // One with several queues has several files, one behind the other.
    rest.dedup();
    let mut rest = rest.into_iter();
    let open: HashMap<Tap, IfName> = taps
        .iter()
        .flat_map(|(file, name)| [(Tap::File(*file), *name), (Tap::Named(name.to_string()), *name)])
        .collect();
    let mut nics: HashMap<&Option<String>, Vec<Mac>> = HashMap::new();
    for nic in &line.nics {
        nic.mac.into_iter().for_each(|mac| nics.entry(&nic.netdev).or_default().push(mac));
    }
    let backends = line.backends.iter().flat_map(|(netdev, taps)| taps.iter().map(move |tap| (netdev, tap)));
    let mut found = Vec::new();
    let mut told = HashSet::new();
    for (netdev, tap) in backends {
        let name = match tap {
            Tap::Any => rest.next(),
            tap => open.get(&tap.cut()).copied(),
        };
        // Two that have the same netdev and tap say the same again.
        let Some(name) = name.filter(|name| told.insert((netdev, *name))) else { continue };
        found.extend(nics.get(netdev).into_iter().flatten().map(|mac| (name, *mac)));
    }
    found.dedup();
    found
}

impl Tap {
    /// QEMU cuts names to the length that the kernel takes.
    fn cut(&self) -> Self {
        match self {
            Tap::Named(name) => Tap::Named(name.get(..MAX_LEN).unwrap_or(name).to_owned()),
            other => other.clone(),
        }
    }
}

/// What a command line says of networks.
#[derive(Default)]
struct Line {
    /// In the order in which QEMU gives them MACs: of `-nic`, of `-net nic`, of `-device`.
    nics: Vec<Nic>,
    /// The taps of a netdev, or of the hub.
    backends: Vec<(Option<String>, Vec<Tap>)>,
}

impl Line {
    fn read(arguments: &[String]) -> Self {
        let mut line = Self::default();
        let (mut of_net, mut of_device) = (Vec::new(), Vec::new());
        for (number, pair) in arguments.windows(2).enumerate() {
            let [option, value] = pair else { continue };
            match option.trim_start_matches('-') {
                _ if !option.starts_with('-') => {}
                "netdev" => line.netdev(&Options::read(value, "type")),
                "nic" => line.nic(number, &Options::read(value, "type")),
                "net" => {
                    let options = Options::read(value, "type");
                    match options.get("type") {
                        Some("nic") => of_net.push(Nic::new(&options, "macaddr", options.get("netdev"))),
                        Some("tap") => line.backends.push((None, taps(&options))),
                        _ => {}
                    }
                }
                "device" => {
                    let options = Options::read(value, "driver");
                    let netdev = options.get("netdev");
                    of_device.extend(netdev.map(|netdev| Nic::new(&options, "mac", Some(netdev))));
                }
                _ => {}
            }
        }
        line.nics.extend(of_net);
        line.nics.extend(of_device);
        line
    }

    fn netdev(&mut self, options: &Options) {
        if options.get("type") == Some("tap") {
            self.backends.push((options.get("id").map(str::to_owned), taps(options)));
        }
    }

    /// `-nic` is both ends of a cable, which nothing else names.
    fn nic(&mut self, number: usize, options: &Options) {
        let kind = options.get("type");
        if kind == Some("none") {
            return;
        }
        let cable = format!("-nic {number}");
        self.nics.push(Nic::new(options, "mac", Some(&cable)));
        if kind == Some("tap") {
            self.backends.push((Some(cable), taps(options)));
        }
    }

    /// Gives a MAC to each NIC that has none, as QEMU does: the first of its own that no NIC before has.
    fn give_defaults(&mut self) {
        let Mac([a, b, c, d, e, first]) = DEFAULT_MAC;
        let mut used: HashSet<Mac> = HashSet::new();
        // What is used once stays so: the search goes on where it ended.
        let mut free = (first..0xff).map(|last| Mac([a, b, c, d, e, last]));
        for nic in &mut self.nics {
            nic.mac = nic.mac.or_else(|| free.find(|mac| !used.contains(mac)));
            used.extend(nic.mac);
        }
    }
}

impl Nic {
    fn new(options: &Options, mac: &str, netdev: Option<&str>) -> Self {
        Self { mac: options.get(mac).and_then(Mac::parse), netdev: netdev.map(str::to_owned) }
    }
}

/// The taps of a backend; one with several queues has several files of one tap.
fn taps(options: &Options) -> Vec<Tap> {
    let files = ["fd", "fds"].iter().filter_map(|key| options.get(key)).flat_map(|files| files.split(':'));
    let files: Vec<Tap> = files.filter_map(|file| file.parse().ok()).map(Tap::File).collect();
    match options.get("ifname") {
        _ if !files.is_empty() => files,
        Some(name) if !name.contains('%') => vec![Tap::Named(name.to_owned())],
        _ => vec![Tap::Any],
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
