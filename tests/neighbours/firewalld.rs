//! firewalld with the settings of Debian's package: its default zone lets in ssh and pings, and nothing through.

#[path = "firewalld/faults.rs"]
mod faults;
#[path = "firewalld/frames.rs"]
pub mod frames;
#[path = "firewalld/policies.rs"]
mod policies;
#[path = "firewalld/zones.rs"]
mod zones;

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::dns::Resolver;
use crate::kit::Serving;
use crate::lab::{Guest, Lab, Listener, Network, Process, eventually, hooks_dir, within};
use crate::matrix::cells;
use crate::neighbour::{Neighbour, applied};
use crate::served::{HOST, comes};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/share/firewalld");
/// What Debian's bus has, but for what it starts: nothing here outlives the test.
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>"#;

/// Whose interfaces kvmnet keeps.
const ZONES: [&str; 3] = ["kvmnet", "kvmnet-host", "kvmnet-bridge"];

/// Of bridges inside which frames pass.
const SETS: [&str; 4] = ["kvmnet-1", "kvmnet-1-ipv6", "kvmnet-2", "kvmnet-2-ipv6"];

pub struct Firewalld {
    daemon: Process,
    bus: Process,
}

/// Its files and kvmnet's for it, as install.sh copies them.
fn prepare(lab: &Lab, has_zones: bool) {
    lab.host.enter(|| {
        fs::create_dir_all("/run/dbus").unwrap();
        fs::write("/run/lab/bus.conf", BUS).unwrap();
        if has_zones {
            copy_zones();
        }
        if !fs::exists("/etc/kvmnet").unwrap() {
            fs::copy(hooks_dir().join("kvmnet"), "/etc/kvmnet").expect("kvmnet is built");
        }
    });
}

fn copy_zones() {
    let policies = ["kvmnet-drop", "kvmnet-block", "kvmnet-in", "kvmnet-out", "kvmnet-frames"];
    for (folder, names) in [("zones", &ZONES[..]), ("policies", &policies), ("ipsets", &SETS)] {
        fs::create_dir_all(format!("/etc/firewalld/{folder}")).unwrap();
        for name in names {
            fs::copy(format!("{FILES}/{name}.xml"), format!("/etc/firewalld/{folder}/{name}.xml")).unwrap();
        }
    }
}

