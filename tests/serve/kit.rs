//! A lab whose hooks find `kvmnet` beside them, so that networks are served, and guests with a real DHCP client.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::unistd::Pid;

use crate::lab::{Guest, Lab, Network, Place, eventually, hooks_dir, servers};

/// The host of a lab, where networks are served.
pub struct Serving {
    pub lab: Lab,
}

/// What dhclient runs: it takes the address and the route, and writes down all that it was told.
const SCRIPT: &str = r#"#!/bin/sh
case $reason in
BOUND | RENEW | REBIND | REBOOT)
    ip addr flush dev "$interface" scope global
    ip addr add "$new_ip_address/$new_subnet_mask" dev "$interface"
    [ -z "$new_routers" ] || ip route replace default via "${new_routers%% *}"
    env >"/run/lab/new-$KVM_CLIENT"
    mv "/run/lab/new-$KVM_CLIENT" "/run/lab/lease-$KVM_CLIENT"
    ;;
BOUND6 | RENEW6)
    env >"/run/lab/new-$KVM_CLIENT"
    mv "/run/lab/new-$KVM_CLIENT" "/run/lab/lease6-$KVM_CLIENT"
    ;;
esac
"#;
const CONF: &str = "option domain-search code 119 = domain-list;\n\
    request subnet-mask, routers, host-name, domain-name, domain-name-servers, domain-search, interface-mtu;\n\
    also request dhcp6.name-servers, dhcp6.domain-search;\ntimeout 60;\nretry 1;\n";

impl Serving {
    /// `text` is the whole configuration.
    pub fn configured(text: &str) -> Self {
        let lab = Lab::new(Network::NAT);
        lab.write_config(text);
        lab.host.enter(|| {
            fs::copy(hooks_dir().join("kvmnet"), "/etc/kvmnet").expect("kvmnet is built");
            fs::write("/run/lab/script", SCRIPT).unwrap();
            fs::set_permissions("/run/lab/script", fs::Permissions::from_mode(0o755)).unwrap();
            fs::write("/run/lab/dhclient.conf", CONF).unwrap();
            let _none_before = fs::remove_file("/etc/resolv.conf");
            fs::write("/etc/resolv.conf", "nameserver 192.168.1.25\n").unwrap();
        });
        Self { lab }
    }

    /// The reference network in nat mode.
    pub fn nat() -> Self {
        Self::configured(&Network::NAT.config())
    }

    /// A guest that has no address yet, on the network.
    #[track_caller]
    pub fn attach(&self, number: u8) -> Guest {
        let place = self.lab.network.guest(number);
        let guest = Guest::boot(&self.lab.host, &place.tap, &place.mac);
        self.lab.ifup(&guest).ok();
        guest
    }

    /// The same on the second network.
    #[track_caller]
    pub fn attach_in_lab(&self, number: u8) -> Guest {
        let place = Place::in_lab(number);
        let guest = Guest::boot(&self.lab.host, &place.tap, &place.mac);
        self.lab.ifup(&guest).ok();
        guest
    }

    /// Whether a client that is in a hurry gets an address.
    pub fn try_lease_soon(&self, guest: &Guest) -> bool {
        self.ask(guest, "timeout 4;", "-4").is_some()
    }

    /// Runs dhclient in a guest, once, as a client that calls itself `name`; what it was told.
    #[track_caller]
    pub fn lease(&self, guest: &Guest, name: &str) -> HashMap<String, String> {
        let told = self.try_lease(guest, name);
        told.unwrap_or_else(|| panic!("{} gets an address", guest.tap()))
    }

    pub fn try_lease(&self, guest: &Guest, name: &str) -> Option<HashMap<String, String>> {
        let send = if name.is_empty() { String::new() } else { format!("send host-name \"{name}\";") };
        self.ask(guest, &send, "-4")
    }

