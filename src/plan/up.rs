//! A guest comes, or a network without one.

use std::borrow::Cow;

use super::difference::Difference;
use super::down::unused_network;
use super::{Plan, Refusal, Transaction, after, port, sweep};
use crate::desired::Desired;
use crate::feature::{self, Site};
use crate::item::Step;
use crate::model::link::Tun;
use crate::model::ruleset::Family;
use crate::model::{IfName, Ledger, Link};
use crate::observed::Observed;

/// Makes `desired` true, after taking away every other network that nothing keeps. The one that the tap leaves goes when
/// the tap is off it.
pub fn up(desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    let observed = &*with_tap(desired, observed);
    let left = left(desired, observed);
    let own = Some(desired.network.bridge).filter(|_| !desired.network.is_port_only());
    let staying: Vec<IfName> = left.into_iter().chain(own).collect();
    let swept = sweep(&staying, observed);
    let (wanted, ledger) = converge(desired, &after::sweep(observed, &swept))?;
    let mut plan = Plan::default();
    plan.extend(swept);
    plan.extend(wanted);
    plan.extend(left.iter().flat_map(|bridge| unused_network(bridge, &ledger, observed)));
    Ok(plan)
}

/// What there is when QEMU has made the tap.
fn with_tap<'a>(desired: &Desired, observed: &'a Observed) -> Cow<'a, Observed> {
    let missing = desired.tap.filter(|tap| desired.tap_to_come && observed.facts.link(tap).is_none());
    let template = observed.facts.link(&IfName::DEFAULT);
    let Some((name, template)) = missing.zip(template) else { return Cow::Borrowed(observed) };
    let tun = Some(Tun { is_tap: true, persistent: false, owner: None, multi_queue: false });
    let tap = Link { name, kind: Some("tun".to_owned()), tun, ..template.clone() };
    let mut with_tap = observed.clone();
    with_tap.facts.links.push(tap);
    Cow::Owned(with_tap)
}

/// The bridge of the other network of kvmnet's that the tap is on.
fn left(desired: &Desired, observed: &Observed) -> Option<IfName> {
    let master = observed.facts.link(desired.tap.as_ref()?)?.master?;
    let bridge = observed.facts.link_index(master)?.name;
    (bridge != desired.network.bridge).then_some(bridge)
}

/// Makes `desired` true: first all that it needs, then, without which the guest is well, an end to what it no longer does.
pub fn bring_up(desired: &Desired, observed: &Observed) -> Result<[Transaction; 2], Refusal> {
    converge(desired, observed).map(|(transactions, _)| transactions)
}

/// Whether rules of a network that lead ports to its guests are to be written: all of these have to be known then.
pub fn writes_led_guests(desired: &Desired, observed: &Observed) -> bool {
    let ledger = observed.network(&desired.network.bridge).and_then(|instance| instance.ledger.as_ref());
    if !ledger.is_some_and(|ledger| ledger.forwards) {
        return false;
    }
    let is_written = |step: &Step| matches!(step, Step::Table(change) if change.writes(Family::Inet));
    let transactions = bring_up(desired, observed).into_iter().flatten();
    transactions.flat_map(|transaction| transaction.steps).any(|step| is_written(&step))
}

/// All that speaks against a network, whatever the tap.
pub fn refusals(desired: &Desired, observed: &Observed) -> Vec<Refusal> {
    match feature::resolved(desired, observed) {
        Ok(desired) => feature::refusals(&Site::new(&desired, observed)),
        Err(refusal) => vec![refusal],
    }
}

/// The same, with the record that will be there.
fn converge(desired: &Desired, observed: &Observed) -> Result<([Transaction; 2], Ledger), Refusal> {
    let desired = &by_own_names(feature::resolved(desired, observed)?.as_ref(), observed);
    let site = Site::new(desired, observed);
    feature::check(&site)?;
    if desired.network.is_port_only() {
        return Ok((port::alone(&site)?, Ledger::default()));
    }
    let difference = Difference::of(site)?;
    if !difference.has_room() {
        return Err(Refusal::RecordTooLong(desired.network.bridge));
    }
    let ledger = difference.ledger.clone();
    Ok((difference.transactions(), ledger))
}

/// The same with uplinks by the names that rules and records know: one may be written by another name of its.
fn by_own_names(desired: &Desired, observed: &Observed) -> Desired {
    let own_name = |name: &IfName| observed.facts.link(name).map_or(*name, |link| link.name);
    Desired { network: desired.network.with_uplinks(own_name), ..desired.clone() }
}
