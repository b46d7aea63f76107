//! connman beside guests: with the line of docs/dhcp.md it leaves alone what kvmnet made, whatever happens to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;

use lab::{Guest, Lab, Machine, Network, Process, Tap, eventually};
use nix::sys::signal::Signal;

const PAGE: &str = include_str!("../docs/dhcp.md");
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>"#;
/// The uplink, as its owner has it.
const UPLINK: &str = "[service_uplink]
Type = ethernet
MAC = 02:00:c0:00:00:03
IPv4 = 192.168.1.230/255.255.255.0/192.168.1.25
IPv6 = fd00:1::230/64/fd00:1::25
";

/// A host with D-Bus and connman.
struct Managed {
    lab: Lab,
    connman: Option<Process>,
    _bus: Process,
}

impl Managed {
    /// With this line in its file; what it names already is left alone by default.
    fn new(network: Network, line: &str) -> Self {
        let lab = Lab::new(network);
        let settings =
            format!("[General]\nAllowHostnameUpdates=false\nEnableOnlineCheck=false\n{line},eth4\n");
        lab.host.enter(|| {
            for folder in ["/run/dbus", "/run/connman", "/etc/connman", "/var/lib/connman"] {
                fs::create_dir_all(folder).unwrap();
            }
            fs::write("/run/lab/bus.conf", BUS).unwrap();
            fs::write("/etc/connman/main.conf", settings).unwrap();
            fs::write("/var/lib/connman/uplink.config", UPLINK).unwrap();
        });
        let bus =
            lab.host.start("dbus-daemon", &["--config-file=/run/lab/bus.conf", "--nofork", "--nopidfile"]);
        eventually("there is a bus", || {
            lab.host.enter(|| fs::exists("/run/dbus/system_bus_socket").unwrap())
        });
        let mut managed = Self { lab, connman: None, _bus: bus };
        managed.start();
        managed
    }

    /// Starts it, and waits until the uplink is its own.
    fn start(&mut self) {
        let connman = self.lab.host.start("connmand", &["--nodaemon", "--nodnsproxy"]);
        eventually("connman has the uplink", || {
            assert!(!connman.has_ended(), "it must go on: {}", connman.printed());
            let routes = [self.lab.host.ip("route"), self.lab.host.ip("-6 route")].concat();
            connman.has_printed("eth3") > 0 && routes.matches("default via").count() == 2
        });
        self.connman = Some(connman);
        self.lab.wait_for_addresses();
    }

    fn end(&mut self) {
        let mut connman = self.connman.take().expect("it runs");
        connman.signal(Signal::SIGTERM);
        connman.wait();
    }

    fn guest(&self) -> Guest {
        let one = self.lab.boot_by(Tap::open_with_headers, &self.lab.network.guest(1));
        self.lab.ifup(&one).ok();
        self.lab.settle();
        one
    }
}

/// What of the host is kvmnet's.
fn made(host: &Machine, names: &[&str]) -> String {
    names
        .iter()
        .map(|name| {
            host.ip(&format!("-o addr show dev {name}")) + &host.ip(&format!("-o link show dev {name}"))
        })
        .collect()
}

fn line() -> &'static str {
    let mut lines = PAGE.lines().map(str::trim);
    lines.find(|line| line.starts_with("NetworkInterfaceBlacklist=")).expect("docs/dhcp.md has the line")
}

#[track_caller]
fn leaves_alone(network: Network, names: &[&str]) {
    let mut managed = Managed::new(network, line());
    let one = managed.guest();
    let ours = made(&managed.lab.host, names);
    for what in ["at first", "it was started anew", "it has ended"] {
        match what {
            "it was started anew" => {
                managed.end();
                managed.start();
            }
            "it has ended" => managed.end(),
            _ => (),
        }
        assert_eq!(made(&managed.lab.host, names), ours, "{network:?}: {what}");
        eventually(&format!("{network:?}: {what}: the host answers"), || one.pings("10.0.100.3"));
        if managed.connman.is_some() {
            eventually(&format!("{network:?}: {what}: the guest gets out"), || one.pings("192.168.1.25"));
        }
    }
    managed.lab.detach(one);
    assert!(!managed.lab.host.ip("link show").contains("br0"), "{network:?}: its network goes");
}

#[test]
fn nat() {
    leaves_alone(Network::NAT_BY_ROUTES, &["vif0.0", "br0"]);
}

#[test]
fn nat_veth() {
    leaves_alone(Network { uplink: "", ..Network::NAT_VETH }, &["vif0.0", "br0", "veth1.0", "veth1.1"]);
}

/// The line is needed: otherwise it takes a tap for a NIC of its own, which goes down with connman.
#[test]
fn without_the_line_it_takes_a_tap() {
    let mut managed = Managed::new(Network::NAT_BY_ROUTES, "NetworkInterfaceBlacklist=vmnet");
    let one = managed.guest();
    eventually("it has seen the tap", || managed.connman.as_ref().unwrap().has_printed(one.tap()) > 0);
    managed.end();
    eventually("the tap is down", || !managed.lab.host.ip("link show vif0.0").contains(",UP"));
}
