//! The addresses that guests of a network have been given, as its DHCP server has written them: a hint.

use std::fs::File;
use std::io::Read;

use crate::model::IfName;
use crate::model::lease::{self, Lease};

/// More than ten thousand leases take, of clients with the longest identities; the file is not root's.
const MOST: u64 = 10 << 20;

/// None where nobody ever had one, or where they cannot be read.
pub fn of(bridge: &IfName) -> Vec<Lease> {
    let mut bytes = Vec::new();
    let read = File::open(lease::path(bridge)).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    lease::parse(&String::from_utf8_lossy(&bytes))
}
