//! The cells of the README's table as attempts: everything a machine can try to reach another, and what came of it.

use std::time::Duration;

use super::network::{Network, Place};
use super::{Guest, Lab, Listener, Machine, within};

/// One thing that was tried, in words, and whether it got through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub what: String,
    pub reached: bool,
}

impl Attempt {
    /// Whether it was sent one way, so that only the listener knows its fate.
    fn is_datagram(&self) -> bool {
        self.what.starts_with("datagram")
    }
}

/// A cell of the table: makes all its attempts in a world.
pub type Cell = fn(&World) -> Vec<Attempt>;

/// A lab with two guests of one network, whose outside machine knows the way to them.
pub struct World {
    pub lab: Lab,
    pub one: Guest,
    pub two: Guest,
}

impl World {
    /// Both guests are attached and every address has settled. `forwards`: the host was a router before.
    #[track_caller]
    pub fn new(network: Network, forwards: bool) -> Self {
        let lab = Lab::new(network);
        if forwards {
            lab.host_forwards_for_others();
        }
        lab.outside_knows_the_way();
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        let world = Self { lab, one, two };
        if network.mode == "bridged" {
            know_hosts_other_networks(&world.one);
            know_hosts_other_networks(&world.two);
        }
        world
    }

    /// The addresses of guest 1, its link-local one as seen from `interface`.
    fn addresses_of(&self, guest: &Guest, number: u8, interface: &str) -> Vec<String> {
        let Place { v4, v6, .. } = self.lab.network.guest(number);
        let link_local = guest.link_local("eth0").expect("a guest has a link-local address");
        vec![v4, v6, format!("{link_local}%{interface}")]
    }

    /// Where a frame for the host's stack must go: to the interface that carries its address.
    fn host_mac(&self) -> [u8; 6] {
        self.lab.host.mac(self.lab.network.gate)
    }
}

/// On the LAN, a guest finds the networks behind the host as any machine there does: by a route.
fn know_hosts_other_networks(guest: &Guest) {
    for network in ["10.77.0.0/24", "10.99.0.1/32", "10.0.200.0/24"] {
        guest.ip(&format!("route add {network} via 192.168.1.230"));
    }
    for network in ["fd00:77::/64", "fd00:99::1/128", "fd00:200::/64"] {
        guest.ip(&format!("-6 route add {network} via fd00:1::230"));
    }
}

/// The columns of the table.
pub mod cells {
    use super::*;

    /// Guest 1 towards guest 2 of the same network.
    pub fn guest_to_guest(world: &World) -> Vec<Attempt> {
        let targets = world.addresses_of(&world.two, 2, "eth0");
        attempt(&world.one, &world.two, &targets, "eth0", world.two.mac("eth0"))
    }

    /// What the host has elsewhere than on the network.
    const ELSEWHERE: [&str; 6] =
        ["192.168.1.230", "10.77.0.1", "10.99.0.1", "fd00:1::230", "fd00:77::1", "fd00:99::1"];

    /// Guest 1 towards every address that the host has; of a host-only network on that network.
    pub fn guest_to_host(world: &World) -> Vec<Attempt> {
        let Place { v4, v6, .. } = world.lab.network.guest(1);
        let mode = world.lab.network.mode;
        let elsewhere = ELSEWHERE.iter().filter(|_| mode != "host-only");
        let mut targets: Vec<String> = elsewhere.map(|address| (*address).to_owned()).collect();
        if mode != "bridged" {
            targets.extend([v4, v6].map(|address| address.trim_end_matches('1').to_owned() + "3"));
        }
        targets.push(format!("{}%eth0", link_local_of_host(world)));
        attempt(&world.one, &world.lab.host, &targets, "eth0", world.host_mac())
    }

    /// Guest 1 towards the host's other addresses.
    pub fn guest_to_host_elsewhere(world: &World) -> Vec<Attempt> {
        attempt(&world.one, &world.lab.host, &ELSEWHERE.map(str::to_owned), "eth0", world.host_mac())
    }

    /// The host towards every address of guest 1.
    pub fn host_to_guest(world: &World) -> Vec<Attempt> {
        let gate = world.lab.network.gate;
        let targets = world.addresses_of(&world.one, 1, gate);
        attempt(&world.lab.host, &world.one, &targets, gate, world.one.mac("eth0"))
    }

    /// Guest 1 towards the outside machine, and towards the world behind it.
    pub fn guest_to_outside(world: &World) -> Vec<Attempt> {
        let targets = ["192.168.1.25", "198.51.100.7", "fd00:1::25", "fd00:51::7"].map(str::to_owned);
        let on_lan = world.lab.network.mode == "bridged";
        let next = if on_lan { world.lab.outside.mac("eth0") } else { world.host_mac() };
        attempt(&world.one, &world.lab.outside, &targets, "eth0", next)
    }

