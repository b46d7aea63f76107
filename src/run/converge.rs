//! Every living network is brought to what the configuration says: `kvmnet apply`.

use std::collections::HashMap;
use std::fmt;

use super::{Done, Run, observe_up, require_rights};
use crate::apply::Kernel;
use crate::config::{self, Environment, File};
use crate::desired::Desired;
use crate::error::Error;
use crate::feature::{self, Site};
use crate::foreign::Firewall;
use crate::model::{Facts, IfName, Network, Question, Served};
use crate::network;
use crate::observed::{Instance, Observed};
use crate::plan::{self, Plan, Step, Transaction};
use crate::reader::is_proc_fixed;
use crate::service;
use crate::terminal::{printable, shell_word};

/// What living networks lack of what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// What is missing, in order.
    pub plan: Plan,
    /// What is to be known.
    pub notes: Vec<String>,
    /// What only a person can bring to the configuration.
    pub unmet: Vec<String>,
    /// The networks whose guests are told their addresses.
    served: Vec<Served>,
    /// What others drop of the packets of networks whose tables are written: they may have been taken away by what drops.
    blocked: Vec<String>,
}

/// Finds the difference, and changes nothing.
pub fn difference() -> Result<Difference, Error> {
    require_rights()?;
    Difference::find(&mut Kernel::open()?)
}

/// Does away with the difference, if `agrees` says so of it as it is now: nobody else of kvmnet's changes it meanwhile.
pub fn converge(agrees: &mut dyn FnMut(&Difference) -> bool) -> Result<Done, Error> {
    require_rights()?;
    let mut run = Run::begin()?;
    let found = Difference::find(&mut run.kernel)?;
    if !agrees(&found) {
        return Err(Error::ChangedMeanwhile);
    }
    let left = run.apply(&Facts::default(), &found.plan, &mut |_| {})?;
    let unserved = found.served.iter().filter_map(|one| service::ensure(&run.lock, *one)).next();
    let notes = unserved.map(str::to_owned).into_iter().chain(found.blocked.iter().cloned()).collect();
    let what = if found.unmet.is_empty() && left.is_empty() {
        "every network is as configured"
    } else {
        "all but what is named is as configured"
    };
    run.end();
    // Its own start may have had this run.
    Ok(Done { notes, ..Done::new(what, &found.plan, left) }.with_firewalld(true))
}

impl Difference {
    fn find(kernel: &mut Kernel) -> Result<Self, Error> {
        let environment = Environment::of_process();
        let file = config::open(&environment).map_err(Error::Config)?;
        let Kernel { rtnl, nft } = kernel;
        let asking = || Error::system("ask the kernel");
        let living = Observed::for_sweep(nft.as_mut(), rtnl).and_then(Observed::complete);
        let mut living = living.map_err(asking())?;
        rtnl.ask(&[Question::Taps], &mut living.facts).map_err(asking())?;
        let mut difference = Self::default();
        let wanted = difference.wanted(&file, &living)?;
        let mut known = Known::default();
        let mut looked_at: Vec<IfName> = Vec::new();
        for desired in &wanted {
            let Kernel { rtnl, nft } = &mut *kernel;
            let observed = observe_up(nft.as_mut(), rtnl, desired).map_err(asking())?;
            let plan = Plan(plan::bring_up(desired, &observed)?.into());
            if plan.writes_tables() && !looked_at.contains(&desired.network.bridge) {
                looked_at.push(desired.network.bridge);
                // That it cannot be seen keeps nothing from being put right.
                let blocked = Firewall::of_network(nft.as_mut(), desired, &observed);
                difference.blocked.extend(blocked.unwrap_or_default());
            }
            difference.add(plan.0, &mut known);
            difference.served.extend(feature::served(&Site::new(desired, &observed)));
        }
        difference.served.dedup();
        // Only now: a network may seem unused because its guest lost the bridge, and has it back above.
        let mut staying: Vec<IfName> = wanted.iter().map(|desired| desired.network.bridge).collect();
        staying.extend(network::strays(&living.facts).into_iter().filter_map(|(_, bridge)| bridge));
        difference.add(plan::sweep(&staying, &living), &mut known);
        difference.add(plan::sweep_ports(&living), &mut known);
        if is_proc_fixed() {
            difference.plan.retain(|step| !step.is_spare());
        }
        Ok(difference)
    }

