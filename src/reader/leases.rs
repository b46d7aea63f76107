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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The file is not root's: one that is larger than any such file can be is read as far as that.
    #[test]
    fn a_file_without_end_is_read_in_part() {
        let path = std::env::temp_dir().join(format!("kvmnet-leases-{}", std::process::id()));
        std::fs::write(&path, "0 52:54:00:12:34:56 10.0.100.7 web *\n").unwrap();
        File::options().write(true).open(&path).unwrap().set_len(MOST * 100).unwrap();
        let text = text(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text.len() as u64, MOST);
        assert_eq!(lease::parse(&text).len(), 1);
    }
}
