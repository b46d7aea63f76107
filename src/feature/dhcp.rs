//! DHCP and names for the guests: an entry of the record, by which `kvmnet serve` knows what to do.

use super::Site;
use crate::model::Served;

/// The domain of the guests, where they are told their addresses.
pub(crate) fn domain(site: &Site) -> Option<String> {
    site.serves_dhcp().then(|| site.desired.network.domain.clone())
}

/// The network, if it is to be served.
pub(crate) fn served(site: &Site) -> Option<Served> {
    let bridge = site.desired.network.bridge;
    site.serves_dhcp().then(|| Served { bridge, index: site.bridge().map(|link| link.index) })
}
