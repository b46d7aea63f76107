//! The bytes: what is written is read by another hand (`netlink-packet-route`), and what that writes is read here.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{Emitable, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage::{self as Packet, *};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, BridgeStpState, In6AddrGenMode, InfoBridge, InfoData, InfoKind, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, Prop, State,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};

use super::{address, altname, link, neighbour, route, rule};
use crate::model::address::{FOREVER, flag};
use crate::model::link::OUTER_GROUP;
use crate::model::route::Hop;
use crate::model::{AddrGen, Address, IfName, Mac, Neighbour, PolicyRule, Route, Setting};
use crate::netlink::message::Message;

const BRIDGE: Mac = Mac([0x02, 1, 2, 3, 4, 5]);
const OTHER: Mac = Mac([0x02, 1, 2, 3, 4, 6]);

fn name(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

/// What another hand makes of a message.
#[track_caller]
fn read(message: &Message) -> Packet {
    let read = NetlinkMessage::<Packet>::deserialize(message.bytes()).unwrap();
    assert_eq!(read.header.length as usize, message.bytes().len(), "the length that it says");
    match read.payload {
        NetlinkPayload::InnerMessage(packet) => packet,
        other => panic!("{other:?}"),
    }
}

/// What another hand writes, without the header.
fn written(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

#[track_caller]
fn has<T: PartialEq + std::fmt::Debug>(attributes: &[T], wanted: &T) {
    assert!(attributes.contains(wanted), "{wanted:?} among {attributes:?}");
}

#[test]
fn a_bridge_is_made_without_spanning_tree_and_delay() {
    let NewLink(made) = read(&link::add_bridge(&name("br0"), BRIDGE, 7)) else { panic!() };
    has(&made.attributes, &LinkAttribute::IfName("br0".to_owned()));
    has(&made.attributes, &LinkAttribute::Address(BRIDGE.0.to_vec()));
    has(&made.attributes, &LinkAttribute::Group(7));
    let data = vec![InfoBridge::ForwardDelay(0), InfoBridge::StpState(BridgeStpState::Disabled)];
    let info = vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(data))];
    has(&made.attributes, &LinkAttribute::LinkInfo(info));
    assert_eq!(made.header.flags, LinkFlags::empty(), "it is down");
}

#[test]
fn a_veth_pair_has_the_names_and_macs_of_both_ends() {
    let NewLink(made) = read(&link::add_veth(&name("veth1.1"), &name("veth1"), [BRIDGE, OTHER], 7)) else {
        panic!()
    };
    has(&made.attributes, &LinkAttribute::IfName("veth1".to_owned()));
    has(&made.attributes, &LinkAttribute::Address(OTHER.0.to_vec()));
    has(&made.attributes, &LinkAttribute::Group(7));
    let mut outer = LinkMessage::default();
    outer.attributes = vec![
        LinkAttribute::IfName("veth1.1".to_owned()),
        LinkAttribute::Address(BRIDGE.0.to_vec()),
        LinkAttribute::Group(OUTER_GROUP),
    ];
    let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(outer)));
    has(&made.attributes, &LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), data]));
}

#[test]
fn an_interface_is_changed_by_its_name() {
    let port = name("vif0.0");
    let one = |attribute: LinkAttribute| vec![LinkAttribute::IfName("vif0.0".to_owned()), attribute];
    let inet6 = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
    let cases = [
        (link::set_master(&port, 9), one(LinkAttribute::Controller(9))),
        (link::set_mac(&port, BRIDGE), one(LinkAttribute::Address(BRIDGE.0.to_vec()))),
        (link::set(&port, Setting::Mtu, 9000).unwrap(), one(LinkAttribute::Mtu(9000))),
        (link::set(&port, Setting::Group, 7).unwrap(), one(LinkAttribute::Group(7))),
        (link::set(&port, Setting::AddrGen, 1).unwrap(), one(LinkAttribute::AfSpecUnspec(vec![inet6]))),
    ];
    for (message, wanted) in cases {
        let SetLink(change) = read(&message) else { panic!() };
        assert_eq!(change.attributes, wanted);
        assert_eq!((change.header.index, change.header.change_mask), (0, LinkFlags::empty()));
    }
    for (to, flags) in [(1, LinkFlags::Up), (0, LinkFlags::empty())] {
        let SetLink(change) = read(&link::set(&port, Setting::Up, to).unwrap()) else { panic!() };
        assert_eq!((change.header.flags, change.header.change_mask), (flags, LinkFlags::Up));
    }
    let DelLink(gone) = read(&link::delete(&port)) else { panic!() };
    assert_eq!(gone.attributes, [LinkAttribute::IfName("vif0.0".to_owned())]);
}

