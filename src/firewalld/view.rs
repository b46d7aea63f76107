//! What firewalld says of kvmnet's interfaces and of its own, for who only looks.

use super::sets::SETS;
use super::zones::Firewalld;
use super::{Problem, SHORT_PATIENCE, ZONES, in_time};
use crate::model::IfName;

/// What it has of kvmnet's, and what it does with guests.
#[derive(Debug)]
pub struct View {
    /// Whether it has all of kvmnet's zones and sets.
    pub is_complete: bool,
    /// Whether it drops IPv6 from where it has no route back to.
    pub asks_for_routes: bool,
    /// The zones of interfaces, by name.
    zones: Vec<(IfName, String)>,
    /// What is in the sets of each bridge.
    sets: Vec<Vec<String>>,
}

impl View {
    /// The zone that an interface was put into by somebody else.
    pub fn owners_zone(&self, interface: &IfName) -> Option<&str> {
        let (_, zone) = self.zones.iter().find(|(name, _)| name == interface)?;
        Some(zone.as_str()).filter(|zone| !zone.is_empty() && !ZONES.contains(zone))
    }

    /// Whether frames pass inside a bridge by a set.
    pub fn has_set(&self, bridge: &IfName) -> bool {
        self.sets.iter().any(|set| is_of(set, bridge))
    }

    /// Whether all sets are those of other bridges.
    pub fn is_full_without(&self, bridge: &IfName) -> bool {
        self.sets.iter().all(|set| !set.is_empty() && !is_of(set, bridge))
    }
}

fn is_of(set: &[String], bridge: &IfName) -> bool {
    let ending = format!(",{bridge}");
    set.iter().any(|entry| entry.ends_with(&ending))
}

/// Asks it; None where it does not run, or does not say.
pub fn view(interfaces: Vec<IfName>) -> Option<View> {
    in_time(SHORT_PATIENCE, || ask(interfaces)).ok()?
}

fn ask(interfaces: Vec<IfName>) -> Result<Option<View>, Problem> {
    let Some(firewalld) = Firewalld::find(SHORT_PATIENCE)? else { return Ok(None) };
    let mut view = View {
        is_complete: true,
        asks_for_routes: firewalld.asks_for_routes()?,
        zones: Vec::new(),
        sets: Vec::new(),
    };
    for name in ZONES {
        view.is_complete &= firewalld.zone(name)?.is_some();
    }
    for of_bridge in SETS {
        let mut entries = Vec::new();
        for (name, _) in of_bridge {
            match firewalld.set(name)? {
                Some(set) => entries.extend(set.now),
                None => view.is_complete = false,
            }
        }
        view.sets.push(entries);
    }
    for interface in interfaces {
        view.zones.push((interface, firewalld.zone_of(interface.as_str())?));
    }
    Ok(Some(view))
}
