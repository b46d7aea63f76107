//! What a hook would do now, as the commands that do the same, and nothing done: `kvmnet plan`.

use std::fmt;

use ipnet::IpNet;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::observe_up;
use crate::apply::Kernel;
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::feature::{self, Site};
use crate::item::{Step, Transport};
use crate::model::IfName;
use crate::observed::{Instance, Observed, Tables};
use crate::plan::{self, Plan};
use crate::reader::is_proc_fixed;
use crate::terminal::{printable, shell_word};

/// The steps of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The hook's tap.
    #[serde(serialize_with = "as_text")]
    pub tap: IfName,
    /// What it would do, in a line.
    pub summary: String,
    /// The network that the tap would join, its mode and its bridge.
    #[serde(flatten)]
    pub joins: Option<Joins>,
    /// What is to be known about it.
    pub notes: Vec<String>,
    /// What it would do, in order; nothing where all is as it should be.
    #[serde(rename = "steps", serialize_with = "as_steps")]
    pub plan: Plan,
}

/// A network that a tap joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joins {
    /// The network's name.
    pub network: String,
    /// Its mode.
    pub mode: &'static str,
    /// Its bridge.
    #[serde(serialize_with = "as_text")]
    pub bridge: IfName,
}

/// What `qemu-ifup TAP` would do. QEMU makes the tap, so it may be that there is none yet.
pub fn preview_up(tap: &IfName) -> Result<Preview, Error> {
    let network = config::load(&Environment::of_process(), None, tap)?;
    let desired = Desired { tap_to_come: true, ..Desired::new(*tap, network) };
    let Kernel { mut rtnl, mut nft } = Kernel::open()?;
    let observed = observe_up(nft.as_mut(), &mut rtnl, &desired);
    let observed = observed.map_err(Error::system("ask the kernel"))?;
    let mut notes = Vec::new();
    if observed.facts.link(tap).is_none() {
        notes.push(format!("{tap} is not there yet; QEMU makes it, and then:"));
    }
    notes.extend(service_note(&Site::new(&desired, &observed)));
    let mut plan = plan::up(&desired, &observed)?;
    if is_proc_fixed() {
        plan.retain(|step| !step.is_spare());
    }
    notes.extend(choice(&desired, &observed)?);
    let network = &desired.network;
    if observed.nft == Tables::Hidden {
        notes.push(BLIND.to_owned());
        let instance = observed.network(&network.bridge).and_then(|instance| instance.ledger.as_ref());
        if instance.is_some_and(|ledger| ledger.digest == network.digest) {
            plan.retain(|step| step.transport() != Transport::Nft);
        }
    }
    let summary =
        format!("{tap} joins the network {} ({}) on {}", network.name, network.mode, network.bridge);
    let joins = Joins { network: network.name.clone(), mode: network.mode.as_str(), bridge: network.bridge };
    Ok(Preview { joins: Some(joins), ..Preview::new(tap, summary, notes, plan) })
}

/// What a network that chooses its addresses has, or will have.
fn choice(desired: &Desired, observed: &Observed) -> Result<Option<String>, Error> {
    let network = &desired.network;
    if !network.auto_address {
        return Ok(None);
    }
    let chosen = feature::resolved(desired, observed)?;
    let ledger = observed.network(&network.bridge).and_then(Instance::ledger_of_bridge);
    let is_kept = |net: &IpNet| ledger.is_some_and(|ledger| ledger.addresses.contains(net));
    let (kept, new): (Vec<&IpNet>, Vec<&IpNet>) =
        chosen.network.addresses.iter().partition(|net| is_kept(net));
    let words = |nets: Vec<&IpNet>, why: &str| {
        let nets: Vec<String> = nets.into_iter().map(ToString::to_string).collect();
        (!nets.is_empty()).then(|| format!("{}, {why}", nets.join(" and ")))
    };
    let all = [words(kept, "as chosen when it came up"), words(new, "which nothing else uses")];
    let all: Vec<String> = all.into_iter().flatten().collect();
    Ok((!all.is_empty()).then(|| format!("its address (auto): {}", all.join("; "))))
}

/// What the hook has done by another process, where that is new.
fn service_note(site: &Site) -> Option<String> {
    let domain = feature::dhcp_domain(site)?;
    let is_new = site.old.is_none_or(|old| old.dhcp.is_none());
    let bridge = shell_word(site.desired.network.bridge);
    is_new.then(|| format!("guests will be told addresses, and names in {domain}: kvmnet serve {bridge}"))
}

/// What `qemu-ifdown TAP` would do.
pub fn preview_down(tap: &IfName) -> Result<Preview, Error> {
    let Kernel { mut rtnl, mut nft } = Kernel::open()?;
    let observed = Observed::for_down(nft.as_mut(), &mut rtnl, tap);
    let observed = observed.map_err(Error::system("ask the kernel"))?;
    let plan = plan::down(tap, &observed)?;
    let mut notes = Vec::new();
    if observed.facts.link(tap).is_none() {
        notes.push(format!("{tap} is not there"));
    }
    notes.extend((observed.nft == Tables::Hidden).then(|| BLIND.to_owned()));
    Ok(Preview::new(tap, format!("{tap} leaves its network"), notes, plan))
}

const BLIND: &str = "only root can see nftables: tables that are there already are taken to be right, and their end is not shown";

impl Preview {
    fn new(tap: &IfName, summary: String, notes: Vec<String>, mut plan: Plan) -> Self {
        // It orders the sends of a hook, and is nothing that a person would do.
        plan.retain(|step| *step != Step::BARRIER);
        Self { tap: *tap, summary, joins: None, notes, plan }
    }
}

/// Text that a shell takes as it is.
impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut remarks = std::iter::once(&self.summary).chain(&self.notes);
        remarks.try_for_each(|remark| writeln!(f, "# {}", printable(remark)))?;
        if self.plan.is_empty() {
            writeln!(f, "# nothing to do")?;
        }
        write!(f, "{}", self.plan)
    }
}

fn as_steps<S: Serializer>(plan: &Plan, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(plan.steps())
}

fn as_text<S: Serializer>(name: &IfName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

/// As `kvmnet plan --json` shows it.
impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Step", 4)?;
        object.serialize_field("kind", self.kind())?;
        object.serialize_field("does", &self.deed())?;
        object.serialize_field("command", &self.command())?;
        object.serialize_field("undo", &self.inverse().and_then(|inverse| inverse.command()))?;
        object.end()
    }
}
