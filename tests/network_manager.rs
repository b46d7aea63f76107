//! NetworkManager beside guests: it has the host's NICs, and leaves what kvmnet made alone, whatever happens to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "neighbours/traces.rs"]
#[allow(dead_code)]
mod traces;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::{Guest, Lab, Machine, Network, Process, Snapshot, Tap, eventually};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use traces::{Traces, install, make_bare, uninstall};

/// What install.sh installs, without what it starts.
const RULE: &str = include_str!("../share/60-kvmnet.rules");

/// The uplink's connection, as its owner has it.
const CONNECTION: &str = "[connection]
id=uplink
type=ethernet
interface-name=eth3

[ipv4]
method=manual
address1=192.168.1.230/24,192.168.1.25

[ipv6]
method=manual
address1=fd00:1::230/64,fd00:1::25
";

/// Pairs are left alone as NetworkManager comes, but the cables of the lab are pairs.
const SETTINGS: &str = "[main]
plugins=keyfile
[logging]
domains=NONE
[device-cables]
match-device=interface-name:eth*
managed=1
[keyfile]
unmanaged-devices=interface-name:eth4
";

/// A host with D-Bus, udev and NetworkManager.
struct Managed {
    lab: Lab,
    manager: Option<Process>,
    _beside: [Process; 2],
}

impl Managed {
    fn new(network: Network) -> Self {
        let lab = Lab::new(network);
        let host = &lab.host;
        host.enter(prepare);
        host.enter(prepare_udev);
        let bus = host.start("dbus-daemon", &["--system", "--nofork", "--nopidfile"]);
        let udev = host.start("/usr/lib/systemd/systemd-udevd", &["--resolve-names=never"]);
        eventually("udev listens", || host.try_run("udevadm control --ping").status.success());
        host.run("udevadm trigger --action=add --subsystem-match=net");
        host.run("udevadm settle");
        let mut managed = Self { lab, manager: None, _beside: [bus, udev] };
        managed.start();
        managed
    }

    /// Starts it, and waits until the uplink is its own, or is in no state that it makes anything of.
    fn start(&mut self) {
        let manager = self.lab.host.start("NetworkManager", &["--no-daemon"]);
        eventually("NetworkManager knows the uplink", || {
            assert!(!manager.has_ended(), "it must go on: {}", manager.printed());
            let state = self.state_of("eth3");
            let is_ready =
                self.lab.host.try_run("nm-online --wait-for-startup --timeout=1 --quiet").status.success();
            is_ready && ["connected", "connected (externally)", "disconnected"].contains(&state.as_str())
        });
        self.manager = Some(manager);
    }

    fn restart(&mut self) {
        let mut manager = self.manager.take().expect("it runs");
        manager.signal(Signal::SIGTERM);
        manager.wait();
        self.start();
    }

    /// How it calls the state of a device.
    fn state_of(&self, device: &str) -> String {
        let said = self.lab.host.try_run("nmcli --terse --fields DEVICE,STATE device");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let states = said.lines().filter_map(|line| line.split_once(':'));
        states
            .filter(|(name, _)| *name == device)
            .map(|(_, state)| state.to_owned())
            .next()
            .unwrap_or_default()
    }

    fn nmcli(&self, arguments: &str) {
        self.lab.host.run(&format!("nmcli {arguments}"));
    }
}

