//! firewalld's zones for kvmnet, as the running daemon has them, and as its files have them, which it reads again with every
//! reload (`man 5 firewalld.dbus`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::bus::{BUS, Bus, Fault};

const NAME: &str = "org.fedoraproject.FirewallD1";
const RUNTIME: [&str; 2] = ["/org/fedoraproject/FirewallD1", "org.fedoraproject.FirewallD1.zone"];
const CONFIG: [&str; 2] = ["/org/fedoraproject/FirewallD1/config", "org.fedoraproject.FirewallD1.config"];
const CONFIG_ZONE: &str = "org.fedoraproject.FirewallD1.config.zone";

/// The daemon that runs.
pub struct Firewalld {
    bus: Bus,
    /// The connection that is firewalld's now: another program that takes its name is not called.
    owner: String,
}

/// The interfaces of a zone.
pub struct Zone {
    name: &'static str,
    /// Where its file is told of.
    path: String,
    now: Vec<String>,
    permanent: Vec<String>,
}

impl Firewalld {
    /// Finds it; None where it does not run, or for another network namespace.
    pub fn find(until: Instant) -> Result<Option<Self>, Fault> {
        let Some(mut bus) = Bus::connect(until)? else { return Ok(None) };
        let owner = match bus.call(BUS, "GetNameOwner", &[NAME]) {
            Err(fault) if fault.is(&["org.freedesktop.DBus.Error.NameHasNoOwner"]) => return Ok(None),
            owner => owner?.text().ok_or(Fault::Garbled)?,
        };
        let user = bus.call(BUS, "GetConnectionUnixUser", &[&owner])?.number();
        let process = bus.call(BUS, "GetConnectionUnixProcessID", &[&owner])?.number();
        let is_here = user == Some(0) && process.is_some_and(is_in_this_namespace);
        Ok(is_here.then_some(Self { bus, owner }))
    }

    /// A zone; None where it has none of that name.
    pub fn zone(&mut self, name: &'static str) -> Result<Option<Zone>, Fault> {
        let now = match self.call(RUNTIME, "getInterfaces", &[name]) {
            Err(fault) if fault.is(&["INVALID_ZONE"]) => return Ok(None),
            now => now?,
        };
        let path = match self.call(CONFIG, "getZoneByName", &[name]) {
            // Its file was taken away.
            Err(fault) if fault.is(&["INVALID_ZONE"]) => return Ok(None),
            path => path?.into_iter().next().ok_or(Fault::Garbled)?,
        };
        let permanent = self.call([&path, CONFIG_ZONE], "getInterfaces", &[])?;
        Ok(Some(Zone { name, path, now, permanent }))
    }

    /// Takes out all that is not `wanted`.
    pub fn take_out(&mut self, zone: &Zone, wanted: &[&str]) -> Result<(), Fault> {
        let unwanted = |name: &&String| !wanted.contains(&name.as_str());
        for name in zone.now.iter().filter(unwanted) {
            let out = self.call(RUNTIME, "removeInterface", &[zone.name, name]);
            done(out, &["UNKNOWN_INTERFACE", "NOT_ENABLED", "ZONE_CONFLICT"])?;
        }
        for name in zone.permanent.iter().filter(unwanted) {
            done(self.call([&zone.path, CONFIG_ZONE], "removeInterface", &[name]), &["NOT_ENABLED"])?;
        }
        Ok(())
    }

    /// Puts in what is `wanted`, but for what somebody has put into another zone.
    pub fn put_in(&mut self, zone: &Zone, wanted: &[&str]) -> Result<(), Fault> {
        for name in wanted {
            let has = |names: &[String]| names.iter().any(|known| known == name);
            if !has(&zone.now) {
                match self.call(RUNTIME, "addInterface", &[zone.name, name]) {
                    Err(fault) if fault.is(&["ZONE_CONFLICT"]) => continue,
                    put => done(put, &["ZONE_ALREADY_SET", "ALREADY_ENABLED"])?,
                }
            }
            let is_free = |zone: Vec<String>| zone.first().is_none_or(String::is_empty);
            if !has(&zone.permanent) && is_free(self.call(CONFIG, "getZoneOfInterface", &[name])?) {
                done(self.call([&zone.path, CONFIG_ZONE], "addInterface", &[name]), &["ALREADY_ENABLED"])?;
            }
        }
        Ok(())
    }

    /// What it answers as texts; nothing where it has nothing to say.
    fn call(
        &mut self,
        [path, interface]: [&str; 2],
        method: &str,
        texts: &[&str],
    ) -> Result<Vec<String>, Fault> {
        let answer = self.bus.call([&self.owner, path, interface], method, texts)?;
        Ok(answer.texts().unwrap_or_default())
    }
}

/// Errors of another process that has done the same meanwhile are none.
fn done(result: Result<Vec<String>, Fault>, same: &[&str]) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.is(same) => Ok(()),
        result => result.map(drop),
    }
}

/// A container may see the bus of its host.
fn is_in_this_namespace(process: u32) -> bool {
    let namespace = |process: &str| {
        let about = fs::metadata(format!("/proc/{process}/ns/net")).ok()?;
        Some((about.dev(), about.ino()))
    };
    let own = namespace("self");
    own.is_some() && namespace(&process.to_string()) == own
}