#[test]
fn an_interface_is_read() {
    let mut port = LinkMessage::default();
    port.header.index = 9;
    port.header.link_layer_type = LinkLayerType::Ether;
    port.header.flags = LinkFlags::Up;
    port.attributes = vec![
        LinkAttribute::IfName("vif0.0".to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Address(OTHER.0.to_vec()),
        LinkAttribute::Controller(4),
        LinkAttribute::Carrier(1),
        LinkAttribute::OperState(State::Up),
        LinkAttribute::Group(7),
        LinkAttribute::IfAlias("kvmnet:tap".to_owned()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Tun)]),
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            In6AddrGenMode::None,
        )])]),
    ];
    let read = link::parse(&written(&port)).unwrap();
    assert_eq!((read.index, read.name, read.mtu, read.mac), (9, name("vif0.0"), 1500, Some(OTHER)));
    assert_eq!((read.up, read.carrier, read.operational), (true, true, true));
    assert_eq!((read.master, read.group, &*read.alias), (Some(4), 7, "kvmnet:tap"));
    assert_eq!((read.kind.as_deref(), read.addr_gen), (Some("tun"), Some(AddrGen(1))));
}

/// The VLAN of new ports matters where VLANs are filtered.
#[test]
fn a_bridge_that_filters_vlans_is_read() {
    let bridge = |filters: bool, vlan: u16| {
        let mut bridge = LinkMessage::default();
        bridge.header.link_layer_type = LinkLayerType::Ether;
        let data = vec![InfoBridge::VlanFiltering(filters), InfoBridge::VlanDefaultPvid(vlan)];
        bridge.attributes = vec![
            LinkAttribute::IfName("br0".to_owned()),
            LinkAttribute::Mtu(1500),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(data)),
            ]),
        ];
        link::parse(&written(&bridge)).unwrap().default_vlan
    };
    assert_eq!([bridge(false, 1), bridge(true, 1), bridge(true, 0)], [None, Some(1), Some(0)]);
}

#[test]
fn an_address_is_written_and_read() {
    let wanted = Address {
        label: Some("br0:1".to_owned()),
        valid: 600,
        preferred: 300,
        metric: 50,
        flags: flag::NOPREFIXROUTE,
        ..Address::plain("10.0.100.3/24".parse().unwrap())
    };
    let NewAddress(added) = read(&address::add(&wanted, 4)) else { panic!() };
    assert_eq!(
        (added.header.family, added.header.prefix_len, added.header.index),
        (AddressFamily::Inet, 24, 4)
    );
    let v4 = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let mut times = CacheInfo::default();
    (times.ifa_preferred, times.ifa_valid) = (300, 600);
    let attributes = [
        AddressAttribute::Local(v4("10.0.100.3").into()),
        AddressAttribute::Address(v4("10.0.100.3").into()),
        AddressAttribute::Broadcast(v4("10.0.100.255")),
        AddressAttribute::Label("br0:1".to_owned()),
        AddressAttribute::Flags(AddressFlags::Noprefixroute),
        AddressAttribute::RoutePriority(50),
        AddressAttribute::CacheInfo(times),
    ];
    attributes.iter().for_each(|attribute| has(&added.attributes, attribute));
    let DelAddress(gone) = read(&address::delete(&wanted, 4)) else { panic!() };
    assert_eq!(gone.attributes, attributes[..2]);
    assert_eq!(address::parse(&written(&added), 4), Some(wanted));
    assert_eq!(address::parse(&written(&added), 5), None, "it is another interface's");
}

#[test]
fn an_ipv6_address_of_the_other_end_is_read() {
    let mut told = AddressMessage::default();
    told.header.family = AddressFamily::Inet6;
    told.header.prefix_len = 64;
    told.header.scope = AddressScope::Universe;
    told.header.index = 4;
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    told.attributes = vec![AddressAttribute::Address(ip("fd00::2")), AddressAttribute::Local(ip("fd00::1"))];
    let read = address::parse(&written(&told), 4).unwrap();
    assert_eq!((read.net, read.peer), ("fd00::1/64".parse().unwrap(), Some(ip("fd00::2"))));
    assert_eq!((read.valid, read.preferred), (FOREVER, FOREVER));
}