/// What a method of firewalld's gives, as busctl prints it.
fn call(lab: &Lab, interface: &str, method: &str, arguments: &str) -> String {
    let firewalld = "org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1 org.fedoraproject.FirewallD1";
    let bus = "busctl --timeout=20 --address=unix:path=/run/dbus/system_bus_socket";
    let output = lab.host.try_run(&format!("{bus} call {firewalld}{interface} {method} {arguments}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The interfaces of a zone, as the daemon that runs has them.
fn zone(lab: &Lab, name: &str) -> String {
    call(lab, ".zone", "getInterfaces", &format!("s {name}"))
}

/// What its files have of kvmnet's zones and sets.
fn files(lab: &Lab) -> String {
    let zones = ZONES.map(|name| format!("/etc/firewalld/zones/{name}.xml"));
    let sets = SETS.map(|name| format!("/etc/firewalld/ipsets/{name}.xml"));
    let read = |file: &String| fs::read_to_string(file).unwrap_or_default();
    lab.host.enter(|| zones.iter().chain(&sets).map(read).collect())
}

/// The bridges of the sets, as the daemon that runs has them.
fn bridges_in_sets(lab: &Lab) -> [String; 4] {
    SETS.map(|name| {
        let entries = call(lab, ".ipset", "getEntries", &format!("s {name}"));
        let mut bridges: Vec<&str> =
            entries.split(['"', ',']).filter(|word| word.starts_with("br")).collect();
        bridges.dedup();
        bridges.concat()
    })
}

impl Firewalld {
    pub fn of(lab: &Lab, has_zones: bool) -> Self {
        prepare(lab, has_zones);
        let bus = start_bus(lab);
        let firewalld = Self { daemon: daemon(lab), bus };
        // It keeps the chains of a zone, empty, until its next reload.
        for zone in ZONES {
            call(lab, ".zone", "addInterface", &format!("ss {zone} lab0"));
            call(lab, ".zone", "removeInterface", &format!("ss {zone} lab0"));
        }
        firewalld
    }

    fn restart(&mut self, lab: &Lab) {
        self.daemon.signal(Signal::SIGTERM);
        eventually("firewalld ends", || self.daemon.has_ended());
        self.daemon = daemon(lab);
    }
}

fn start_bus(lab: &Lab) -> Process {
    let bus = lab.host.start("dbus-daemon", &["--config-file=/run/lab/bus.conf", "--nofork", "--nopidfile"]);
    eventually("there is a bus", || lab.host.enter(|| fs::exists("/run/dbus/system_bus_socket").unwrap()));
    bus
}

fn daemon(lab: &Lab) -> Process {
    let log = "--log-file=/run/lab/firewalld.log";
    let daemon = lab.host.start("firewalld", &["--nofork", "--nopid", log]);
    let is_up = || daemon.has_ended() || call(lab, "", "queryPanicMode", "").starts_with('b');
    assert!(within(Duration::from_secs(60), is_up) && !daemon.has_ended(), "firewalld: {}", daemon.printed());
    daemon
}

/// Waits until the interfaces of the zones are those.
#[track_caller]
fn has_zones(lab: &Lab, expected: [&str; 3], what: &str) {
    let print = |name: &str| if name.is_empty() { "as 0\n".to_owned() } else { format!("as 1 \"{name}\"\n") };
    let zones = || ZONES.map(|name| zone(lab, name));
    let expected = expected.map(print);
    within(Duration::from_secs(30), || zones() == expected);
    assert_eq!(zones(), expected, "{what}: kvmnet's zones");
}

impl Neighbour for Firewalld {
    fn start(lab: &Lab) -> Self {
        Self::of(lab, true)
    }

    /// Without what it was told at runtime, and then from the beginning.
    fn reload(&mut self, lab: &Lab) {
        call(lab, "", "reload", "");
        self.restart(lab);
        call(lab, "", "completeReload", "");
    }

    /// It takes its table away.
    fn remove(self, _: &Lab) {
        self.daemon.signal(Signal::SIGTERM);
        eventually("firewalld ends", || self.daemon.has_ended());
    }

    fn has_heard(&self, lab: &Lab, of_guests: bool, what: &str) {
        let Network { mode, gate: host_if, .. } = lab.network;
        let bridge = if host_if == "br0" { "" } else { "br0" };
        let expected = match mode {
            "nat" | "routed" => [host_if, "", bridge],
            "host-only" => ["", host_if, bridge],
            "isolated" => ["", "", "br0"],
            _ => ["", "", ""],
        };
        has_zones(lab, if of_guests { expected } else { ["", "", ""] }, what);
        assert!(
            of_guests || !files(lab).contains("<interface") && !files(lab).contains("<entry"),
            "{what}: its files\n{}",
            files(lab)
        );
    }

    /// Guests get to no port of the host that its default zone does not let others to.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        let mut service = Listener::on(&lab.host);
        lab.outside.send("192.168.1.230", "from outside");
        guest.send(HOST, "from a guest");
        assert!(
            !within(Duration::from_millis(300), || service.has_heard("from")),
            "{what}: a port of the host"
        );
    }
}

cells!(Firewalld, "firewalld");

/// By DHCP, with names, before firewalld's reload, its restart and its complete reload, and after each.
#[test]
fn a_guest_gets_its_address_through_firewalld() {
    let serving = Serving::nat();
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let lab = &serving.lab;
    let one = serving.attach(1);
    let mut firewalld = Firewalld::start(lab);
    assert!(!serving.try_lease_soon(&one), "nobody has told kvmnet");
    applied(lab);
    let mut guests = vec![one, comes(&serving, 2, "applied")];
    call(lab, "", "reload", "");
    guests.push(comes(&serving, 3, "reloaded"));
    firewalld.restart(lab);
    guests.push(comes(&serving, 4, "restarted"));
    call(lab, "", "completeReload", "");
    guests.push(comes(&serving, 5, "completely reloaded"));
    guests.into_iter().for_each(|guest| lab.detach(guest));
    firewalld.has_heard(lab, false, "the last guest has gone");
    serving.assert_ends();
}
