//! Whether QEMU finds kvmnet's programs.

use super::finding::{Finding, Place};
use super::input::{CheckInput, HookFile};

/// Only a note: QEMU may be told of other paths (`script=`).
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let findings = input.hooks.iter().filter_map(|(path, file)| {
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
