//! A firewalld that does not answer, and one that is none.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Firewalld, call, prepare, start_bus};
use crate::lab::{Cli, Lab, Network, eventually};
use crate::neighbour::{Neighbour, applied};

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
        let began = Instant::now();
        let said = Cli::new(&lab.host, &["gc"]).run();
        assert!(said.status == 1 && said.err.contains("does not answer"), "{}", said.err);
        assert!(began.elapsed() < Duration::from_secs(20), "where nothing has changed, sooner");
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
