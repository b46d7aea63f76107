//! Settings that are the same for every interface, those to come included: guests without `uplink` go by whatever the
//! routes say, and that can be any.

use super::has_force_forwarding;
use crate::desired::Desired;
use crate::model::{IfName, Setting, Uplink};
use crate::observed::Observed;

/// What `desired` wants of every interface. Nothing where the whole machine forwards already.
pub(crate) fn settings(desired: &Desired, observed: &Observed) -> Vec<Setting> {
    let by_routes = desired.network.uplink == Uplink::DefaultRoute;
    let mut settings = Vec::new();
    if desired.forwards(false) && by_routes && !observed.facts.wide(false) {
        settings.push(Setting::Forwarding);
    }
    let is_ours =
        || observed.ledgers().any(|ledger| ledger.changed(&IfName::ALL, Setting::WideForwarding6).is_some());
    match (desired.forwards(true), has_force_forwarding(desired, observed)) {
        (true, true) if by_routes && !observed.facts.wide(true) => settings.push(Setting::ForceForwarding),
        // A host forgets the routes that routers announced as soon as it forwards, unless accept_ra is 2.
        (true, false) if !observed.facts.wide(true) || is_ours() => settings.push(Setting::AcceptRa),
        _ => {}
    }
    settings
}

/// Whether the record of the network says that `setting` is set everywhere, and nobody has undone it since, as far as
/// one question tells.
pub(crate) fn is_set(setting: Setting, desired: &Desired, observed: &Observed) -> bool {
    let instance = observed.network(&desired.network.bridge);
    let ledger = instance.and_then(|instance| instance.ledger.as_ref());
    // The host's own interface, or the whole machine, is opened after all others.
    let is_closed = || match setting {
        Setting::AcceptRa => !observed.facts.wide(true),
        Setting::Forwarding if observed.facts.fresh4 == Some(false) => true,
        setting => observed.value(desired.host_if(), setting) != Some(1),
    };
    ledger.is_some_and(|ledger| ledger.changed(&IfName::DEFAULT, setting).is_some()) && !is_closed()
}