    /// What must hold, one for each guest, and one for each network that stays without.
    fn wanted(&mut self, file: &File, living: &Observed) -> Result<Vec<Desired>, Error> {
        let networks = file.networks().map_err(Error::Config)?;
        let find = |name: &str| networks.iter().find(|network| network.name == name);
        let mut wanted = Vec::new();
        for instance in living.networks.iter().filter(|instance| !instance.is_unused()) {
            let Some(ledger) = &instance.ledger else { continue };
            match find(&ledger.network) {
                Some(network) if network.bridge != instance.bridge => self.unmet.push(format!(
                    "network {name} is on {}, and on {} in the configuration: kvmnet down --force {}, then kvmnet attach TAP for each guest",
                    instance.bridge,
                    network.bridge,
                    shell_word(&ledger.network),
                    name = ledger.network,
                )),
                Some(network) if network.is_port_only() => self.unmet.push(format!(
                    "network {name} stands on {}, and is to make ports only: kvmnet down --force {}, then kvmnet attach TAP for each guest",
                    instance.bridge,
                    shell_word(&ledger.network),
                    name = ledger.network,
                )),
                Some(network) => wanted.extend(of_network(network, instance, living)),
                None => self.notes.push(format!(
                    "network {} on {} is in the configuration no longer; it goes with its last guest",
                    ledger.network, instance.bridge
                )),
            }
        }
        for (bridge, tap) in network::ports_of_others(&living.facts, &living.networks) {
            let mut of_bridge =
                networks.iter().filter(|network| network.is_port_only() && network.bridge == bridge.name);
            wanted.extend(of_bridge.next().map(|network| agreed(Desired::new(tap.name, network.clone()))));
        }
        for (tap, bridge) in network::strays(&living.facts) {
            let former = networks.iter().find(|network| Some(network.bridge) == bridge);
            let chosen = file.network_of(&tap);
            match former.or_else(|| find(chosen).filter(|_| bridge.is_none())) {
                Some(network) => wanted.push(agreed(Desired::new(tap, network.clone()))),
                None => self.unmet.push(format!(
                    "{tap} is on no bridge, and that of its network is in the configuration no longer: kvmnet attach {}",
                    shell_word(tap)
                )),
            }
        }
        Ok(wanted)
    }

    /// Adds what is not there already: the guests of one network lack the same things.
    fn add(&mut self, transactions: impl IntoIterator<Item = Transaction>, known: &mut Known) {
        for mut transaction in transactions {
            transaction.steps.retain(|step| *step == Step::BARRIER || is_new(step, known));
            self.plan.extend([transaction]);
        }
    }
}

/// Steps by what they print as: of hundreds of guests' few are compared with each other.
type Known = HashMap<String, Vec<Step>>;

fn is_new(step: &Step, known: &mut Known) -> bool {
    let alike = known.entry(step.to_string()).or_default();
    let is_new = !alike.contains(step);
    if is_new {
        alike.push(step.clone());
    }
    is_new
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().chain(&self.unmet).try_for_each(|note| writeln!(f, "# {}", printable(note)))?;
        if self.plan.is_empty() && self.unmet.is_empty() {
            writeln!(f, "# every network is as configured")?;
        }
        write!(f, "{}", self.plan)
    }
}

fn of_network(network: &Network, instance: &Instance, living: &Observed) -> Vec<Desired> {
    let taps: Vec<IfName> =
        living.guests(&instance.bridge).iter().filter(|guest| guest.is_tap()).map(|tap| tap.name).collect();
    if taps.is_empty() {
        return vec![agreed(Desired::without_guest(network.clone()))];
    }
    taps.into_iter().map(|tap| agreed(Desired::new(tap, network.clone()))).collect()
}

/// Whoever runs `kvmnet apply` sees the difference first.
fn agreed(desired: Desired) -> Desired {
    Desired { agreed: true, ..desired }
}
