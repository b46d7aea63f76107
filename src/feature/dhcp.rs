//! DHCP and names for the guests: an entry of the record, by which `kvmnet serve` knows what to do.

use super::Site;

/// The domain of the guests, where they are told their addresses.
pub(crate) fn domain(site: &Site) -> Option<String> {
    site.serves_dhcp().then(|| site.desired.network.domain.clone())
}
