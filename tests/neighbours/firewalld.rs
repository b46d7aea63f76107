//! firewalld with the settings of Debian's package: its default zone lets in ssh and pings, and nothing through.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::dns::{A, Answer, Resolver, ask};
use crate::kit::Serving;
use crate::lab::{Cli, Guest, Lab, Listener, Network, Process, eventually, hooks_dir, within};
use crate::matrix::cells;
use crate::neighbour::{Neighbour, applied};

const HOST: &str = "10.0.100.3";
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/share/firewalld");
/// What Debian's bus has, but for what it starts: nothing here outlives the test.
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>"#;

/// Whose interfaces kvmnet keeps.
const ZONES: [&str; 3] = ["kvmnet", "kvmnet-host", "kvmnet-bridge"];

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
    for (folder, names) in [("zones", &ZONES[..]), ("policies", &["kvmnet-in", "kvmnet-out"])] {
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

/// What its files have of kvmnet's zones.
fn files(lab: &Lab) -> String {
    let read =
        |name: &str| fs::read_to_string(format!("/etc/firewalld/zones/{name}.xml")).unwrap_or_default();
    lab.host.enter(|| ZONES.map(read).concat())
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
        assert!(of_guests || !files(lab).contains("<interface"), "{what}: its files\n{}", files(lab));
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
    let is_served = |number: u8, what: &str| {
        let guest = serving.attach(number);
        let told = serving.lease(&guest, what);
        assert!(told["new_ip_address"].starts_with("10.0.100."), "{what}: {told:?}");
        assert_eq!(ask(&guest, HOST, "host.kvm", A), Answer::Found(vec![HOST.to_owned()]), "{what}");
        assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")), "{what}: it gets out");
        guest
    };
    let mut guests = vec![one, is_served(2, "applied")];
    call(lab, "", "reload", "");
    guests.push(is_served(3, "reloaded"));
    firewalld.restart(lab);
    guests.push(is_served(4, "restarted"));
    call(lab, "", "completeReload", "");
    guests.push(is_served(5, "completely reloaded"));
    guests.into_iter().for_each(|guest| lab.detach(guest));
    firewalld.has_heard(lab, false, "the last guest has gone");
    serving.assert_ends();
}

/// What was a guest's is nobody's: the next bridge of that name is in no zone of kvmnet's.
#[test]
fn a_killed_guest_leaves_no_zone_behind() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    drop(guest);
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!([zone(&lab, "kvmnet"), files(&lab)].concat().matches("br0").count(), 0, "swept");
    lab.host.ip("link add br0 type bridge");
    Cli::new(&lab.host, &["gc"]).run().ok();
    call(&lab, "", "reload", "");
    assert_eq!(zone(&lab, "kvmnet"), "as 0\n", "somebody's bridge");
}

/// An interface follows its network's mode, and leaves with `firewall = "warn"`.
#[test]
fn zones_follow_the_configuration() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    lab.write_config(&Network::HOST_ONLY.config());
    applied(&lab);
    has_zones(&lab, ["", "br0", ""], "host-only");
    lab.write_config(&format!("firewall = \"warn\"\n{}", Network::NAT.config()));
    let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run();
    assert!(said.status == 0 && said.err.contains("firewalld filter_FORWARD"), "{}", said.err);
    has_zones(&lab, ["", "", ""], "firewall = warn");
    assert!(!guest.pings("192.168.1.25"), "it is left as it is");
    lab.write_config(&Network::NAT.config());
    applied(&lab);
    has_zones(&lab, ["br0", "", ""], "integrated again");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")));
}

/// Where br_netfilter shows firewalld what passes from port to port, guests of a bridge talk by which the host does not take part.
/// firewalld's own filter of IPv6 by routes back is off: the host has none by such a bridge.
#[test]
fn guests_of_a_bridge_without_the_host_talk() {
    for network in [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::NAT_VETH] {
        let lab = Lab::new(network);
        lab.bridged_frames_pass_firewall(true);
        lab.host.run("sed -i s/^IPv6_rpfilter=.*/IPv6_rpfilter=no/ /etc/firewalld/firewalld.conf");
        let firewalld = Firewalld::start(&lab);
        let drops = || Cli::new(&lab.host, &["check"]).run().out.contains("which drops them");
        assert!(!drops(), "they will be let through");
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        let to = network.guest(2);
        for when in ["a guest", "reloaded"] {
            firewalld.has_heard(&lab, true, when);
            eventually("guests answer one another", || one.pings(&to.v4) && one.pings(&to.v6));
            assert!(!drops(), "{when}");
            call(&lab, "", "reload", "");
        }
        [one, two].into_iter().for_each(|guest| lab.detach(guest));
        firewalld.has_heard(&lab, false, "no guest");
    }
}

/// A bridge that somebody made stays in the zone where it is.
#[test]
fn a_bridge_that_was_found_is_not_put_into_a_zone_for_guests_alone() {
    for (network, zones) in [(Network::ISOLATED, ["", "", ""]), (Network::NAT_VETH, ["veth1.1", "", ""])] {
        let lab = Lab::new(network);
        let _firewalld = Firewalld::start(&lab);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 up");
        let guest = lab.attach(1);
        applied(&lab);
        has_zones(&lab, zones, network.mode);
        lab.detach(guest);
    }
}

