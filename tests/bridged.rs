//! The bridged takeover: the host's NIC becomes a port of the bridge and comes back, and nobody who talks with the
//! host notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::{Lab, Machine, Network, Process, Snapshot, TcpServer, eventually, within};

/// A host with a default route, a route with a metric, one of another table, one with a source of its own, and more
/// than one address.
fn well_connected() -> Lab {
    let lab = Lab::new(Network::BRIDGED);
    for command in [
        "addr add 192.168.1.231/24 brd + dev eth3 label eth3:web",
        "addr add 172.20.5.1/24 dev eth3 noprefixroute",
        "addr add 172.21.0.1 peer 172.21.0.2/32 dev eth3",
        "addr add 192.168.1.240/24 dev eth3 valid_lft 7200 preferred_lft 3600",
        "route add default via 192.168.1.26 dev eth3 metric 700",
        "route add 172.31.0.0/16 via 192.168.1.25 dev eth3 metric 50",
        "route add 172.30.0.0/16 dev eth3 scope link src 192.168.1.231",
        "route add 172.29.0.0/16 via 192.168.1.25 dev eth3 mtu lock 1400 table 100",
        "-6 addr add fd00:1::231/64 dev eth3 nodad valid_lft 7200 preferred_lft 3600",
        "-6 addr add fd00:5::1/64 dev eth3 nodad noprefixroute",
        "-6 route add default via fd00:1::26 dev eth3 metric 2048",
        "-6 route add fd00:31::/48 via fd00:1::25 dev eth3 metric 50",
        "-6 route add fd00:29::/48 via fe80::25 dev eth3 table 100",
        "neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth3 nud permanent",
    ] {
        lab.host.ip(command);
    }
    lab
}