    /// The address that a client with this identifier gets.
    #[track_caller]
    pub fn lease_as(&self, guest: &Guest, identifier: &str) -> String {
        let told = self.ask(guest, &format!("send dhcp-client-identifier \"{identifier}\";"), "-4");
        told.unwrap_or_else(|| panic!("{} gets an address", guest.tap()))["new_ip_address"].clone()
    }

    /// The same by DHCPv6.
    pub fn lease6(&self, guest: &Guest) -> Option<HashMap<String, String>> {
        self.ask(guest, "", "-6")
    }

    fn ask(&self, guest: &Guest, besides: &str, family: &str) -> Option<HashMap<String, String>> {
        let tap = guest.tap();
        let file = format!("/run/lab/lease{}-{tap}", if family == "-6" { "6" } else { "" });
        self.lab.host.enter(|| {
            fs::write(format!("/run/lab/conf-{tap}"), format!("{CONF}{besides}\n")).unwrap();
            // A client that knows nothing of what it had before.
            for old in [file.clone(), format!("/run/lab/leases-{tap}")] {
                let _none_before = fs::remove_file(old);
            }
        });
        let (net, kvm) = (format!("--net={}", guest.netns()), format!("KVM_CLIENT={tap}"));
        let [conf, leases, pid] = ["conf", "leases", "pid"].map(|what| format!("/run/lab/{what}-{tap}"));
        let arguments =
            [&net, "dhclient", family, "-d", "-1", "-sf", "/run/lab/script", "-cf", &conf, "-lf", &leases];
        let client =
            self.lab.host.start("nsenter", &[&arguments[..], &["-pf", &pid, "-e", &kvm, "eth0"]].concat());
        let told = || self.lab.host.enter(|| fs::read_to_string(&file)).ok();
        eventually("the client has an address, or gives up", || told().is_some() || client.has_ended());
        let told = told();
        if told.is_none() {
            eprintln!("dhclient: {}", client.printed());
        }
        let pairs = told.as_deref().map(|told| told.lines().filter_map(|line| line.split_once('=')));
        pairs.map(|pairs| pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// The processes of a name on the host, in the order of their numbers.
    pub fn processes(&self, name: &str) -> Vec<Pid> {
        let namespace = fs::metadata(self.lab.host.netns()).expect("a namespace").ino();
        let all = servers::processes(namespace).into_iter();
        let mut found: Vec<i32> = all.filter(|pid| servers::name(*pid) == name).collect();
        found.sort_unstable();
        found.into_iter().map(Pid::from_raw).collect()
    }

    /// The dnsmasq of the only network, once it runs.
    #[track_caller]
    pub fn dnsmasq(&self) -> Pid {
        eventually("dnsmasq runs", || self.processes("dnsmasq").len() == 1);
        self.processes("dnsmasq")[0]
    }

    /// Who looks after it; another one that a hook started meanwhile has ended by then.
    #[track_caller]
    pub fn kvmnet(&self) -> Pid {
        eventually("one process serves", || self.processes("kvmnet").len() == 1);
        self.processes("kvmnet")[0]
    }

    /// Fails the test unless all that serves ends, and nothing is left of it.
    #[track_caller]
    pub fn assert_ends(&self) {
        eventually("nobody serves any more", || {
            self.processes("dnsmasq").is_empty() && self.processes("kvmnet").is_empty()
        });
        let left = self.lab.host.enter(|| {
            let names = fs::read_dir("/run").unwrap().flatten();
            names.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
        });
        let is_left = |name: &&String| name.contains("kvmnet") && *name != "kvmnet.lock";
        assert_eq!(left.iter().filter(is_left).count(), 0, "{left:?}");
    }

    /// Replaces a file of the host's by a rename, as resolvconf and others do.
    pub fn replace(&self, path: &str, text: &str) {
        self.lab.host.enter(|| {
            fs::write(format!("{path}.new"), text).unwrap();
            fs::rename(format!("{path}.new"), path).unwrap();
        });
    }
}
