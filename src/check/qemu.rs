//! The MACs of a QEMU's NICs, as its command line says. What was plugged in later it does not.

use std::collections::BTreeMap;

use crate::model::{IfName, Mac};

/// A process that has taps open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its arguments, the program's name first.
    pub arguments: Vec<String>,
    /// Its taps, each with the number of the open file, in that order.
    pub taps: Vec<(u32, IfName)>,
}

/// QEMU's first MAC for a NIC that was given none; the next NIC of the same VM gets the next (`qemu_macaddr_default_if_unset`).
pub const DEFAULT: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// An option's keys and values.
type Keys = BTreeMap<String, String>;

/// How an option says which tap it means.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The taps of a QEMU, each with the MAC of a NIC on it.
pub fn macs(holder: &Holder) -> Vec<(IfName, Mac)> {
    let mut line = Line::read(&holder.arguments);
    line.give_defaults();
    let mut rest = holder.taps.iter().filter(|(file, name)| !line.names(*file, name));
    let backends = line.backends.iter().flat_map(|(netdev, taps)| taps.iter().map(move |tap| (netdev, tap)));
    let mut found = Vec::new();
    for (netdev, tap) in backends {
        let name = match tap {
            Tap::Named(name) => holder.taps.iter().find(|(_, known)| known.as_str() == cut(name)),
            Tap::File(file) => holder.taps.iter().find(|(known, _)| known == file),
            Tap::Any => rest.next(),
        };
        let Some((_, name)) = name else { continue };
        let nics = line.nics.iter().filter(|nic| nic.netdev == *netdev);
        found.extend(nics.filter_map(|nic| Some((*name, nic.mac?))));
    }
    found.dedup();
    found
}

/// QEMU cuts names to the length that the kernel takes.
fn cut(name: &str) -> &str {
    name.get(..crate::model::MAX_LEN).unwrap_or(name)
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
                "netdev" => line.netdev(keys(value, "type")),
                "nic" => line.nic(number, keys(value, "type")),
                "net" => {
                    let keys = keys(value, "type");
                    match keys.get("type").map(String::as_str) {
                        Some("nic") => of_net.push(Nic::new(&keys, "macaddr", keys.get("netdev").cloned())),
                        Some("tap") => line.backends.push((None, taps(&keys))),
                        _ => {}
                    }
                }
                "device" => {
                    let keys = keys(value, "driver");
                    let netdev = keys.get("netdev").cloned();
                    of_device.extend(netdev.map(|netdev| Nic::new(&keys, "mac", Some(netdev))));
                }
                _ => {}
            }
        }
        line.nics.extend(of_net);
        line.nics.extend(of_device);
        line
    }

    fn netdev(&mut self, keys: Keys) {
        if keys.get("type").is_some_and(|kind| kind == "tap") {
            self.backends.push((keys.get("id").cloned(), taps(&keys)));
        }
    }

    /// `-nic` is both ends of a cable, which nothing else names.
    fn nic(&mut self, number: usize, keys: Keys) {
        let kind = keys.get("type").map(String::as_str);
        if kind == Some("none") {
            return;
        }
        let cable = Some(format!("-nic {number}"));
        self.nics.push(Nic::new(&keys, "mac", cable.clone()));
        if kind == Some("tap") {
            self.backends.push((cable, taps(&keys)));
        }
    }

    /// Gives a MAC to each NIC that has none, as QEMU does: the first of its own that is free.
    fn give_defaults(&mut self) {
        let given: Vec<Mac> = self.nics.iter().filter_map(|nic| nic.mac).collect();
        let Mac([a, b, c, d, e, first]) = DEFAULT;
        let mut free =
            (first..0xff).map(|last| Mac([a, b, c, d, e, last])).filter(|mac| !given.contains(mac));
        for nic in self.nics.iter_mut().filter(|nic| nic.mac.is_none()) {
            nic.mac = free.next();
        }
    }

    /// Whether an option means this tap and no other.
    fn names(&self, file: u32, name: &IfName) -> bool {
        self.backends.iter().flat_map(|(_, taps)| taps).any(|tap| match tap {
            Tap::Named(known) => cut(known) == name.as_str(),
            Tap::File(known) => *known == file,
            Tap::Any => false,
        })
    }
}

impl Nic {
    fn new(keys: &Keys, mac: &str, netdev: Option<String>) -> Self {
        Self { mac: keys.get(mac).and_then(|mac| Mac::parse(mac)), netdev }
    }
}

/// The taps of a backend; one with several queues has several files of one tap.
fn taps(keys: &Keys) -> Vec<Tap> {
    let files = ["fd", "fds"].iter().filter_map(|key| keys.get(*key)).flat_map(|files| files.split(':'));
    let files: Vec<Tap> = files.filter_map(|file| file.parse().ok()).map(Tap::File).collect();
    match keys.get("ifname") {
        _ if !files.is_empty() => files,
        Some(name) if !name.contains('%') => vec![Tap::Named(name.clone())],
        _ => vec![Tap::Any],
    }
}

/// Reads `tap,id=n0,ifname=vif0.0`, where `,,` is a comma and the first value may stand without its key; or JSON.
fn keys(text: &str, first: &str) -> Keys {
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(text) {
        let plain = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        return object.into_iter().map(|(key, value)| (key, plain(value))).collect();
    }
    let text = text.replace(",,", "\0");
    let items = text.split(',').enumerate().map(|(number, item)| match item.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.replace('\0', ",")),
        None if number == 0 => (first.to_owned(), item.replace('\0', ",")),
        None => (item.to_owned(), "on".to_owned()),
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(line: &str, taps: &[(u32, &str)], wanted: &[(&str, &str)]) {
        let arguments = line.split_whitespace().map(str::to_owned).collect();
        let taps = taps.iter().map(|(file, name)| (*file, IfName::new(name).unwrap())).collect();
        let found = macs(&Holder { pid: 1, arguments, taps });
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

    #[test]
    fn several_nics() {
        let taps = &[(9, "a"), (10, "b"), (11, "tap0")];
        let line = "qemu -netdev tap,id=y,ifname=b -device e1000,netdev=y -nic user -nic tap \
                    -nic tap,ifname=a,mac=52:54:00:12:34:57";
        check(line, taps, &[("b", "59"), ("tap0", "58"), ("a", "57")]);
    }

    #[test]
    fn no_nic_has_no_mac() {
        check("qemu -netdev tap,id=n0,ifname=vif0.0", &[(9, "vif0.0")], &[]);
        check("qemu -nic none", &[(9, "vif0.0")], &[]);
        check("cloud-hypervisor --net tap=vif0.0", &[(9, "vif0.0")], &[]);
        check("qemu -nic", &[(9, "vif0.0")], &[]);
    }
}
