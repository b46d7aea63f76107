//! firewalld's zones for kvmnet, as the running daemon has them, and as its files have them, which it reads again with every
//! reload (`man 5 firewalld.dbus`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Type};

use super::bus::{BUS, Bus, Fault};

const NAME: &str = "org.fedoraproject.FirewallD1";
const MAIN: &str = "/org/fedoraproject/FirewallD1";
const RUNTIME: [&str; 2] = [MAIN, "org.fedoraproject.FirewallD1.zone"];
pub(super) const CONFIG: [&str; 2] =
    ["/org/fedoraproject/FirewallD1/config", "org.fedoraproject.FirewallD1.config"];
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
    path: OwnedObjectPath,
    now: Vec<String>,
    permanent: Vec<String>,
}

impl Firewalld {
    /// Finds it; None where it does not run, or for another network namespace.
    pub fn find(patience: Duration) -> Result<Option<Self>, Fault> {
        let Some(bus) = Bus::connect(patience)? else { return Ok(None) };
        let owner: String = match bus.call(BUS, "GetNameOwner", &NAME) {
            Err(fault) if fault.is(&["org.freedesktop.DBus.Error.NameHasNoOwner"]) => return Ok(None),
            owner => owner?,
        };
        let user: u32 = bus.call(BUS, "GetConnectionUnixUser", &owner)?;
        let process: u32 = bus.call(BUS, "GetConnectionUnixProcessID", &owner)?;
        let is_here = user == 0 && is_in_this_namespace(process);
        Ok(is_here.then_some(Self { bus, owner }))
    }

    /// A zone; None where it has none of that name.
    pub fn zone(&self, name: &'static str) -> Result<Option<Zone>, Fault> {
        let unless_unknown = |fault: Fault| if fault.is(&["INVALID_ZONE"]) { Ok(None) } else { Err(fault) };
        let now = match self.call(RUNTIME, "getInterfaces", &name) {
            Err(fault) => return unless_unknown(fault),
            Ok(now) => now,
        };
        let path: OwnedObjectPath = match self.call(CONFIG, "getZoneByName", &name) {
            // Its file was taken away.
            Err(fault) => return unless_unknown(fault),
            Ok(path) => path,
        };
        let permanent = self.call([&path, CONFIG_ZONE], "getInterfaces", &())?;
        Ok(Some(Zone { name, path, now, permanent }))
    }

    /// Takes out all that is not `wanted`.
    pub fn take_out(&self, zone: &Zone, wanted: &[&str]) -> Result<(), Fault> {
        let unwanted = |name: &&String| !wanted.contains(&name.as_str());
        for name in zone.now.iter().filter(unwanted) {
            let out = self.call::<_, String>(RUNTIME, "removeInterface", &(zone.name, name));
            done(out, &["UNKNOWN_INTERFACE", "NOT_ENABLED", "ZONE_CONFLICT"])?;
        }
        for name in zone.permanent.iter().filter(unwanted) {
            let out = self.call::<_, ()>([&zone.path, CONFIG_ZONE], "removeInterface", name);
            done(out, &["NOT_ENABLED"])?;
        }
        Ok(())
    }

    /// Puts in what is `wanted`, but for what somebody has put into another zone.
    pub fn put_in(&self, zone: &Zone, wanted: &[&str]) -> Result<(), Fault> {
        for name in wanted {
            let has = |names: &[String]| names.iter().any(|known| known == name);
            if !has(&zone.now) {
                match self.call::<_, String>(RUNTIME, "addInterface", &(zone.name, name)) {
                    Err(fault) if fault.is(&["ZONE_CONFLICT"]) => continue,
                    put => done(put, &["ZONE_ALREADY_SET", "ALREADY_ENABLED"])?,
                }
            }
            if !has(&zone.permanent) && self.call::<_, String>(CONFIG, "getZoneOfInterface", name)?.is_empty()
            {
                let put = self.call::<_, ()>([&zone.path, CONFIG_ZONE], "addInterface", name);
                done(put, &["ALREADY_ENABLED"])?;
            }
        }
        Ok(())
    }

    /// The zone that an interface is in by name, or nothing.
    pub fn zone_of(&self, interface: &str) -> Result<String, Fault> {
        self.call(RUNTIME, "getZoneOfInterface", &interface)
    }

    /// Whether it drops IPv6 that comes from where the host has no route back to (`IPv6_rpfilter` in firewalld.conf).
    pub fn asks_for_routes(&self) -> Result<bool, Fault> {
        let place = [MAIN, "org.freedesktop.DBus.Properties"];
        let value: OwnedValue = self.call(place, "Get", &(NAME, "IPv6_rpfilter"))?;
        Ok(value.downcast_ref().unwrap_or_default())
    }

    pub(super) fn call<A, R>(
        &self,
        [path, interface]: [&str; 2],
        method: &str,
        arguments: &A,
    ) -> Result<R, Fault>
    where
        A: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.bus.call([&self.owner, path, interface], method, arguments)
    }
}

/// Errors of another process that has done the same meanwhile are none.
fn done<T>(result: Result<T, Fault>, same: &[&str]) -> Result<(), Fault> {
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
