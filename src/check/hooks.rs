//! Whether QEMU finds kvmnet's programs.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::lock;

pub const PATHS: [&str; 2] = ["/etc/qemu-ifup", "/etc/qemu-ifdown"];

/// What is at one of the two paths.
#[derive(Debug)]
pub enum HookFile {
    Ours,
    Missing,
    /// A link to this, where nothing is.
    Dangling(String),
    Foreign,
    NotExecutable,
    /// It cannot be read.
    Hidden,
}

/// So much of a program is looked at: its texts come before its code.
const BEGINNING: u64 = 1024 * 1024;
/// A text that each of kvmnet's programs has in it.
const TEXT: &[u8] = lock::PATH.as_bytes();

impl HookFile {
    pub fn read(path: &str) -> Self {
        let about = match fs::metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let target = fs::read_link(path).map(|target| target.to_string_lossy().into_owned());
                return target.map_or(HookFile::Missing, HookFile::Dangling);
            }
            Err(_) => return HookFile::Hidden,
        };
        if !about.is_file() {
            return HookFile::Foreign;
        }
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes)) {
            Err(_) => HookFile::Hidden,
            Ok(_) if !bytes.windows(TEXT.len()).any(|window| window == TEXT) => HookFile::Foreign,
            Ok(_) if about.permissions().mode() & 0o111 == 0 => HookFile::NotExecutable,
            Ok(_) => HookFile::Ours,
        }
    }
}

/// Only a note: QEMU may be told of other paths (`script=`).
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let findings = PATHS.iter().zip(&input.hooks).filter_map(|(path, file)| {
        let text = match file {
            HookFile::Ours | HookFile::Hidden => return None,
            HookFile::Missing => "is not there: QEMU's taps get no network",
            HookFile::Dangling(target) => &format!("is a dangling link to {target}"),
            HookFile::Foreign => "is not kvmnet's: something else sets up QEMU's taps",
            HookFile::NotExecutable => "cannot be run",
        };
        let finding = Finding::note("hooks", text).at(Place::file(path));
        Some(match file {
            HookFile::NotExecutable => finding.run([format!("chmod 755 {path}")]),
            _ => finding.run(["sudo ./install.sh"]),
        })
    });
    findings.collect()
}
