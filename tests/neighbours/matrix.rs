//! docs/neighbours.md: a line for each neighbour and each order, whose cells the tests write (`KVMNET_BLESS=1`), or find as they are.

use std::env;
use std::fs::{self, File};

use nix::fcntl::{Flock, FlockArg};

use crate::lab::Network;
use crate::neighbour::{Neighbour, Order, lives_beside};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/neighbours.md");

/// The columns, and every form of a mode.
pub const COLUMNS: [(&str, &[Network]); 5] = [
    ("isolated", &[Network::ISOLATED]),
    ("host-only", &[Network::HOST_ONLY, Network::HOST_ONLY_VETH]),
    ("routed", &[Network::ROUTED, Network::ROUTED_VETH]),
    ("nat", &[Network::NAT, Network::NAT_VETH, Network::NAT_BY_ROUTES]),
    ("bridged", &[Network::BRIDGED]),
];

/// The tests of one neighbour, one for each cell: `before::nat`.
macro_rules! cells {
    ($neighbour:ident, $name:literal) => {
        crate::matrix::cells!($neighbour, $name, before, NeighbourFirst);
        crate::matrix::cells!($neighbour, $name, after, GuestsFirst);
    };
    ($neighbour:ident, $name:literal, $module:ident, $order:ident) => {
        mod $module {
            crate::matrix::cells!($neighbour, $name, $order: isolated 0, host_only 1, routed 2, nat 3, bridged 4);
        }
    };
    ($neighbour:ident, $name:literal, $order:ident: $($mode:ident $column:literal),*) => {
        $(#[test]
        fn $mode() {
            crate::matrix::cell::<super::$neighbour>($name, crate::neighbour::Order::$order, $column);
        })*
    };
}
pub(crate) use cells;

/// Tries a mode beside a neighbour, and has that in the page. What does not work fails the test.
pub fn cell<N: Neighbour>(name: &str, order: Order, column: usize) {
    let networks = COLUMNS[column].1;
    networks.iter().for_each(|network| lives_beside::<N>(*network, order));
    let order = match order {
        Order::NeighbourFirst => "before the guests",
        Order::GuestsFirst => "after the guests",
    };
    write(&format!("| {name} | {order} |"), column, N::closes(COLUMNS[column].0).unwrap_or("works"));
}

/// The tests run side by side.
fn write(head: &str, column: usize, cell: &str) {
    let file = File::open(PAGE).expect("docs/neighbours.md");
    let _alone = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("a lock");
    let page = fs::read_to_string(PAGE).expect("docs/neighbours.md");
    let line = page.lines().find(|line| line.starts_with(head));
    let line = line.unwrap_or_else(|| panic!("docs/neighbours.md has no line {head}"));
    let mut cells: Vec<&str> = line[head.len()..].trim_end_matches('|').split('|').map(str::trim).collect();
    assert_eq!(cells.len(), COLUMNS.len(), "docs/neighbours.md: {line}");
    if env::var_os("KVMNET_BLESS").is_some() {
        cells[column] = cell;
        let written = page.replace(line, &format!("{head} {} |", cells.join(" | ")));
        fs::write(PAGE, written).expect("docs/neighbours.md can be written");
    } else {
        assert_eq!(cells[column], cell, "{head} KVMNET_BLESS=1 has the tests write docs/neighbours.md");
    }
}