/// The host's routes of all tables but the kernel's own for multicast, sorted.
fn routes(host: &Machine) -> Vec<String> {
    let text = host.ip("-4 -d route show table all") + &host.ip("-6 -d route show table all");
    let routes = text.lines().filter(|line| !line.contains("ff00::/8"));
    sorted(routes.map(|line| line.split(" expires").next().unwrap_or(line).trim_end().to_owned()).collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn addresses_and_routes_move_to_the_bridge_and_come_back() {
    let lab = well_connected();
    let before = Snapshot::of(&lab.host);
    let routes_before = routes(&lab.host);
    let one = lab.attach(1);
    lab.settle();
    let moved = sorted(routes_before.iter().map(|route| route.replace("dev eth3", "dev br0")).collect());
    within(Duration::from_secs(3), || routes(&lab.host) == moved);
    assert_eq!(
        routes(&lab.host).join("\n"),
        moved.join("\n"),
        "each route of eth3 is one of br0, and no other has come"
    );
    assert!(!lab.host.ip("addr show dev eth3").contains("inet"), "eth3 has no address");
    let addresses = lab.host.ip("addr show dev br0");
    for words in [
        "inet 192.168.1.230/24",
        "192.168.1.231/24 brd 192.168.1.255",
        ":web",
        "172.20.5.1/24",
        "noprefixroute",
        "172.21.0.1 peer 172.21.0.2/32",
        "inet6 fd00:1::230/64",
        "inet6 fd00:5::1/64",
    ] {
        assert!(addresses.contains(words), "br0 has {words}:\n{addresses}");
    }
    assert_eq!(lab.host.mac("br0"), lab.host.mac("eth3"), "the bridge carries the NIC's hardware address");
    lab.detach(one);
    lab.assert_as_before("the NIC is back", &before);
}

/// Pings, one each ten milliseconds, in one direction.
struct Pings {
    what: String,
    ping: Process,
}

impl Pings {
    /// More of them than the test needs, so that they go on until the last hook is done.
    const COUNT: usize = 400;

    fn start(from: &Machine, to: &str) -> Self {
        let count = Self::COUNT.to_string();
        let ping = ["-oL", "ping", "-n", "-i", "0.01", "-W", "2", "-c", &count, to];
        let ping = from.start("stdbuf", &ping);
        Self { what: format!("pings to {to}"), ping }
    }

    fn answers(&self) -> usize {
        self.ping.printed().matches("bytes from").count()
    }

    /// The numbers of those that were never answered.
    fn lost(mut self) -> (String, Vec<usize>) {
        self.ping.wait();
        let printed = self.ping.printed();
        let lost = (1..=Self::COUNT).filter(|number| !printed.contains(&format!("icmp_seq={number} ")));
        (self.what, lost.collect())
    }
}

/// Waits until each has been answered this many times more.
#[track_caller]
fn await_answers(pings: &[Pings], more: usize) {
    let wanted: Vec<usize> = pings.iter().map(|ping| ping.answers() + more).collect();
    for (ping, wanted) in pings.iter().zip(wanted) {
        let answered = within(Duration::from_secs(10), || ping.answers() >= wanted);
        assert!(answered, "{}: {}", ping.what, ping.ping.printed());
    }
}

#[test]
fn not_one_ping_in_a_hundred_is_lost_in_either_direction() {
    let lab = well_connected();
    let pings = [
        (&lab.host, "192.168.1.25"),
        (&lab.host, "198.51.100.7"),
        (&lab.host, "fd00:1::25"),
        (&lab.outside, "192.168.1.230"),
        (&lab.outside, "192.168.1.231"),
        (&lab.outside, "fd00:1::230"),
    ]
    .map(|(from, to)| Pings::start(from, to));
    await_answers(&pings, 20);
    let one = lab.attach(1);
    await_answers(&pings, 100);
    lab.detach(one);
    await_answers(&pings, 100);
    // The kernel itself drops what arrives in the instant when a NIC stops to be a port (or becomes one): with a
    // thousand pings a second, and nothing but `ip link set eth3 nomaster`, one in forty such instants hits a ping.
    let lost: Vec<(String, Vec<usize>)> = pings.into_iter().map(Pings::lost).collect();
    let too_many: Vec<_> = lost.iter().filter(|(_, numbers)| numbers.len() * 100 >= Pings::COUNT).collect();
    assert!(too_many.is_empty(), "of {} each these were lost: {lost:?}", Pings::COUNT);
}

/// A conversation over one TCP connection: a byte there and back, again and again.
struct Conversation {
    turns: AtomicUsize,
    over: AtomicBool,
}

impl Conversation {
    /// Says a byte and awaits its echo until told to stop. A connection that breaks ends it.
    fn talk(&self, mut connection: TcpStream) -> std::io::Result<()> {
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        while !self.over.load(Ordering::Relaxed) {
            connection.write_all(b"?")?;
            connection.read_exact(&mut [0])?;
            self.turns.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn await_turns(&self, more: usize) {
        let wanted = self.turns.load(Ordering::Relaxed) + more;
        eventually("the connection goes on", || self.turns.load(Ordering::Relaxed) >= wanted);
    }
}

/// Sets its flag when it goes, on whichever way.
struct WhenDropped<'a>(&'a AtomicBool);

impl Drop for WhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Echoes until the other side closes, or is not heard of any more.
fn echo(mut connection: TcpStream) {
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut byte = [0];
    while let Ok(1) = connection.read(&mut byte) {
        if connection.write_all(&byte).is_err() {
            return;
        }
    }
}

/// An open connection from one machine to another lives through the takeover and through the return.
#[track_caller]
fn connection_survives(pick: fn(&Lab) -> (&Machine, &Machine), address: &str) {
    let lab = well_connected();
    let (client, server) = pick(&lab);
    let server = TcpServer::on(server);
    let connection = client.open(address).expect("the connection opens");
    let conversation = Conversation { turns: AtomicUsize::new(0), over: AtomicBool::new(false) };
    thread::scope(|scope| {
        let over = WhenDropped(&conversation.over);
        scope.spawn(|| echo(server.accept()));
        let talk = scope.spawn(|| conversation.talk(connection));
        conversation.await_turns(10);
        let one = lab.attach(1);
        conversation.await_turns(100);
        lab.detach(one);
        conversation.await_turns(100);
        drop(over);
        talk.join().unwrap().expect("the connection never breaks");
    });
}

#[test]
fn a_connection_that_the_host_opened_survives() {
    connection_survives(|lab| (&lab.host, &lab.outside), "192.168.1.25");
    connection_survives(|lab| (&lab.host, &lab.outside), "fd00:1::25");
}

#[test]
fn a_connection_to_the_host_survives() {
    connection_survives(|lab| (&lab.outside, &lab.host), "192.168.1.230");
    connection_survives(|lab| (&lab.outside, &lab.host), "fd00:1::230");
}

#[test]
fn a_guest_may_speak_the_moment_it_is_attached() {
    let lab = Lab::new(Network::BRIDGED);
    let one = lab.boot(1);
    lab.ifup(&one).ok();
    assert!(one.pings("192.168.1.25"), "the first packet arrives");
}

#[test]
fn the_second_guest_changes_nothing_for_the_host() {
    let lab = well_connected();
    let one = lab.attach(1);
    lab.settle();
    let with_one = Snapshot::of(&lab.host);
    let two = lab.attach(2);
    lab.assert_as_before("a second guest on the bridge", &with_one);
    lab.detach(two);
    lab.assert_as_before("and it has gone", &with_one);
    lab.detach(one);
}

#[test]
fn auto_takes_the_nic_with_the_default_route() {
    let lab = Lab::new(Network { uplink: "uplink  = \"auto\"\n", ..Network::BRIDGED });
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    assert!(lab.host.ip("link show dev eth3").contains("master br0"));
    assert!(one.pings("192.168.1.25"));
    lab.detach(one);
    lab.assert_as_before("the NIC is back", &before);
}
