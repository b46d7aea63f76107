//! Has the DHCP server of a network started (`kvmnet serve`), where it does not run. It is never a child of a hook, whose
//! tap, signals and limits it would inherit, and with whose VM it would end.
//!
//! In: a bridge. Out: at most a note for a person. Never: knows what is served.

pub mod claim;
mod detached;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use crate::inherited::is_more_than_its_user;
use crate::lock::Lock;
use crate::log::{self, Level};
use crate::model::{IfName, Served};

/// Where dnsmasq is.
const PROGRAMS: [&str; 4] =
    ["/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq", "/sbin/dnsmasq", "/usr/bin/dnsmasq"];
/// Where systemd finds the unit.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/kvmnet-serve@.service",
    "/usr/lib/systemd/system/kvmnet-serve@.service",
    "/lib/systemd/system/kvmnet-serve@.service",
];

/// What a person is told where it is missing.
pub const NO_DNSMASQ: &str =
    "guests are told no addresses: dnsmasq is missing (Debian: apt-get install dnsmasq-base)";

/// What a user is told whose QEMU's helper may not start it.
const NOT_BY_USERS: &str = "guests are told no addresses until root has run `kvmnet gc`";

/// dnsmasq, if it is there.
pub fn dnsmasq() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|path| access(*path, AccessFlags::X_OK).is_ok())
}

/// Sees to it that a network is served. Gives a note where it cannot be.
pub fn ensure(lock: &Lock, Served { bridge, index }: Served) -> Option<&'static str> {
    let is_served = |index| claim::holder(lock.file(), index).is_ok_and(|holder| holder.is_some());
    if index.is_some_and(is_served) {
        return None;
    }
    // A bridge that was just made has udev's rule start it.
    let is_started = has_systemd() && (index.is_none() || announce(&bridge));
    // The helper of a user's QEMU.
    let is_users = !geteuid().is_root() || is_more_than_its_user();
    let why = match is_started {
        true => None,
        false if is_users => Some("only root can start it: kvmnet gc"),
        false => start(&bridge).is_none().then_some("the program kvmnet is not where this one is"),
    };
    if let Some(why) = why {
        log::write("kvmnet", Level::Error, &format!("nobody serves DHCP on {bridge}: {why}"));
    }
    let is_new = index.is_none();
    match why {
        _ if is_new && dnsmasq().is_none() => Some(NO_DNSMASQ),
        Some(_) if is_users => Some(NOT_BY_USERS),
        _ => None,
    }
}

/// Has firewalld told of the networks of now, by a process that nobody waits for: it may be slow, and a hook has no part in
/// what it says.
pub fn tell_firewalld() {
    let is_users = !geteuid().is_root() || is_more_than_its_user();
    let start = |program: PathBuf| {
        let program = CString::new(program.into_os_string().into_vec()).ok()?;
        detached::start(&program, &[c"kvmnet", c"firewalld"]).ok()
    };
    if is_users || program().and_then(start).is_none() {
        let why = if is_users { "only root can" } else { "the program kvmnet is not where this one is" };
        log::write(
            "kvmnet",
            Level::Error,
            &format!("firewalld is not told of the network: {why}: kvmnet gc"),
        );
    }
}

/// Whether systemd would hear of an interface here, and has the unit.
pub fn has_systemd() -> bool {
    let namespace = |process: &str| fs::metadata(format!("/proc/{process}/ns/net")).map(|about| about.ino());
    access("/run/systemd/system", AccessFlags::F_OK).is_ok()
        && namespace("1").ok() == namespace("self").ok()
        && UNITS.iter().any(|unit| Path::new(unit).exists())
}

/// Has udev look at a bridge again, and its rule start what is missing.
fn announce(bridge: &IfName) -> bool {
    fs::write(format!("/sys/class/net/{bridge}/uevent"), "change").is_ok()
}

/// Starts it where no systemd does.
fn start(bridge: &IfName) -> Option<()> {
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let program = CString::new(program()?.into_os_string().into_vec()).ok()?;
    let bridge = text(bridge.as_bytes())?;
    detached::start(&program, &[c"kvmnet", c"serve", c"--", &bridge]).ok()
}

/// The program `kvmnet` that was installed with this one: beside it, or in PREFIX/bin where this is in PREFIX/lib/kvmnet.
fn program() -> Option<PathBuf> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    // It is this one: that name leads to it in a changed root as well.
    if own.file_name().is_some_and(|name| name == "kvmnet") {
        return Some(PathBuf::from("/proc/self/exe"));
    }
    let folder = own.parent()?;
    let installed = folder.parent().and_then(Path::parent).map(|prefix| prefix.join("bin/kvmnet"));
    let found = installed.into_iter().chain([folder.join("kvmnet")]);
    found.into_iter().find(|path| access(path.as_path(), AccessFlags::X_OK).is_ok() && path.is_file())
}
