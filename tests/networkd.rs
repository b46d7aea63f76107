//! systemd-networkd with a file of its owner's for every interface: it has the host's NIC, and leaves what kvmnet made alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "neighbours/traces.rs"]
#[allow(dead_code)]
mod traces;

use std::fs;

use lab::{Guest, Lab, Network, Process, Snapshot, Tap, eventually};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use traces::{Traces, install, make_bare, uninstall};

/// What its owner has: the uplink, what others of the lab keep, and all the rest.
const FILES: [(&str, &str); 3] = [
    (
        "50-uplink.network",
        "[Match]\nName=eth3\n[Network]\nAddress=192.168.1.230/24\nAddress=fd00:1::230/64\nGateway=192.168.1.25\n\
         Gateway=fd00:1::25\nIPv6AcceptRA=no\n",
    ),
    ("50-others.network", "[Match]\nName=eth4 lo\n[Link]\nUnmanaged=yes\n"),
    ("90-all.network", "[Match]\nName=*\n[Network]\nAddress=10.44.0.1/24\nIPv6AcceptRA=no\n"),
];

/// A host with udev and networkd, on which kvmnet is installed.
struct Managed {
    lab: Lab,
    networkd: Option<Process>,
    _beside: [Process; 2],
}

impl Managed {
    fn new(network: Network) -> Self {
        let lab = Lab::new(network);
        let host = &lab.host;
        make_bare(&lab);
        host.enter(prepare);
        host.run("chown -R systemd-network:systemd-network /run/systemd/netif");
        let bus = host.start("dbus-daemon", &["--system", "--nofork", "--nopidfile"]);
        let udev = host.start("/usr/lib/systemd/systemd-udevd", &["--resolve-names=never"]);
        eventually("udev listens", || host.try_run("udevadm control --ping").status.success());
        host.run("udevadm trigger --action=add --subsystem-match=net");
        host.run("udevadm settle");
        let mut managed = Self { lab, networkd: None, _beside: [bus, udev] };
        managed.start();
        managed
    }

    /// Starts it, and waits until the uplink is its own.
    fn start(&mut self) {
        let networkd = self.lab.host.start("/usr/lib/systemd/systemd-networkd", &[]);
        eventually("networkd has the uplink", || {
            assert!(!networkd.has_ended(), "it must go on: {}", networkd.printed());
            self.setup_of("eth3") == "configured"
        });
        self.networkd = Some(networkd);
        self.lab.wait_for_addresses();
    }

    fn end(&mut self) {
        let mut networkd = self.networkd.take().expect("it runs");
        networkd.signal(Signal::SIGTERM);
        networkd.wait();
    }

    /// How it calls what it has made of an interface.
    fn setup_of(&self, name: &str) -> String {
        let said = self.lab.host.try_run("networkctl --no-legend --no-pager list");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let words = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = words.into_iter().find(|words| words.get(1) == Some(&name));
        line.and_then(|words| words.last().map(|word| (*word).to_owned())).unwrap_or_default()
    }

    fn guest(&self) -> Guest {
        let one = self.lab.boot_by(Tap::open_with_headers, &self.lab.network.guest(1));
        self.lab.ifup(&one).ok();
        self.lab.host.run("udevadm settle");
        self.lab.settle();
        one
    }
}

/// Its files, and no rules of udev's but those that install.sh brings.
fn prepare() {
    for folder in ["/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/etc/systemd/network"] {
        mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    }
    fs::create_dir_all("/run/dbus").unwrap();
    for folder in ["links", "leases", "lldp"] {
        fs::create_dir_all(format!("/run/systemd/netif/{folder}")).unwrap();
    }
    for (name, text) in FILES {
        fs::write(format!("/etc/systemd/network/{name}"), text).unwrap();
    }
}

#[track_caller]
fn leaves_alone(network: Network, reach: &[&str]) {
    let mut managed = Managed::new(network);
    install(&managed.lab);
    managed.lab.outside_knows_the_way();
    managed.lab.write_config(&network.config());
    managed.lab.host.run("networkctl reload");
    managed.lab.host.ip("link add dummy-br type bridge");
    eventually("another bridge is its own", || managed.setup_of("dummy-br").starts_with("config"));
    let one = managed.guest();
    let ours: &[&str] =
        if network.gate == "br0" { &["vif0.0", "br0"] } else { &["vif0.0", "br0", "veth1.0", "veth1.1"] };
    for what in
        ["at first", "its files were read anew", "the uplink was configured anew", "it was started anew"]
    {
        match what {
            "its files were read anew" => drop(managed.lab.host.run("networkctl reload")),
            "the uplink was configured anew" => drop(managed.lab.host.run("networkctl reconfigure eth3")),
            "it was started anew" => {
                managed.end();
                managed.start();
            }
            _ => (),
        }
        for name in ours {
            eventually(&format!("{network:?}: {what}: {name}"), || managed.setup_of(name) == "unmanaged");
        }
        for port in ours.iter().filter(|name| !matches!(**name, "br0" | "veth1.1")) {
            let link = managed.lab.host.ip(&format!("link show dev {port}"));
            assert!(link.contains("master br0"), "{network:?}: {what}: {link}");
        }
        for address in reach {
            eventually(&format!("{network:?}: {what}: the guest reaches {address}"), || one.pings(address));
        }
    }
    managed.lab.detach(one);
}

#[test]
fn host_only() {
    leaves_alone(Network::HOST_ONLY_VETH, &["10.0.100.3", "fd00:100::3"]);
}

#[test]
fn isolated() {
    leaves_alone(Network::ISOLATED, &[]);
}

#[test]
fn routed() {
    leaves_alone(Network::ROUTED_VETH, &["10.0.100.3", "192.168.1.25", "fd00:1::25"]);
}

#[test]
fn nat() {
    leaves_alone(Network::NAT_BY_ROUTES, &["10.0.100.3", "192.168.1.25", "fd00:1::25"]);
}

/// kvmnet comes, serves a guest and goes: its owner's files and settings are as they were, and what networkd has made of the host.
#[test]
fn kvmnet_goes_again() {
    let mut managed = Managed::new(Network::NAT_BY_ROUTES);
    let (before, network) = (Traces::of(&managed.lab.host), Snapshot::of(&managed.lab.host));
    for what in ["in peace", "started anew", "ended"] {
        install(&managed.lab);
        managed.lab.write_config(&Network::NAT_BY_ROUTES.config());
        managed.lab.host.run("networkctl reload");
        let one = managed.guest();
        match what {
            "started anew" => {
                managed.end();
                managed.start();
            }
            "ended" => managed.end(),
            _ => (),
        }
        managed.lab.detach(one);
        uninstall(&managed.lab);
        Traces::of(&managed.lab.host).assert_untouched_since(&before, what);
        managed.lab.assert_as_before(what, &network);
    }
}
