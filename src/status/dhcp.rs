//! Who tells the guests of a network their addresses, and which they have.

use std::path::Path;
use std::time::SystemTime;

use super::data::{Dhcp, Lease};
use crate::model::lease;
use crate::observed::Instance;
use crate::reader::leases;
use crate::service::{self, claim};

/// Of a network that is up and whose record says so.
pub fn read(instance: &Instance) -> Option<Dhcp> {
    let (ledger, link) = (instance.ledger.as_ref()?, instance.link.as_ref()?);
    let domain = ledger.dhcp.clone()?;
    let has_dnsmasq = service::dnsmasq().is_some();
    let text = leases::text(Path::new(&lease::path(&link.name))).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut leases = lease::parse(&text);
    leases.retain(|lease| lease.until == 0 || lease.until >= now);
    leases.sort_by_key(|lease| lease.address);
    Some(Dhcp {
        domain,
        // One that waits for dnsmasq to be installed tells nobody anything.
        process: claim::holder_seen(link.index).filter(|_| has_dnsmasq),
        has_dnsmasq,
        leases: leases.into_iter().map(shown).collect(),
    })
}

fn shown(lease: lease::Lease) -> Lease {
    Lease {
        address: lease.address.to_string(),
        mac: lease.mac.map(|mac| mac.to_string()),
        name: lease.name,
        until: lease.until,
    }
}
