//! What shall be: a list of objects that features add to, each in its phase. Nothing in it says what is there already.

use ipnet::IpNet;

use crate::item::Step;
use crate::model::ledger::Place;
use crate::model::{Claim, Filtering, Forward, GuestFilter, GuestIdentity, IfName, Mac, Setting, Veth};

/// When an object comes, on the way up. (The record is written first, tables are written before `Reopen`, and the tap is
/// attached before `Clean`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Interfaces, and what must hold of them before they are up.
    Make,
    /// What is shut once all interfaces are there.
    Shut,
    /// What was shut for a former configuration and no longer is.
    Reopen,
    /// What the host has part in; and up.
    Serve,
    /// What must not come before all that is no longer wanted has gone.
    Clean,
}

/// An object that shall be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// The network's bridge.
    Bridge { mac: Mac, group: u32 },
    /// The pair by which the host joins.
    Pair { veth: Veth, group: u32 },
    /// A number of an interface.
    Value { link: IfName, setting: Setting, value: u32 },
    /// The same of every interface, those to come included.
    Everywhere(Setting),
    /// A port of the bridge.
    Port(IfName),
    /// An address on the host's interface.
    Address(IpNet),
    /// Steps that lead there, and are nothing that stays.
    Way(Vec<Step>),
}

/// A NIC that is, or becomes, a port of the bridge, with all that it has on the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nic {
    pub place: Place,
    /// A found bridge's own addresses and MAC, where it is taken now.
    pub bridge_addresses: Option<Vec<IpNet>>,
    pub bridge_mac: Option<Mac>,
}

/// The guest's tap as a port of the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    pub tap: IfName,
    /// In order.
    pub values: Vec<(Setting, u32)>,
    /// Its MAC on this bridge, where that has to be another.
    pub mac: Option<Mac>,
    /// In order, once it is a port: what the kernel forgets when it is none any more.
    pub port_values: Vec<(Setting, u32)>,
    /// Who it is, and what it has for itself.
    pub identity: GuestIdentity,
    pub claims: Vec<Claim>,
    /// The ports of the host that lead to it.
    pub forwards: Vec<Forward>,
    /// Whether it has a filter of its own, and which.
    pub filtering: Filtering,
    pub filter: Option<GuestFilter>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub objects: Vec<(Phase, Object)>,
    pub nic: Option<Nic>,
    pub guest: Option<Guest>,
}

impl Wanted {
    pub(super) fn add(&mut self, phase: Phase, object: Object) {
        self.objects.push((phase, object));
    }

    pub(super) fn value(&mut self, phase: Phase, link: &IfName, setting: Setting, value: u32) {
        self.add(phase, Object::Value { link: *link, setting, value });
    }

    pub(super) fn way(&mut self, phase: Phase, steps: impl IntoIterator<Item = Step>) {
        self.add(phase, Object::Way(steps.into_iter().collect()));
    }

    /// Whether a setting of an interface shall have a certain value.
    pub fn has_value(&self, of: &IfName, which: Setting) -> bool {
        let is_it = |object: &Object| matches!(object, Object::Value { link, setting, .. } if link == of && *setting == which);
        self.objects.iter().any(|(_, object)| is_it(object))
    }

    /// The host's addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpNet> {
        self.objects.iter().filter_map(|(_, object)| match object {
            Object::Address(net) => Some(*net),
            _ => None,
        })
    }
}
