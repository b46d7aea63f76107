//! The environment of one VM against the network of the others.

use super::{Feature, PLAIN, Refusal, Site};

pub(super) static FEATURE: Feature =
    Feature { refuse: |site| check(site).err().into_iter().collect(), ..PLAIN };

/// The environment changes nothing for guests that run already, nor does a start without it change what the environment
/// of another guest has made.
fn check(site: &Site) -> Result<(), Refusal> {
    let network = &site.desired.network;
    let Some(instance) = site.instance else { return Ok(()) };
    let Some(ledger) = site.old.filter(|ledger| ledger.digest != network.digest) else { return Ok(()) };
    match network.variable.clone() {
        Some(variable) if instance.occupied => {
            Err(Refusal::OverrideInUse { variable, network: ledger.network.clone() })
        }
        None if ledger.overridden && !instance.is_unused() && !site.desired.agreed => {
            Err(Refusal::Overridden {
                network: ledger.network.clone(),
                bridge: network.bridge,
                mode: ledger.mode,
            })
        }
        _ => Ok(()),
    }
}
