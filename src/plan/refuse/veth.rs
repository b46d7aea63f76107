//! The names of the veth pair.

use crate::desired::Desired;
use crate::observed::Observed;
use crate::plan::{Refusal, undo};

/// The pair's names are free, or the pair is this network's own.
pub(super) fn veth(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let Some(veth) = &desired.network.veth else { return Ok(()) };
    let ledger = observed.network(&desired.network.bridge).and_then(|instance| instance.ledger.as_ref());
    if ledger.is_some_and(|ledger| ledger.veth.as_ref() == Some(veth)) && undo::is_pair(veth, observed) {
        return Ok(());
    }
    let taken = [&veth.outer, &veth.inner].into_iter().find(|name| observed.facts.link(name).is_some());
    taken.map_or(Ok(()), |name| Err(Refusal::NameTaken(*name)))
}
