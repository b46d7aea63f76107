//! A configuration file for this machine.
//!
//! In: the machine's routes, interfaces and networks. Out: the commented example, with what suits the machine.
//! Never: writes anything, or reads a configuration.

mod document;
mod subnet;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;

use crate::config::{DEFAULT_NETWORK, quoted};
use crate::error::Error;
use crate::feature::bridgeable;
use crate::model::{IfName, Link, Mode};
use crate::netlink::route::Rtnl;
use crate::plan::Refusal;
use crate::reader::HostSnapshot;
use crate::subnet::GlobalId;
use document::Document;

/// How many names are tried for the bridge.
const NAMES: usize = 16;

/// The text of a commented file with a free subnet and the machine's uplink.
pub fn file() -> Result<String, Error> {
    let mut rtnl = Rtnl::open().map_err(Error::system("open a route socket (netlink)"))?;
    let host = HostSnapshot::read(&mut rtnl, &names()).map_err(Error::system("ask the kernel"))?;
    let mut random = [0; 5];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(Error::system("read /dev/urandom"))?;
    Ok(text(&host, random))
}

/// What suits the machine, and a local prefix with the global ID `id` for whoever wants IPv6.
fn text(host: &HostSnapshot, id: GlobalId) -> String {
    let mut document = Document::example();
    document.introduce(
        "Made for this machine by `kvmnet config init`; what was found here is marked \"Here:\". Lines that begin with \
         \"#\" have no effect: to use such a key, remove the \"#\".",
    );
    address(&mut document, host, id);
    let bridge = bridge(&mut document, host);
    match &host.uplink {
        Some(uplink) => way_out(&mut document, uplink, bridge, host),
        None => document.remark("uplink", "nothing carries a default route now."),
    }
    document.to_string()
}

/// The names that the bridge could have, best first.
fn names() -> Vec<IfName> {
    let others = (0..NAMES).map(|number| format!("kvmbr{number}"));
    std::iter::once("br0".to_owned()).chain(others).filter_map(|name| IfName::new(&name).ok()).collect()
}

/// A name that nobody has, or the bridge that kvmnet made for this very network.
fn bridge(document: &mut Document, host: &HostSnapshot) -> Option<IfName> {
    let observed = &host.observed;
    let is_taken = |name: &IfName| {
        let ledger = observed.network(name).and_then(|instance| instance.ledger.as_ref());
        observed.facts.link(name).is_some()
            && !ledger.is_some_and(|ledger| ledger.made && ledger.network == DEFAULT_NETWORK)
    };
    let names = names();
    let taken: Vec<&str> = names.iter().take_while(|name| is_taken(name)).map(IfName::as_str).collect();
    if !taken.is_empty() {
        document.remark("bridge", &format!("already in use: {}.", taken.join(", ")));
    }
    let free = names.get(taken.len())?;
    document.set("bridge", &quoted(free.as_str()));
    Some(*free)
}

fn address(document: &mut Document, host: &HostSnapshot, id: GlobalId) {
    let mode = match subnet::free(host) {
        Some(net) => {
            document.set("address", &quoted(&net.to_string()));
            if let Some(v6) = subnet::unique_local(id) {
                document
                    .replace("[\"10.0.100.3/24\", \"fd00:100::3/64\"]", &format!("[\"{net}\", \"{v6}\"]"));
            }
            Mode::Nat
        }
        None => {
            document.remark("mode", "no private subnet is free, which leaves the modes without an address.");
            Mode::Isolated
        }
    };
    document.set("mode", &quoted(mode.as_str()));
    let preferred = subnet::preferred();
    if let Some((net, taken)) = preferred.and_then(|one| Some((one.v4.trunc(), subnet::taken(one.v4, host)?)))
    {
        document.remark("address", &format!("{net} is taken: {taken}."));
    }
}

fn way_out(document: &mut Document, uplink: &Link, bridge: Option<IfName>, host: &HostSnapshot) {
    let observed = &host.observed;
    document.set("uplink", &quoted(uplink.name.as_str()));
    if let Some(remark) = about_bridging(uplink, bridge, host) {
        document.remark("uplink", &remark);
    }
    let mut others = observed.default_devices(None);
    // Not the bridge that took the uplink over.
    others.retain(|other| *other != uplink.index && uplink.master != Some(*other));
    for other in others.into_iter().filter_map(|other| observed.facts.link_index(other)) {
        document.remark("uplink", &format!("{} carries a default route, too.", other.name));
    }
    let addresses = observed.addresses(&uplink.name);
    if let Some(address) = addresses.iter().map(|address| address.net.addr()).find(|a| a.is_ipv4()) {
        document.exemplify("nat_source", &quoted(&address.to_string()));
    }
}

/// What to know before the uplink is bridged.
fn about_bridging(uplink: &Link, bridge: Option<IfName>, host: &HostSnapshot) -> Option<String> {
    let name = uplink.name;
    if uplink.is_bridge() {
        let bridge = quoted(name.as_str());
        return Some(format!(
            "{name} is a bridge with the default route. Guests are on its LAN with mode = \"bridged\", \
             bridge = {bridge}, uplink = \"auto\"."
        ));
    }
    let managed = || Some(Refusal::Managed { name, owner: host.observed.owner? });
    let refusal = bridge.and_then(|bridge| bridgeable(uplink, &bridge, &host.observed).err());
    let refusal = refusal.or_else(managed)?;
    let hint = refusal.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(format!("bridged would be refused: {refusal}{hint}."))
}
