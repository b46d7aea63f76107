//! The addresses that guests of a network have been given, as its DHCP server has written them: a hint.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::model::IfName;
use crate::model::lease::{self, Lease};

/// More than ten thousand leases take, of clients with the longest identities; the file is not root's.
const MOST: u64 = 10 << 20;

/// None where nobody ever had one, or where they cannot be read.
pub fn of(bridge: &IfName) -> Vec<Lease> {
    text(Path::new(&lease::path(bridge))).map_or_else(|_| Vec::new(), |text| lease::parse(&text))
}

/// The file's text, as far as it can be such a file's.
pub fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
