//! Whether QEMU finds kvmnet's programs.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::lock;

pub const PATHS: [&str; 2] = ["/etc/qemu-ifup", "/etc/qemu-ifdown"];

/// So much of a program is looked at: all of a release, and of a build for debugging what comes before the debugger's part.
const BEGINNING: u64 = 8 * 1024 * 1024;
/// A text that each of kvmnet's programs has in it.
const TEXT: &[u8] = lock::PATH.as_bytes();

const NOT_EXECUTABLE: &str = "cannot be run";

/// What is wrong with what is at a path, as far as it can be seen.
pub fn read(path: &str) -> Option<String> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some(match fs::read_link(path) {
                Ok(target) => format!("is a dangling link to {}", target.display()),
                Err(_) => "is not there: QEMU's taps get no network".to_owned(),
            });
        }
        Err(_) => return None,
    };
    let mut bytes = Vec::new();
    if about.is_file() {
        File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut bytes)).ok()?;
    }
    if !bytes.windows(TEXT.len()).any(|window| window == TEXT) {
        return Some("is not kvmnet's: something else sets up QEMU's taps".to_owned());
    }
    (about.permissions().mode() & 0o111 == 0).then(|| NOT_EXECUTABLE.to_owned())
}

/// Only a note: QEMU may be told of other paths (`script=`).
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let findings = PATHS.iter().zip(&input.hooks).filter_map(|(path, wrong)| {
        let finding = Finding::note("hooks", wrong.as_ref()?).at(Place::file(path));
        Some(match wrong.as_deref() {
            Some(NOT_EXECUTABLE) => finding.run([format!("chmod 755 {path}")]),
            _ => finding.run(["sudo ./install.sh"]),
        })
    });
    findings.collect()
}
