//! What switches a network's frames, as the rest sees it: how it is made, bears its record, takes ports and lets them go, who is
//! on it, and how it is shut to the host. It is a Linux bridge. Another engine would be a file like this one.

use crate::item::{LinkChange, PortChange, Step};
use crate::model::{Filter, IfName, Ledger, Link, Mac, Mode, Question, Setting};

/// What shuts it, in order: no ARP answer, no source believed, nothing forwarded, and a filter that drops everything, both ways.
pub(crate) const SHUT: [(Setting, u32); 8] = [
    (Setting::ArpIgnore, 8),
    (Setting::RpFilter, 1),
    (Setting::Forwarding, 0),
    (Setting::AcceptLocal, 0),
    (Setting::RouteLocalnet, 0),
    (Setting::Clsact, 1),
    (Setting::Filter(Filter::Ingress), 1),
    (Setting::Filter(Filter::Egress), 1),
];

/// What comes last, as its IPv6 addresses go with it.
pub(crate) const SHUT_IPV6: (Setting, u32) = (Setting::DisableIpv6, 1);

/// All that a port can be told to treat as any other group: a pause frame (01) is nobody's but the link's.
const EVERY_GROUP: u32 = 0xfffd;

pub(crate) fn make(name: IfName, mac: Mac, group: u32) -> Step {
    LinkChange::AddBridge { name, mac, group }.into()
}

pub(crate) fn is_made_by(step: &Step) -> bool {
    matches!(step, Step::Link(LinkChange::AddBridge { .. }))
}

pub(crate) fn delete(name: IfName) -> Step {
    LinkChange::Delete { name }.into()
}

/// The record that it bears.
pub(crate) fn record(switch: &Link) -> Option<Ledger> {
    Ledger::parse(&switch.alias)
}

/// Writes a record, or the text that was there before it.
pub(crate) fn write_record(link: IfName, from: String, to: String) -> Step {
    LinkChange::Alias { link, from, to }.into()
}

/// Its ports.
pub(crate) fn members(switch: &Link) -> Question {
    Question::Ports(switch.index)
}

pub(crate) fn attach(port: IfName, from: Option<IfName>, to: IfName) -> Step {
    PortChange { port, from, to: Some(to) }.into()
}

pub(crate) fn detach(port: IfName, from: IfName) -> Step {
    PortChange { port, from: Some(from), to: None }.into()
}

/// What is set on the port of a guest, once it is one: reserved group addresses are passed on as any other, and nothing to other
/// guests where they are kept apart.
pub(crate) fn guest_port(isolated: bool) -> [(Setting, u32); 2] {
    [(Setting::GroupFwdMask, EVERY_GROUP), (Setting::Isolated, u32::from(isolated))]
}

/// A guest can send from as many MACs as it likes, and each is learned. Frames for one that could not be go to every port, as
/// on a hub; so the bound is above what any network has, and a LAN has more.
pub(crate) fn learning_bound(mode: Mode) -> u32 {
    if mode == Mode::Bridged { 16384 } else { 4096 }
}

/// The MAC that a tap has to have on a switch that was found: the bridge may have the lowest MAC among its ports, which must
/// not be a tap's (libvirt's taps begin with fe, too).
pub(crate) fn harmless_mac(Mac([first, b, c, d, e, f]): Mac) -> Option<Mac> {
    (first != 0xfe).then_some(Mac([0xfe, b, c, d, e, f]))
}
