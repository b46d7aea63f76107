//! What the command line of a VM says: its program, its name (qemu(1), firecracker's `--id`, crosvm's and lkvm's
//! `--name`), and the MACs of its NICs.
//!
//! In: the words of the command line. Out: what it says. Never: asks the VM, so it does not know what was changed since.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod json;
mod options;
mod qemu;

pub use qemu::{DEFAULT_MAC, macs};

use options::Options;

use crate::model::{GuestIdentity, IfName};

/// The program, without its directory.
pub fn program(arguments: &[String]) -> String {
    let path = arguments.first().map(String::as_str).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The name that the command line gives the VM.
pub fn name(arguments: &[String]) -> Option<String> {
    let is_firecracker = program(arguments).starts_with("firecracker");
    let is_option =
        |word: &String| matches!(word.as_str(), "-name" | "--name") || is_firecracker && word == "--id";
    let apart = arguments.iter().position(is_option).and_then(|at| arguments.get(at + 1));
    let joined = || arguments.iter().find_map(|word| word.strip_prefix("--name="));
    let value = apart.map(String::as_str).or_else(joined)?;
    let options = Options::read(value, "guest");
    options.get("guest").filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Who the guest on `tap` is. `taps` are those that the VM has open, each with the number of the file, in that order. What it
/// says is a hint, bounded and made safe.
pub fn identity(arguments: &[String], taps: &[(u32, IfName)], tap: &IfName) -> GuestIdentity {
    let macs = macs(arguments, taps).into_iter().filter(|(on, _)| on == tap).map(|(_, mac)| mac);
    GuestIdentity::new(name(arguments).as_deref(), macs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_name_is_found_as_people_write_it() {
        for (line, expected) in [
            ("qemu-system-x86_64 -name web -m 128", Some("web")),
            ("/usr/bin/qemu-system-x86_64 --name web", Some("web")),
            ("qemu -name guest=web-1,debug-threads=on", Some("web-1")),
            ("qemu -name web,process=x", Some("web")),
            ("qemu -name process=x,guest=web", Some("web")),
            ("qemu -name a,,b=c", Some("a,b=c")),
            ("qemu -name debug-threads=on", None),
            ("qemu -m 128", None),
            ("qemu -name", None),
            ("/opt/firecracker --id vm7 --api-sock x", Some("vm7")),
            ("qemu --id vm7", None),
            ("lkvm run --name=web", Some("web")),
        ] {
            assert_eq!(name(&words(line)).as_deref(), expected, "{line}");
        }
        assert_eq!(program(&words("/opt/firecracker --id vm7")), "firecracker");
    }
}