fn plain_route(hops: Vec<Hop>) -> Route {
    Route {
        family: 2,
        destination: Some("10.9.0.0/16".parse().unwrap()),
        origin: None,
        tos: 0,
        table: 1000,
        protocol: 4,
        scope: 0,
        kind: 1,
        metric: 100,
        source: Some("192.168.1.230".parse().unwrap()),
        expires: None,
        hops,
        rest: Vec::new(),
    }
}

#[test]
fn a_route_is_written_and_read() {
    let gateway = "192.168.1.1".parse::<Ipv4Addr>().unwrap();
    let hop = Hop { device: name("eth3"), gateway: Some(gateway.into()), weight: 1, onlink: false };
    let wanted = plain_route(vec![hop]);
    let NewRoute(added) = read(&route::add(&wanted, &[3])) else { panic!() };
    let header = (added.header.destination_prefix_length, added.header.protocol, added.header.kind);
    assert_eq!(header, (16, RouteProtocol::Static, RouteType::Unicast));
    assert_eq!(added.header.scope, RouteScope::Universe);
    for attribute in [
        RouteAttribute::Destination(RouteAddress::Inet(Ipv4Addr::new(10, 9, 0, 0))),
        RouteAttribute::Table(1000),
        RouteAttribute::Oif(3),
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)),
        RouteAttribute::PrefSource(RouteAddress::Inet(Ipv4Addr::new(192, 168, 1, 230))),
        RouteAttribute::Priority(100),
    ] {
        has(&added.attributes, &attribute);
    }
    let DelRoute(gone) = read(&route::delete(&wanted, &[3])) else { panic!() };
    assert_eq!(gone, added, "what is deleted is named as it was added");
    let read = route::parse(&written(&added), 3, &name("eth3")).unwrap().unwrap();
    assert_eq!(read, wanted);
}

#[test]
fn a_route_with_several_next_hops_is_written_as_a_list() {
    let hop = |gateway: &str, weight| {
        let (device, gateway) = (name("eth3"), Some(gateway.parse().unwrap()));
        Hop { device, gateway, weight, onlink: false }
    };
    let wanted = plain_route(vec![hop("192.168.1.1", 1), hop("192.168.1.2", 5)]);
    let NewRoute(added) = read(&route::add(&wanted, &[3, 4])) else { panic!() };
    let is_list = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::MultiPath(hops) => Some(hops.clone()),
        _ => None,
    };
    let hops: Vec<RouteNextHop> = added.attributes.iter().find_map(is_list).unwrap();
    let summary: Vec<(u32, u8)> = hops.iter().map(|hop| (hop.interface_index, hop.hops)).collect();
    assert_eq!(summary, [(3, 0), (4, 4)], "a weight is told less one");
    let gateway = |last| RouteAttribute::Gateway(RouteAddress::Inet(Ipv4Addr::new(192, 168, 1, last)));
    assert_eq!(hops.iter().flat_map(|hop| &hop.attributes).collect::<Vec<_>>(), [&gateway(1), &gateway(2)]);
}

#[test]
fn a_route_by_an_object_is_left_to_the_object() {
    let mut told = RouteMessage::default();
    told.header.address_family = AddressFamily::Inet;
    told.header.kind = RouteType::Unicast;
    told.attributes = vec![RouteAttribute::Oif(3), RouteAttribute::NhId(12)];
    assert_eq!(route::parse(&written(&told), 3, &name("eth3")), None);
    assert_eq!(route::parse_way(&written(&told)).unwrap().nexthop, Some(12));
}

