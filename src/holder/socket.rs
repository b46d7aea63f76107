//! Whose a socket is.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::MOST_PROCESSES;
use super::walk::processes;
use crate::terminal::printable;

/// So many open files of a process are looked at.
const MOST_FILES: usize = 4096;

/// The program that has the socket with this number, and its process.
pub fn of_socket(inode: u32) -> Option<(String, u32)> {
    let target = format!("socket:[{inode}]");
    let pid = processes().into_iter().take(MOST_PROCESSES).find(|pid| has_open(*pid, &target))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((printable(name.trim_end()), pid))
}

fn has_open(pid: u32, target: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = files.flatten().take(MOST_FILES).filter_map(|file| fs::read_link(file.path()).ok());
    links.any(|link| link.as_os_str().as_bytes() == target.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn finds_its_own_process() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino();
        assert_eq!(of_socket(inode as u32).unwrap().1, std::process::id());
        assert_eq!(of_socket(u32::MAX), None);
    }
}
