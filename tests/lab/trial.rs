//! A row of the README's table, asked of two real guests.

use std::fs::File;
use std::thread;

use nix::fcntl::Flock;

use super::network::{Network, Place};
use super::{Capture, Lab, Qemu, Snapshot, Style, turn};

/// What came of the attempts of one cell, over IPv4 and IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every address answered.
    All,
    /// None did.
    Nobody,
    /// These did, of more: the table knows no such answer.
    Some(Vec<String>),
}

impl Reach {
    fn of(addresses: &[String], answered: &[bool]) -> Self {
        let answers = addresses.iter().zip(answered).filter(|(_, answered)| **answered);
        let reached: Vec<String> = answers.map(|(address, _)| address.clone()).collect();
        match reached.len() {
            0 => Self::Nobody,
            count if count == addresses.len() => Self::All,
            _ => Self::Some(reached),
        }
    }
}

/// The columns that two guests of one network can ask about, in the order of `Row::cells`.
pub const COLUMNS: [[&str; 2]; 5] = [
    ["guest", "to guest"],
    ["guest", "to host"],
    ["host", "to guest"],
    ["guest", "to outside"],
    ["outside", "to guest"],
];

/// A row: who reached whom, and as whom guest 1 was seen outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub cells: [Reach; 5],
    pub seen_as: Vec<String>,
}

impl Row {
    /// What the README says of a mode.
    pub fn expected(network: Network) -> Self {
        let (yes, no) = (Reach::All, Reach::Nobody);
        let (cells, seen_as) = match network.mode {
            "isolated" => ([yes, no.clone(), no.clone(), no.clone(), no], None),
            "host-only" => ([yes.clone(), yes.clone(), yes, no.clone(), no], None),
            "routed" => ([yes.clone(), yes.clone(), yes.clone(), yes.clone(), yes], Some("10.0.100.1")),
            "nat" => ([yes.clone(), yes.clone(), yes.clone(), yes, no], Some("192.168.1.230")),
            _ => ([yes.clone(), yes.clone(), yes.clone(), yes.clone(), yes], Some("192.168.1.67")),
        };
        Self { cells, seen_as: seen_as.into_iter().map(str::to_owned).collect() }
    }
}

/// Two real guests on one network of a host.
pub struct Trial {
    pub lab: Lab,
    pub one: Qemu,
    pub two: Qemu,
    /// The host as it was before.
    pub before: Snapshot,
    pub turn: Flock<File>,
}

impl Trial {
    /// Boots both, with the hooks run by QEMU.
    #[track_caller]
    pub fn boot(network: Network, style: Style) -> Self {
        Self::boot_at(Lab::new(network), [1, 2].map(|number| network.guest(number)), style)
    }

    /// The same on a host whose networks are served, where nobody gives the guests an address by hand.
    #[track_caller]
    pub fn boot_served(network: Network, style: Style) -> Self {
        let lab = Lab::new(network);
        lab.has_kvmnet();
        Self::boot_with(lab, [1, 2].map(|number| network.guest(number)), style, Qemu::ready_by_dhcp)
    }

    /// Boots two guests at these places. Trials take turns.
    #[track_caller]
    pub fn boot_at(lab: Lab, places: [Place; 2], style: Style) -> Self {
        Self::boot_with(lab, places, style, Qemu::ready)
    }

    #[track_caller]
    fn boot_with(lab: Lab, places: [Place; 2], style: Style, ready: fn(&mut Qemu)) -> Self {
        let turn = turn();
        lab.outside_knows_the_way();
        let before = Snapshot::of(&lab.host);
        let [mut one, mut two] = places.map(|place| Qemu::start(&lab, &place, style));
        ready(&mut one);
        ready(&mut two);
        lab.settle();
        Self { lab, one, two, before, turn }
    }

    /// Makes every attempt of the row.
    #[track_caller]
    pub fn ask(&mut self) -> Row {
        let network = self.lab.network;
        let [one, two] = [&self.one, &self.two].map(|guest| {
            let Place { v4, v6, .. } = guest.place();
            vec![v4.clone(), v6.clone()]
        });
        let (elsewhere, here) = (["192.168.1.230", "fd00:1::230"], ["10.0.100.3", "fd00:100::3"]);
        let host = match network.mode {
            "bridged" => elsewhere.to_vec(),
            // The host is on the network with its addresses there.
            "host-only" => here.to_vec(),
            _ => [elsewhere, here].concat(),
        };
        let host = host.into_iter().map(str::to_owned).collect();
        let outside = vec!["192.168.1.25".to_owned(), "fd00:1::25".to_owned()];
        let mut capture = Capture::of_wire(&self.lab.outside);
        let from_guest = [two, host, outside];
        let [to_two, to_host, to_outside] = self.answers(&from_guest);
        let (host, outside) = (&self.lab.host, &self.lab.outside);
        let (from_host, from_outside) = thread::scope(|scope| {
            let from_host = scope.spawn(|| Reach::of(&one, &host.pings_each(&one)));
            let from_outside = Reach::of(&one, &outside.pings_each(&one));
            (from_host.join().expect("pings do not panic"), from_outside)
        });
        let cells = [to_two, to_host, from_host, to_outside, from_outside];
        Row { cells, seen_as: capture.sources_towards("192.168.1.25") }
    }

    /// Has guest 1 ping all these at once, and sorts the answers into their groups.
    #[track_caller]
    fn answers<const N: usize>(&mut self, groups: &[Vec<String>; N]) -> [Reach; N] {
        let answered = self.one.pings_each(&groups.concat());
        let mut rest = &answered[..];
        groups.each_ref().map(|group| {
            let (own, others) = rest.split_at(group.len());
            rest = others;
            Reach::of(group, own)
        })
    }
}
