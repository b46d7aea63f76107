//! firewalld's sets for kvmnet: bridges inside which frames pass, by its policy kvmnet-frames, whatever their zone.
//!
//! A set is of one bridge: what comes in by one bridge of a set might go out by another.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::zvariant::{DynamicType, OwnedObjectPath, Type};

use super::bus::Fault;
use super::zones::{CONFIG, Firewalld};

const RUNTIME: [&str; 2] = ["/org/fedoraproject/FirewallD1", "org.fedoraproject.FirewallD1.ipset"];
const CONFIG_SET: &str = "org.fedoraproject.FirewallD1.config.ipset";

/// The sets of one bridge: names, and all addresses, in the two halves that a set takes.
type OfBridge = [(&'static str, [&'static str; 2]); 2];

const V4: [&str; 2] = ["0.0.0.0/1", "128.0.0.0/1"];
const V6: [&str; 2] = ["::/1", "8000::/1"];
/// As many bridges as there are sets for.
pub const SETS: [OfBridge; 2] =
    [[("kvmnet-1", V4), ("kvmnet-1-ipv6", V6)], [("kvmnet-2", V4), ("kvmnet-2-ipv6", V6)]];

/// What is in a set.
pub struct Set {
    name: &'static str,
    /// Where its file is told of.
    path: OwnedObjectPath,
    /// What the daemon that runs has in it.
    pub now: Vec<String>,
    permanent: Vec<String>,
}

impl Firewalld {
    /// A set; None where it has none of that name.
    pub fn set(&self, name: &'static str) -> Result<Option<Set>, Fault> {
        let now = known(self.call(RUNTIME, "getEntries", &name))?;
        let path: Option<OwnedObjectPath> = known(self.call(CONFIG, "getIPSetByName", &name))?;
        let Some((now, path)) = now.zip(path) else { return Ok(None) };
        let permanent = self.call([&path, CONFIG_SET], "getEntries", &())?;
        Ok(Some(Set { name, path, now, permanent }))
    }

    /// Has it have these entries and no others.
    pub fn fill(&self, set: &Set, wanted: &[String]) -> Result<(), Fault> {
        if !is_same(&set.now, wanted) {
            self.tell(RUNTIME, &(set.name, wanted))?;
        }
        if !is_same(&set.permanent, wanted) {
            self.tell([&set.path, CONFIG_SET], &wanted)?;
        }
        Ok(())
    }

    fn tell<A: Serialize + DynamicType>(&self, place: [&str; 2], arguments: &A) -> Result<(), Fault> {
        self.call(place, "setEntries", arguments)
    }
}

/// None where there is no set of that name.
fn known<T: DeserializeOwned + Type>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Err(fault) if fault.is(&["INVALID_IPSET"]) => Ok(None),
        answer => answer.map(Some),
    }
}

fn is_same(these: &[String], those: &[String]) -> bool {
    these.len() == those.len() && these.iter().all(|entry| those.contains(entry))
}

/// What a set has of a bridge.
pub fn entries(halves: &[&str], bridge: &str) -> Vec<String> {
    halves.iter().map(|half| format!("{half},{bridge}")).collect()
}