/// kvmnet's rule, those of NetworkManager's, by which it leaves pairs alone, and what they ask for.
fn prepare_udev() {
    let theirs = ["80-net-setup-link.rules", "85-nm-unmanaged.rules"].map(|name| {
        let path = format!("/usr/lib/udev/rules.d/{name}");
        (name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
    });
    for folder in ["/etc/udev/rules.d", "/usr/lib/udev/rules.d"] {
        fs::create_dir_all(folder).unwrap();
        mount(Some("rules"), folder, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    }
    let ours = RULE.replace("@kvmnet@", "/bin/true");
    for (name, text) in theirs.into_iter().chain([("60-kvmnet.rules", ours)]) {
        fs::write(format!("/etc/udev/rules.d/{name}"), text).unwrap();
    }
}

/// Its files; in /sys it would look for what is not of this network otherwise.
fn prepare() {
    fs::create_dir_all("/run/dbus").unwrap();
    fs::create_dir_all("/run/NetworkManager").unwrap();
    for folder in
        ["/etc/NetworkManager/system-connections", "/etc/NetworkManager/conf.d", "/var/lib/NetworkManager"]
    {
        let _none = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
    }
    fs::write("/etc/NetworkManager/NetworkManager.conf", SETTINGS).unwrap();
    let connection = "/etc/NetworkManager/system-connections/uplink.nmconnection";
    fs::write(connection, CONNECTION).unwrap();
    fs::set_permissions(connection, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What of the host is kvmnet's: the links with their ports, and their addresses.
fn made(host: &Machine, names: &[&str]) -> String {
    let links = host.ip("-d link show");
    let of_kvmnet = |line: &&str| names.iter().any(|name| line.contains(&format!(": {name}")));
    let links: Vec<&str> = links.lines().filter(of_kvmnet).collect();
    let addresses: Vec<String> =
        names.iter().map(|name| host.ip(&format!("-o addr show dev {name} scope global"))).collect();
    format!("{}\n{}", links.join("\n"), addresses.concat())
}

#[track_caller]
fn leaves_alone(network: Network, reach: &[&str]) {
    let mut managed = Managed::new(network);
    let one = managed.lab.boot_by(Tap::open_with_headers, &network.guest(1));
    managed.lab.ifup(&one).ok();
    managed.lab.settle();
    let gate = network.gate;
    let names = [gate, one.tap(), "br0"];
    // The kernel says a little later that a pair is up.
    let is_up = || !made(&managed.lab.host, &names).contains("NO-CARRIER");
    eventually(&format!("{network:?}: what is kvmnet's is up"), is_up);
    let ours = made(&managed.lab.host, &names);
    let holds = |managed: &Managed, one: &Guest, what: &str| {
        assert_eq!(made(&managed.lab.host, &names), ours, "{network:?}: {what}");
        for address in reach {
            eventually(&format!("{network:?}: {what}: the guest reaches {address}"), || one.pings(address));
        }
    };
    holds(&managed, &one, "at first");
    managed.nmcli("connection up uplink");
    holds(&managed, &one, "its uplink's connection came up anew");
    managed.nmcli("device reapply eth3");
    managed.nmcli("general reload");
    holds(&managed, &one, "its files were read anew");
    managed.restart();
    holds(&managed, &one, "it was started anew");
    managed.nmcli("networking off");
    assert_eq!(made(&managed.lab.host, &names), ours, "{network:?}: networking is off");
    managed.nmcli("networking on");
    eventually("the uplink is back", || managed.state_of("eth3") == "connected");
    holds(&managed, &one, "networking was off and on");
    for device in [gate, "br0", one.tap()] {
        assert_eq!(managed.state_of(device), "unmanaged", "{network:?}: {device}");
    }
    managed.lab.detach(one);
    let host = &managed.lab.host;
    assert_eq!(host.run("nft list tables"), "", "{network:?}: no table is left");
    assert!(!host.ip("link show").contains("br0"), "{network:?}: no bridge is left");
    assert_eq!(host.read_sysctl("ipv4/conf/eth3/forwarding").as_deref(), Some("0"), "{network:?}");
}

#[test]
fn isolated() {
    leaves_alone(Network::ISOLATED, &[]);
}

#[test]
fn host_only() {
    leaves_alone(Network::HOST_ONLY_VETH, &["10.0.100.3", "fd00:100::3"]);
}

#[test]
fn nat() {
    leaves_alone(Network::NAT_BY_ROUTES, &["10.0.100.3", "192.168.1.25", "fd00:1::25"]);
}

/// A NIC with a connection of its own is refused, with what to do; then NetworkManager has the bridge, and guests are on it.
#[test]
fn bridged() {
    let mut managed = Managed::new(Network::BRIDGED);
    managed.lab.host.ip("addr flush dev eth3");
    managed.nmcli("connection up uplink");
    let one = managed.lab.boot_by(Tap::open_with_headers, &Network::BRIDGED.guest(1));
    let said = managed.lab.ifup(&one);
    assert!(
        said.status != 0 && said.stderr.contains("NetworkManager keeps the addresses of eth3"),
        "{said:?}"
    );
    assert!(said.stderr.contains("nmcli connection add type bridge"), "{said:?}");
    assert!(!managed.lab.host.ip("link show").contains("br0"), "nothing has changed");
    for line in RECIPE {
        managed.nmcli(line);
    }
    managed.lab.ifup(&one).ok();
    managed.lab.settle();
    for what in ["at first", "its files were read anew", "it was started anew"] {
        match what {
            "its files were read anew" => managed.nmcli("general reload"),
            "it was started anew" => managed.restart(),
            _ => (),
        }
        for address in ["192.168.1.25", "fd00:1::25", "192.168.1.230"] {
            eventually(&format!("{what}: the guest reaches {address}"), || one.pings(address));
        }
        eventually(&format!("{what}: so does the host"), || managed.lab.host.pings("192.168.1.25"));
    }
    managed.lab.detach(one);
    assert!(managed.lab.host.ip("addr show dev br0").contains("192.168.1.230/24"), "the bridge is as it was");
    eventually("the host is on its network", || managed.lab.host.pings("192.168.1.25"));
}

/// docs/dhcp.md, for a static address.
const RECIPE: [&str; 4] = [
    "connection add type bridge con-name br0 ifname br0 bridge.stp no bridge.mac-address 02:00:c0:00:00:03 \
     ipv4.method manual ipv4.addresses 192.168.1.230/24 ipv4.gateway 192.168.1.25 \
     ipv6.method manual ipv6.addresses fd00:1::230/64 ipv6.gateway fd00:1::25",
    "connection add type ethernet con-name br0-eth3 ifname eth3 master br0",
    "connection modify uplink connection.autoconnect no",
    "connection up br0-eth3",
];

/// What its owner says who wants his NIC taken.
const TAKEN: Network = Network { keys: "uplink_managed = \"take\"\n", ..Network::BRIDGED };

/// A NIC that is taken all the same: NetworkManager leaves it a port of the bridge.
#[test]
fn a_nic_that_is_taken_all_the_same() {
    let mut managed = Managed::new(TAKEN);
    let one = managed.lab.boot_by(Tap::open_with_headers, &TAKEN.guest(1));
    managed.lab.ifup(&one).ok();
    managed.lab.settle();
    let reaches = |managed: &Managed, one: &Guest, what: &str| {
        for address in ["192.168.1.25", "fd00:1::25", "192.168.1.230"] {
            eventually(&format!("{what}: the guest reaches {address}"), || one.pings(address));
        }
        eventually(&format!("{what}: so does the host"), || managed.lab.host.pings("192.168.1.25"));
        assert!(managed.lab.host.ip("link show eth3").contains("master br0"), "{what}");
    };
    reaches(&managed, &one, "at first");
    managed.nmcli("general reload");
    reaches(&managed, &one, "its files were read anew");
    managed.lab.outside.ip("link set eth0 down");
    managed.lab.outside.ip("link set eth0 up");
    managed.lab.outside.ip("-6 addr replace fd00:1::25/64 dev eth0 nodad");
    reaches(&managed, &one, "the cable was out");
    managed.restart();
    assert_eq!(managed.state_of("eth3"), "connected (externally)", "it sees that the bridge has it");
    reaches(&managed, &one, "it was started anew");
    managed.lab.detach(one);
    // NetworkManager 1.52 writes the addresses of a NIC that is not a port any more anew.
    let has_address = || managed.lab.host.ip("addr show dev eth3").contains("192.168.1.230/24");
    eventually("the address is back", has_address);
    eventually("the host is on its network", || managed.lab.host.pings("192.168.1.25"));
}

/// A bridge that NetworkManager made stays its own with a nat network's guests on it.
#[test]
fn a_bridge_of_its_own() {
    let mut managed = Managed::new(Network::NAT_BY_ROUTES);
    managed.nmcli("connection add type bridge con-name br0 ifname br0 bridge.stp no ipv4.method manual ipv4.addresses 10.0.100.3/24 ipv6.method link-local");
    let has_address = |managed: &Managed| {
        let shown = managed.lab.host.try_run("ip addr show dev br0");
        String::from_utf8_lossy(&shown.stdout).contains("10.0.100.3/24")
    };
    eventually("it has made the bridge", || has_address(&managed));
    let one = managed.lab.boot_by(Tap::open_with_headers, &Network::NAT_BY_ROUTES.guest(1));
    managed.lab.ifup(&one).ok();
    managed.lab.settle();
    for what in ["at first", "udev heard of it again", "it was started anew"] {
        match what {
            "udev heard of it again" => {
                managed.lab.host.run("udevadm trigger --action=change --subsystem-match=net");
                managed.lab.host.run("udevadm settle");
            }
            "it was started anew" => managed.restart(),
            _ => (),
        }
        eventually(&format!("{what}: the guest reaches the world"), || one.pings("192.168.1.25"));
        eventually(&format!("{what}: the bridge is its own"), || managed.state_of("br0") == "connected");
    }
    managed.lab.detach(one);
    assert!(has_address(&managed), "it is as it was");
}

/// kvmnet comes, serves guests and goes: NetworkManager's files are as they were, and what it has made of the host.
#[test]
fn kvmnet_goes_again() {
    let mut managed = Managed::new(Network::NAT_BY_ROUTES);
    make_bare(&managed.lab);
    managed.lab.host.run("rm /etc/udev/rules.d/60-kvmnet.rules");
    managed.lab.host.run("udevadm control --reload");
    // At first it takes the addresses as they are. Now it sets its own.
    managed.nmcli("device down eth3");
    managed.nmcli("connection up uplink");
    managed.lab.wait_for_addresses();
    let said = |managed: &Managed| {
        ["device", "connection"]
            .map(|what| managed.lab.host.run(&format!("nmcli --terse --colors no {what}")))
    };
    let before = (Traces::of(&managed.lab.host), Snapshot::of(&managed.lab.host), said(&managed));
    for (what, network) in
        [("in peace", Network::NAT_BY_ROUTES), ("started anew", TAKEN), ("ended", Network::NAT_VETH)]
    {
        install(&managed.lab);
        managed.lab.write_config(&network.config());
        let one = managed.lab.boot_by(Tap::open_with_headers, &network.guest(1));
        managed.lab.ifup(&one).ok();
        managed.lab.settle();
        match what {
            "started anew" => managed.restart(),
            "ended" => {
                let manager = managed.manager.take().expect("it runs");
                manager.signal(Signal::SIGTERM);
                eventually("it has ended", || manager.has_ended());
            }
            _ => (),
        }
        managed.lab.detach(one);
        uninstall(&managed.lab);
        Traces::of(&managed.lab.host).assert_untouched_since(&before.0, what);
        managed.lab.assert_as_before(what, &before.1);
        if managed.manager.is_some() {
            eventually("NetworkManager has what it had", || said(&managed) == before.2);
        }
    }
}
