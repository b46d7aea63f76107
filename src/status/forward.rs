//! Ports of the host that lead to guests, as the rules have them: neighbours that lead to neighbours are one range.

use super::data::Forward;
use crate::model::{Link, PortMapping};
use crate::observed::Observed;
use crate::sorted::sorted_by_key;

/// Those that lead to a tap.
pub fn to(tap: &Link, observed: &Observed) -> Vec<Forward> {
    let own = observed.port_mappings.iter().map(|(_, mapping)| mapping);
    let own = own.filter(|mapping| mapping.owner.is(tap));
    let mut forwards: Vec<Forward> = Vec::new();
    for mapping in
        sorted_by_key(own, |mapping| (mapping.protocol, mapping.to.ip(), mapping.listen, mapping.port))
    {
        let next = of(mapping);
        match forwards.last_mut().filter(|last| goes_on(last, &next)) {
            Some(last) => last.last = next.last,
            None => forwards.push(next),
        }
    }
    forwards
}

fn of(mapping: &PortMapping) -> Forward {
    Forward {
        protocol: mapping.protocol.to_string(),
        listen: mapping.listen.map(|listen| listen.to_string()),
        first: mapping.port,
        last: mapping.port,
        to_address: mapping.to.ip().to_string(),
        to_port: mapping.to.port(),
    }
}

fn goes_on(last: &Forward, next: &Forward) -> bool {
    let count = next.first.checked_sub(last.first);
    let is_same =
        (&last.protocol, &last.listen, &last.to_address) == (&next.protocol, &next.listen, &next.to_address);
    let follows = last.last.checked_add(1) == Some(next.first);
    is_same && follows && count.and_then(|count| last.to_port.checked_add(count)) == Some(next.to_port)
}