    /// The outside machine towards guest 1.
    pub fn outside_to_guest(world: &World) -> Vec<Attempt> {
        let Place { v4, v6, .. } = world.lab.network.guest(1);
        let on_lan = world.lab.network.mode == "bridged";
        let next = if on_lan { world.one.mac("eth0") } else { world.lab.host.mac("eth3") };
        attempt(&world.lab.outside, &world.one, &[v4, v6], "eth0", next)
    }
}

/// The host's link-local address in the guests' network; where it has none, the one it would have by its
/// hardware address.
fn link_local_of_host(world: &World) -> String {
    let gate = world.lab.network.gate;
    world.lab.host.link_local(gate).unwrap_or_else(|| {
        let [a, b, c, d, e, f] = world.lab.host.mac(gate);
        format!("fe80::{:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}", a ^ 2)
    })
}

/// A lab with a guest on each of two networks of one host.
pub struct TwoNetworks {
    pub lab: Lab,
    pub first: Guest,
    pub second: Guest,
}

impl TwoNetworks {
    /// `first` is the network `default`, `second` the network `lab`; both on one host. Both have settled.
    #[track_caller]
    pub fn new(first: Network, second: Network, forwards: bool) -> Self {
        let lab = Lab::new(first);
        if forwards {
            lab.host_forwards_for_others();
        }
        lab.outside_knows_the_way();
        lab.write_config(&format!("{}{}", first.config(), second.lab_table()));
        let (one, three) = (lab.attach(1), lab.attach_in_lab(1));
        lab.settle();
        let world = Self { lab, first: one, second: three };
        if first.mode == "bridged" {
            know_hosts_other_networks(&world.first);
        }
        world
    }

    /// The guest of the first network towards the guest of the second.
    pub fn first_to_second(&self) -> Vec<Attempt> {
        let Place { v4, v6, .. } = Place::in_lab(1);
        attempt(&self.first, &self.second, &[v4, v6], "eth0", self.lab.host.mac(self.lab.network.gate))
    }

    /// The guest of the second network towards the guest of the first.
    pub fn second_to_first(&self) -> Vec<Attempt> {
        let Place { v4, v6, .. } = self.lab.network.guest(1);
        attempt(&self.second, &self.first, &[v4, v6], "eth0", self.lab.host.mac("br-lab"))
    }
}

/// Everything `from` can try to reach `to` at these addresses: echo requests and one-way datagrams, first as its
/// routes and its questions for the neighbour take them, then with a route on the link and the neighbour's
/// hardware address `next` given by hand.
fn attempt(from: &Machine, to: &Machine, targets: &[String], interface: &str, next: [u8; 6]) -> Vec<Attempt> {
    let mut listener = Listener::on(to);
    let mut attempts = try_each(from, targets, "");
    for target in targets {
        know_neighbour(from, target, interface, next);
    }
    attempts.extend(try_each(from, targets, " by a static neighbour and a route"));
    let datagrams: Vec<&mut Attempt> = attempts.iter_mut().filter(|attempt| attempt.is_datagram()).collect();
    within(Duration::from_millis(500), || datagrams.iter().all(|attempt| listener.has_heard(&attempt.what)));
    for attempt in datagrams {
        attempt.reached = listener.has_heard(&attempt.what);
    }
    attempts
}

/// Sends each target a datagram, whose fate is not yet known, and pings it.
fn try_each(from: &Machine, targets: &[String], how: &str) -> Vec<Attempt> {
    let datagrams =
        targets.iter().map(|target| Attempt { what: format!("datagram to {target}{how}"), reached: false });
    let mut attempts: Vec<Attempt> = datagrams.collect();
    for (target, attempt) in targets.iter().zip(&attempts) {
        from.send(target, &attempt.what);
    }
    let answers = targets.iter().zip(from.pings_each(targets));
    attempts
        .extend(answers.map(|(target, reached)| Attempt { what: format!("ping {target}{how}"), reached }));
    attempts
}

/// Gives a machine a neighbour by hand, and a route to it on the link. Where it cannot have them (an interface
/// without IPv6), the attempts that follow are made without.
fn know_neighbour(machine: &Machine, target: &str, interface: &str, [a, b, c, d, e, f]: [u8; 6]) {
    let (address, _) = target.split_once('%').unwrap_or((target, ""));
    let family = if address.contains(':') { "-6" } else { "-4" };
    machine.try_run(&format!("ip {family} route replace {address} dev {interface}"));
    machine.try_run(&format!(
        "ip {family} neigh replace {address} lladdr {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} dev {interface} nud permanent"
    ));
}