#[test]
fn a_policy_rule_is_written_and_read() {
    let mut told = RuleMessage::default();
    told.header.family = AddressFamily::Inet;
    told.header.src_len = 24;
    told.header.action = RuleAction::ToTable;
    told.attributes = vec![
        RuleAttribute::Source("192.168.1.0".parse().unwrap()),
        RuleAttribute::Iifname("eth3".to_owned()),
        RuleAttribute::Priority(1000),
        RuleAttribute::Table(100),
        RuleAttribute::FwMark(5),
    ];
    let found = rule::parse(&written(&told), &name("eth3")).unwrap();
    assert_eq!((found.priority, found.table, found.iif, found.oif), (1000, 100, Some(name("eth3")), None));
    assert_eq!(rule::parse(&written(&told), &name("eth4")), None, "it is not of that interface");
    let moved: PolicyRule = found.moved(&name("eth3"), &name("br0"));
    let NewRule(added) = read(&rule::add(&moved)) else { panic!() };
    assert_eq!(added.header, told.header);
    told.attributes[1] = RuleAttribute::Iifname("br0".to_owned());
    told.attributes.iter().for_each(|attribute| has(&added.attributes, attribute));
    assert_eq!(added.attributes.len(), told.attributes.len());
}

#[test]
fn a_neighbour_is_written_and_read() {
    let address = Ipv4Addr::new(192, 168, 1, 1);
    let wanted = Neighbour {
        address: address.into(),
        mac: Some(OTHER),
        state: 0x80,
        flags: 0,
        device: name("eth3"),
        rest: Vec::new(),
    };
    let NewNeighbour(added) = read(&neighbour::add(&wanted, 3)) else { panic!() };
    assert_eq!((added.header.ifindex, added.header.state), (3, NeighbourState::Permanent));
    has(&added.attributes, &NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
    has(&added.attributes, &NeighbourAttribute::LinkLayerAddress(OTHER.0.to_vec()));
    assert_eq!(neighbour::parse(&written(&added), 3, &name("eth3")), Some(wanted.clone()));
    let DelNeighbour(gone) = read(&neighbour::delete(&wanted, 3)) else { panic!() };
    assert_eq!(gone.attributes, [NeighbourAttribute::Destination(NeighbourAddress::Inet(address))]);
}

#[test]
fn an_address_that_the_host_answers_for_has_no_mac() {
    let mut told = NeighbourMessage::default();
    told.header.family = AddressFamily::Inet;
    told.header.ifindex = 3;
    told.header.flags = NeighbourFlags::Proxy;
    let address = NeighbourAddress::Inet(Ipv4Addr::new(192, 168, 1, 9));
    told.attributes = vec![NeighbourAttribute::Destination(address)];
    let read = neighbour::parse(&written(&told), 3, &name("eth3")).unwrap();
    assert_eq!((read.mac, read.state), (None, 0x80));
}

#[test]
fn other_names_of_an_interface() {
    let names = LinkAttribute::PropList(vec![Prop::AltIfName("kvmnet-br0-10.0.100.7".to_owned())]);
    for (kind, change) in [
        (108, altname::add(&name("vif0.0"), "kvmnet-br0-10.0.100.7")),
        (109, altname::delete(&name("vif0.0"), "kvmnet-br0-10.0.100.7")),
    ] {
        let mut bytes = change.bytes().to_vec();
        assert_eq!(bytes[4..6], [kind, 0]);
        // The other hand reads it as what it is otherwise, a change of an interface.
        bytes[4] = 16;
        let read = NetlinkMessage::<Packet>::deserialize(&bytes).unwrap();
        let NetlinkPayload::InnerMessage(NewLink(change)) = read.payload else { panic!() };
        assert_eq!(change.attributes, [LinkAttribute::IfName("vif0.0".to_owned()), names.clone()]);
    }
    let GetLink(asked) = read(&altname::get("kvmnet-br0-10.0.100.7")) else { panic!() };
    assert_eq!(asked.header.index, 0);
    let bytes = altname::get("kvmnet-br0-10.0.100.7").bytes().to_vec();
    assert!(bytes.windows(22).any(|part| part == b"kvmnet-br0-10.0.100.7\0"));

    let mut told = LinkMessage::default();
    told.header.link_layer_type = LinkLayerType::Ether;
    told.attributes = vec![
        LinkAttribute::IfName("vif0.0".to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::PropList(
            ["enp0s3", "kvmnet-br0-fd00:100::7"].map(|one| Prop::AltIfName(one.to_owned())).into(),
        ),
    ];
    let found = link::parse(&written(&told)).unwrap();
    assert_eq!(found.altnames, ["enp0s3", "kvmnet-br0-fd00:100::7"]);
    let claims: Vec<String> = found.claims().map(|claim| claim.to_string()).collect();
    assert_eq!(claims, ["kvmnet-br0-fd00:100::7"]);
}