/// What its owner has put into a zone stays there.
#[test]
fn another_zone_is_its_owners_choice() {
    let lab = Lab::new(Network::NAT);
    let _firewalld = Firewalld::start(&lab);
    call(&lab, ".zone", "addInterface", "ss trusted br0");
    let guest = lab.attach(1);
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!([zone(&lab, "kvmnet"), zone(&lab, "trusted")].concat(), "as 0\nas 1 \"br0\"\n");
    lab.detach(guest);
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!(zone(&lab, "trusted"), "as 1 \"br0\"\n");
}

/// Many at once, while guests come and go: in the end the zones are what is.
#[test]
fn several_at_once_agree() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    for round in 0..3 {
        let guest = lab.attach(1);
        let at_once: Vec<Process> = (0..4).map(|_| lab.host.start("/etc/kvmnet", &["gc"])).collect();
        firewalld.has_heard(&lab, true, &format!("round {round}"));
        lab.detach(guest);
        eventually("all have ended", || at_once.iter().all(Process::has_ended));
        firewalld.has_heard(&lab, false, &format!("round {round}"));
    }
}

/// A hook waits for nobody, and a person is told: whether firewalld hangs, or the bus.
#[test]
fn a_firewalld_that_hangs_holds_up_no_guest() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::start(&lab);
    for hangs in [&firewalld.daemon, &firewalld.bus] {
        hangs.signal(Signal::SIGSTOP);
        let guest = lab.attach(1);
        let began = Instant::now();
        let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().complains(1);
        assert!(said.contains("firewalld") && said.contains("does not answer"), "{said}");
        assert!(began.elapsed() < Duration::from_secs(50), "it has an end");
        hangs.signal(Signal::SIGCONT);
        applied(&lab);
        firewalld.has_heard(&lab, true, "it goes on");
        lab.detach(guest);
        firewalld.has_heard(&lab, false, "the guest has gone");
    }
}

/// Prints what it is asked in firewalld's name.
const FORGED: &str = "\
import dbus, dbus.service, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection('unix:path=/run/dbus/system_bus_socket')
name = dbus.service.BusName('org.fedoraproject.FirewallD1', bus)
bus.add_message_filter(lambda _, message: print('asked', message.get_member(), flush=True))
print('ready', flush=True)
GLib.MainLoop().run()
";

/// A user's program, and a firewalld of another network, are asked nothing.
#[test]
fn another_program_of_that_name_is_not_asked() {
    let lab = Lab::new(Network::NAT);
    prepare(&lab, true);
    let _bus = start_bus(&lab);
    let _guest = lab.attach(1);
    for prefix in [&["setpriv", "--reuid=65534", "--clear-groups"][..], &["unshare", "--net"]] {
        let command = [&prefix[1..], &["/usr/bin/python3", "-c", FORGED]].concat();
        let forged = lab.host.start(prefix[0], &command);
        eventually("it has the name", || forged.has_printed("ready") > 0);
        Cli::new(&lab.host, &["gc"]).run().ok();
        call(&lab, "", "queryPanicMode", "");
        eventually("the control is asked", || forged.has_printed("asked queryPanicMode") > 0);
        let others = forged.has_printed("asked") - forged.has_printed("asked NameAcquired");
        assert_eq!(others, 1, "{}", forged.printed());
    }
}

/// Nor is anything left of one that went while firewalld was away.
#[test]
fn a_guest_that_leaves_without_firewalld_leaves_no_zone_behind() {
    let lab = Lab::new(Network::NAT);
    let mut firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    firewalld.has_heard(&lab, true, "a guest");
    firewalld.daemon.signal(Signal::SIGTERM);
    eventually("firewalld ends", || firewalld.daemon.has_ended());
    lab.detach(guest);
    assert!(files(&lab).contains("br0"), "nobody could say so");
    firewalld.daemon = daemon(&lab);
    applied(&lab);
    firewalld.has_heard(&lab, false, "started again");
}

/// Installed while firewalld ran: it reads new files when it is told to.
#[test]
fn zones_that_are_not_known_yet_are_named() {
    let lab = Lab::new(Network::NAT);
    let firewalld = Firewalld::of(&lab, false);
    let guest = lab.attach(1);
    let said = Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run().complains(1);
    assert!(
        said.contains("does not know the zone kvmnet") && said.contains("firewall-cmd --reload"),
        "{said}"
    );
    let findings = Cli::new(&lab.host, &["check"]).run().out;
    assert!(findings.contains("firewall-cmd --reload"), "{findings}");
    lab.host.enter(copy_zones);
    call(&lab, "", "reload", "");
    applied(&lab);
    firewalld.has_heard(&lab, true, "reloaded");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25")));
    let findings = Cli::new(&lab.host, &["check"]).run().out;
    assert!(findings.contains("No problem"), "{findings}");
    lab.detach(guest);
}
