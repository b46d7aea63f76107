//! QEMU's arguments, with the tap's files in them.
//!
//! In: a command line, and the numbers of open files. Out: the command line to run. Never: opens anything.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::Error;
use crate::model::Mac;

/// Stands for the tap: alone, for an option of QEMU's, in another argument for its files.
const NET: &[u8] = b"{net}";
/// Stands for the NIC's MAC.
const MAC: &[u8] = b"{mac}";

/// What QEMU is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// The files of the tap's queues.
    pub taps: Vec<RawFd>,
    /// As many of vhost-net, or none.
    pub vhosts: Vec<RawFd>,
    pub mac: Mac,
}

impl Net {
    /// `command` with the tap in the place of `{net}`; where that is nowhere, at the end, with a NIC.
    pub fn in_command(&self, command: &[OsString]) -> Result<Vec<OsString>, Error> {
        let places = command.iter().map(|word| count(word.as_bytes(), NET)).sum::<usize>();
        if places > 1 {
            let problem = "{net} is there more than once, and there is one tap".to_owned();
            return Err(Error::Usage { problem, program: "kvmnet run" });
        }
        let mut words: Vec<OsString> = command.iter().flat_map(|word| self.in_word(word)).collect();
        if places == 0 {
            words.extend(self.option());
            words.extend(["-device".into(), self.device().into()]);
        }
        Ok(words)
    }

    fn in_word(&self, word: &OsStr) -> Vec<OsString> {
        if word.as_bytes() == NET {
            return self.option().into();
        }
        let word = replaced(word.as_bytes(), NET, &self.files());
        vec![OsString::from_vec(replaced(&word, MAC, &self.mac.to_string()))]
    }

    fn option(&self) -> [OsString; 2] {
        ["-netdev".into(), format!("tap,id=kvmnet0,{}", self.files()).into()]
    }

    /// `fd=3,vhostfd=4`, or `fds=3:4,vhostfds=5:6` with several queues.
    fn files(&self) -> String {
        let many = if self.taps.len() > 1 { "s" } else { "" };
        let list = |files: &[RawFd]| files.iter().map(RawFd::to_string).collect::<Vec<_>>().join(":");
        let mut text = format!("fd{many}={}", list(&self.taps));
        if !self.vhosts.is_empty() {
            text.push_str(&format!(",vhostfd{many}={}", list(&self.vhosts)));
        }
        text
    }

    /// A vector for each direction of each queue, one for changes and one for control.
    fn device(&self) -> String {
        let queues = self.taps.len();
        let many = if queues > 1 { format!(",mq=on,vectors={}", 2 * queues + 2) } else { String::new() };
        format!("virtio-net-pci,netdev=kvmnet0,mac={}{many}", self.mac)
    }
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|window| *window == word).count()
}

fn replaced(text: &[u8], word: &[u8], by: &str) -> Vec<u8> {
    let mut result = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(word.len()).position(|window| window == word) {
        let (before, after) = rest.split_at(at);
        result.extend_from_slice(before);
        result.extend_from_slice(by.as_bytes());
        rest = after.get(word.len()..).unwrap_or_default();
    }
    result.extend_from_slice(rest);
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAC: Mac = Mac([0x56, 1, 2, 3, 4, 5]);

    #[track_caller]
    fn check(taps: &[RawFd], vhosts: &[RawFd], line: &str, wanted: &str) {
        let net = Net { taps: taps.into(), vhosts: vhosts.into(), mac: MAC };
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let found = net.in_command(&words).unwrap();
        let found: Vec<_> = found.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(found.join(" "), wanted, "{line}");
    }

    #[test]
    fn the_tap_is_where_it_is_wanted() {
        let nic = "-device virtio-net-pci,netdev=kvmnet0,mac=56:01:02:03:04:05";
        check(&[3], &[4], "qemu -m 1", &format!("qemu -m 1 -netdev tap,id=kvmnet0,fd=3,vhostfd=4 {nic}"));
        check(&[3], &[], "qemu", &format!("qemu -netdev tap,id=kvmnet0,fd=3 {nic}"));
        let many = format!("{nic},mq=on,vectors=6");
        check(&[3, 4], &[5, 6], "qemu", &format!("qemu -netdev tap,id=kvmnet0,fds=3:4,vhostfds=5:6 {many}"));
        let line = "qemu {net} -device e1000,netdev=kvmnet0,mac={mac} -m 1";
        let wanted =
            "qemu -netdev tap,id=kvmnet0,fd=3 -device e1000,netdev=kvmnet0,mac=56:01:02:03:04:05 -m 1";
        check(&[3], &[], line, wanted);
        let wanted = "qemu -nic tap,fds=3:4,vhostfds=5:6,mac=56:01:02:03:04:05,id=x";
        check(&[3, 4], &[5, 6], "qemu -nic tap,{net},mac={mac},id=x", wanted);
    }

    #[test]
    fn one_tap_has_one_place() {
        let net = Net { taps: vec![3], vhosts: Vec::new(), mac: MAC };
        for words in [&["qemu", "{net}", "{net}"][..], &["qemu", "-nic", "tap,{net},{net}"]] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert!(net.in_command(&words).unwrap_err().to_string().contains("more than once"));
        }
    }

    /// A word of a command line is bytes.
    #[test]
    fn other_words_stay_as_they_are() {
        let net = Net { taps: vec![3], vhosts: Vec::new(), mac: MAC };
        let words =
            [OsString::from("qemu"), OsString::from_vec(b"\xff{net}\xfe".into()), "{ne".into(), "".into()];
        let found = net.in_command(&words).unwrap();
        assert_eq!(found[1].as_bytes(), b"\xfffd=3\xfe");
        assert_eq!(found[2..], words[2..]);
    }
}
