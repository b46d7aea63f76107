//! The environment of one VM against the network of the others.

use crate::desired::Desired;
use crate::model::Origin;
use crate::observed::Observed;
use crate::plan::Refusal;

/// The environment changes nothing for guests that run already, nor does a start without it change what the environment
/// of another guest has made.
pub(super) fn overrides(desired: &Desired, observed: &Observed) -> Result<(), Refusal> {
    let network = &desired.network;
    let Some(instance) = observed.network(&network.bridge) else { return Ok(()) };
    let Some(ledger) = instance.ledger.as_ref().filter(|ledger| ledger.digest != network.digest) else {
        return Ok(());
    };
    let variable = network.origins.iter().find_map(|(_, origin)| match origin {
        Origin::Environment(name) => Some(name.clone()),
        _ => None,
    });
    match variable {
        Some(variable) if instance.occupied => {
            Err(Refusal::OverrideInUse { variable, network: ledger.network.clone() })
        }
        None if ledger.overridden && !instance.is_unused() && !desired.agreed => Err(Refusal::Overridden {
            network: ledger.network.clone(),
            bridge: network.bridge,
            mode: ledger.mode,
        }),
        _ => Ok(()),
    }
}
