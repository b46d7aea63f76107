//! What a takeover carries, attribute by attribute (the table in docs/takeover.md), and when it is refused or
//! taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "takeover/asked.rs"]
mod asked;
#[path = "takeover/down.rs"]
mod down;
#[path = "takeover/found.rs"]
mod found;
mod lab;

use std::time::Duration;

use lab::{Capture, Frame, Lab, Network, Snapshot, eventually, within};

/// One attribute: how it comes to be on the host, what shows it, and the words with DEV in the interface's place.
struct Attribute {
    set: &'static [&'static str],
    show: &'static str,
    words: &'static str,
}

/// Brings a guest up and down on a host that has the attribute: it is the bridge's in between, and back afterwards.
#[track_caller]
fn carries(attribute: &Attribute) {
    let lab = Lab::new(Network::BRIDGED);
    for command in attribute.set {
        lab.host.run(command);
    }
    let shown = || lab.host.run(attribute.show).split_whitespace().collect::<Vec<_>>().join(" ");
    let (on_nic, on_bridge) = (attribute.words.replace("DEV", "eth3"), attribute.words.replace("DEV", "br0"));
    assert!(shown().contains(&on_nic), "the host was to have {on_nic:?}:\n{}", shown());
    eventually(
        "each IPv6 address of the NIC has its local route, which the kernel adds a moment later",
        || {
            let count = |arguments: &str| lab.host.ip(arguments).lines().count();
            count("-6 -o addr show dev eth3") == count("-6 route show table local type local dev eth3")
        },
    );
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    assert!(shown().contains(&on_bridge), "with a guest there is {on_bridge:?}:\n{}", shown());
    assert!(!attribute.words.contains("DEV") || !shown().contains(&on_nic), "no {on_nic:?}:\n{}", shown());
    lab.detach(guest);
    assert!(shown().contains(&on_nic), "afterwards there is {on_nic:?} again:\n{}", shown());
    lab.assert_as_before(on_nic.as_str(), &before);
}

/// Makes one test of each attribute.
macro_rules! carried {
    ($($name:ident: $set:expr, $show:expr, $words:expr;)*) => {
        $(#[test]
        fn $name() {
            carries(&Attribute { set: &$set, show: $show, words: $words });
        })*
    };
}

carried! {
    address_metric: ["ip addr add 10.1.0.1/24 dev eth3 metric 55"],
        "ip -o addr show to 10.1.0.0/24", "DEV inet 10.1.0.1/24 metric 55 ";
    address_peer: ["ip addr add 10.1.0.1 peer 10.1.0.2/32 dev eth3"],
        "ip -o addr show to 10.1.0.0/24", "DEV inet 10.1.0.1 peer 10.1.0.2/32 ";
    address_label_and_broadcast: ["ip addr add 10.1.0.1/24 brd 10.1.0.99 dev eth3 label eth3:a"],
        "ip -o addr show to 10.1.0.0/24", "DEV inet 10.1.0.1/24 brd 10.1.0.99 scope global DEV:a";
    address_scope: ["ip addr add 10.1.0.1/24 dev eth3 scope link"],
        "ip -o addr show to 10.1.0.0/24", "DEV inet 10.1.0.1/24 scope link DEV";
    address_noprefixroute: ["ip addr add 10.1.0.1/24 dev eth3 noprefixroute"],
        "ip -o addr show to 10.1.0.0/24", "DEV inet 10.1.0.1/24 scope global noprefixroute DEV";
    address_secondary: ["ip addr add 192.168.1.240/24 dev eth3"],
        "ip -o addr show to 192.168.1.240", "DEV inet 192.168.1.240/24 scope global secondary DEV";
    address_lifetime: ["ip addr add 10.1.0.1/24 dev eth3 valid_lft 90000 preferred_lft 80000"],
        "ip -o addr show dynamic to 10.1.0.0/24", "DEV inet 10.1.0.1/24 scope global dynamic DEV";
    address6_nodad: ["ip addr add fd00:7::1/64 dev eth3 nodad"],
        "ip -o addr show to fd00:7::/64", "DEV inet6 fd00:7::1/64 scope global nodad";
    address6_lifetime: ["ip addr add fd00:7::1/64 dev eth3 nodad valid_lft 90000 preferred_lft 80000"],
        "ip -o addr show to fd00:7::/64", "DEV inet6 fd00:7::1/64 scope global nodad dynamic";
    address6_metric: ["ip addr add fd00:7::1/64 dev eth3 nodad metric 55"],
        "ip -6 route show fd00:7::/64", "fd00:7::/64 dev DEV proto kernel metric 55";
    address6_home: ["ip addr add fd00:7::1/64 dev eth3 nodad home"],
        "ip -o addr show to fd00:7::/64", "DEV inet6 fd00:7::1/64 scope global nodad home";
    address_deprecated: ["ip addr add 10.1.0.1/24 dev eth3 preferred_lft 0"],
        "ip -o addr show deprecated", "DEV inet 10.1.0.1/24 scope global deprecated DEV";
    address_of_a_group: ["ip addr add 239.9.9.9/32 dev eth3 autojoin"],
        "ip -o addr show to 239.9.9.9", "DEV inet 239.9.9.9/32 scope global autojoin DEV";
    address6_deprecated: ["ip addr add fd00:7::1/64 dev eth3 nodad preferred_lft 0"],
        "ip -o addr show deprecated", "DEV inet6 fd00:7::1/64 scope global nodad deprecated";
    address6_without_prefix_route: ["ip addr add fd00:7::1/64 dev eth3 nodad noprefixroute mngtmpaddr"],
        "ip -o addr show to fd00:7::/64", "DEV inet6 fd00:7::1/64 scope global nodad mngtmpaddr noprefixroute";
    route_metrics: ["ip route add 10.9.0.0/16 via 192.168.1.25 mtu 1400 advmss 1300 window 1000 metric 7"],
        "ip route show 10.9.0.0/16", "via 192.168.1.25 dev DEV metric 7 mtu 1400 window 1000 advmss 1300";
    route_source_and_protocol: ["ip route add 10.9.0.0/16 via 192.168.1.25 src 192.168.1.230 proto static"],
        "ip route show 10.9.0.0/16", "via 192.168.1.25 dev DEV proto static src 192.168.1.230";
    route_tos: ["ip route add 10.9.0.0/16 via 192.168.1.25 tos 0x10"],
        "ip route show 10.9.0.0/16", "tos 0x10 via 192.168.1.25 dev DEV";
    route_onlink: ["ip route add 10.9.0.0/16 via 10.98.0.1 dev eth3 onlink"],
        "ip route show 10.9.0.0/16", "via 10.98.0.1 dev DEV onlink";
    route_of_another_table: ["ip route add 10.9.0.0/16 dev eth3 table 77"],
        "ip route show table 77", "10.9.0.0/16 dev DEV scope link";
    route_by_ipv6_router: ["ip route add 10.9.0.0/16 via inet6 fd00:1::25 dev eth3"],
        "ip route show 10.9.0.0/16", "via inet6 fd00:1::25 dev DEV";
    route_with_several_hops: [
            "ip addr add 10.2.0.1/24 dev eth3",
            "ip route add 10.9.0.0/16 nexthop via 192.168.1.25 weight 3 nexthop via 10.2.0.2 weight 2"],
        "ip route show 10.9.0.0/16",
        "nexthop via 192.168.1.25 dev DEV weight 3 nexthop via 10.2.0.2 dev DEV weight 2";
    route6_with_several_hops: [
            "ip -6 route add fd00:9::/64 nexthop via fd00:1::25 weight 3 nexthop via fd00:1::26 weight 2"],
        "ip -6 route show fd00:9::/64", "via fd00:1::25 dev DEV weight 3";
    route_realm: ["ip route add 10.9.0.0/16 via 192.168.1.25 realm 3/4"],
        "ip route show 10.9.0.0/16", "via 192.168.1.25 dev DEV realms 3/4";
    route_into_a_tunnel: ["ip route add 10.9.0.0/16 encap ip id 5 dst 10.1.1.1 via 192.168.1.25 dev eth3"],
        "ip route show 10.9.0.0/16", "encap ip id 5 src 0.0.0.0 dst 10.1.1.1 ttl 0 tos 0 via 192.168.1.25 dev DEV";
    route_of_a_group: ["ip route add multicast 239.1.0.0/16 dev eth3"],
        "ip route show table all type multicast 239.1.0.0/16", "multicast 239.1.0.0/16 dev DEV";
    route6_from_a_source: ["ip -6 route add default from fd00:1::/64 via fd00:1::25 dev eth3 metric 77"],
        "ip -6 route show", "default from fd00:1::/64 via fd00:1::25 dev DEV metric 77";
    route6_from_a_source_in_another_table: ["ip -6 route add fd00:9::/64 from fd00:5::/64 dev eth3 table 77"],
        "ip -6 route show table 77", "fd00:9::/64 from fd00:5::/64 dev DEV";
    route6_lifetime_and_preference: ["ip -6 route add fd00:9::/64 via fd00:1::25 expires 9000 pref high"],
        "ip -6 route show fd00:9::/64", "fd00:9::/64 via fd00:1::25 dev DEV metric 1024 expires";
    route_by_a_nexthop_object: [
            "ip nexthop add id 7 via 192.168.1.25 dev eth3", "ip route add 10.9.0.0/16 nhid 7"],
        "ip route show 10.9.0.0/16", "nhid 7 via 192.168.1.25 dev DEV";
    policy_rule_of_a_way_in: ["ip rule add iif eth3 priority 500 lookup 77"],
        "ip rule show", "500: from all iif DEV lookup 77";
    policy_rule_of_a_way_out: ["ip -6 rule add oif eth3 fwmark 3 priority 500 lookup 77"],
        "ip -6 rule show", "500: from all fwmark 0x3 oif DEV lookup 77";
    permanent_neighbour: ["ip neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth3 nud permanent"],
        "ip neigh show nud permanent", "192.168.1.99 dev DEV lladdr 02:00:00:00:00:99 PERMANENT";
    neighbour_of_a_program: [
            "ip neigh add fd00:1::99 lladdr 02:00:00:00:00:99 dev eth3 nud permanent router extern_learn protocol 7"],
        "ip neigh show nud permanent", "fd00:1::99 dev DEV lladdr 02:00:00:00:00:99 router extern_learn PERMANENT proto 7";
    neighbour_that_is_not_asked_for: ["ip neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth3 nud noarp"],
        "ip neigh show nud noarp", "192.168.1.99 dev DEV lladdr 02:00:00:00:00:99 NOARP";
    proxy_neighbour: ["ip neigh add proxy 192.168.1.77 dev eth3"],
        "ip neigh show proxy", "192.168.1.77 dev DEV proxy";
    proxy6_neighbour: ["ip neigh add proxy fd00:1::77 dev eth3 protocol 7"],
        "ip neigh show proxy", "fd00:1::77 dev DEV proxy proto 7";
}

/// Jumbo frames, or the smaller ones of a tunnel, stay what they are.
#[test]
fn the_bridge_has_the_mtu_of_the_nic() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link set eth3 mtu 1400");
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    for link in ["br0", "vif0.0"] {
        assert!(lab.host.ip(&format!("link show {link}")).contains("mtu 1400 "), "{link}");
    }
    lab.detach(guest);
    lab.assert_as_before("the NIC keeps its MTU", &before);
}

/// A new bridge validates, answers and listens as the NIC did.
#[test]
fn the_bridge_takes_over_the_settings_of_the_nic() {
    let lab = Lab::new(Network::BRIDGED);
    let settings = [
        ("ipv4", "rp_filter", "2"),
        ("ipv4", "arp_announce", "2"),
        ("ipv4", "accept_local", "1"),
        ("ipv6", "accept_ra", "2"),
        ("ipv6", "use_tempaddr", "2"),
        ("ipv6", "accept_redirects", "0"),
    ];
    for (family, key, value) in settings {
        lab.host.sysctl(&format!("{family}/conf/eth3/{key}"), value);
    }
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    for (family, key, value) in settings {
        let now = lab.host.run(&format!("cat /proc/sys/net/{family}/conf/br0/{key}"));
        assert_eq!(now.trim(), value, "{family} {key} of br0");
    }
    lab.detach(guest);
    lab.assert_as_before("the NIC has its settings still", &before);
}

/// What the NIC was told about IPv6 holds for the bridge in its place: of an announcement it makes the address that the NIC
/// would have made, and no other. Returns the addresses, as `ip` shows them.
#[track_caller]
fn made_of_an_announcement(tell: &[(&str, &str)], token: Option<&str>) -> Vec<String> {
    let lab = Lab::new(Network::BRIDGED);
    for (key, value) in tell {
        lab.host.sysctl(&format!("ipv6/conf/eth3/{key}"), value);
    }
    if let Some(token) = token {
        lab.host.ip(&format!("token set {token} dev eth3"));
    }
    eventually("the NIC has settled", || lab.host.ip("-6 addr show tentative").is_empty());
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    lab.settle();
    let mut capture = Capture::of_wire(&lab.host);
    let all_nodes = [0x33, 0x33, 0, 0, 0, 1];
    let router = guest.link_local("eth0").unwrap().parse().unwrap();
    let frame = Frame { from: guest.mac("eth0"), to: all_nodes };
    guest.inject(&frame.router_advertisement(router, "fd00:ad::".parse().unwrap()));
    let is_it = |frame: &Vec<u8>| frame.starts_with(&all_nodes) && frame.get(54) == Some(&134);
    eventually("the announcement has come", || capture.frames().iter().any(is_it));
    let shown = || lab.host.ip("-6 -o addr show to fd00:ad::/64");
    within(Duration::from_secs(2), || !shown().is_empty());
    let shown = shown();
    assert!(shown.lines().all(|line| line.contains(" br0 ")), "{shown}");
    for what in ["addr flush to fd00:ad::/64", "route flush proto ra", "route flush fd00:ad::/64"] {
        lab.host.try_run(&format!("ip -6 {what}"));
    }
    lab.detach(guest);
    lab.assert_as_before("the NIC is back", &before);
    shown.lines().map(str::to_owned).collect()
}

/// The reproduction of a host that shall not have IPv6 on this NIC.
#[test]
fn a_nic_without_ipv6_is_a_bridge_without_ipv6() {
    assert_eq!(made_of_an_announcement(&[("disable_ipv6", "1")], None), [] as [&str; 0]);
}

#[test]
fn an_announced_address_ends_with_the_mac() {
    let made = made_of_an_announcement(&[], None);
    assert!(matches!(&made[..], [one] if one.contains("fd00:ad::c0ff:fe00:3/64")), "{made:?}");
}

#[test]
fn an_announced_address_ends_with_the_token() {
    let made = made_of_an_announcement(&[], Some("::5"));
    assert!(matches!(&made[..], [one] if one.contains("fd00:ad::5/64")), "{made:?}");
}

#[test]
fn an_announced_address_is_made_of_the_secret() {
    for tell in [&[("stable_secret", "2001:db8::1234")], &[("addr_gen_mode", "3")]] {
        let made = made_of_an_announcement(tell, None);
        assert!(matches!(&made[..], [one] if one.contains("stable-privacy")), "{tell:?}: {made:?}");
    }
}

/// Another machine has the address; the host knows, and does not use it, wherever its NIC is.
#[test]
fn an_address_that_another_machine_has_stays_unused() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.sysctl("ipv6/conf/eth3/accept_dad", "1");
    lab.outside.ip("addr add fd00:1::dd/64 dev eth0 nodad");
    eventually("the outside has the address", || lab.outside.pings("fd00:1::dd"));
    lab.host.ip("addr add fd00:1::dd/64 dev eth3");
    let unused = || lab.host.ip("-o addr show dadfailed").lines().any(|line| line.contains("fd00:1::dd/64"));
    eventually("the host has seen that another machine has the address", unused);
    let before = Snapshot::of(&lab.host);
    let guest = lab.attach(1);
    let second = lab.attach(2);
    lab.settle_but_for("fd00:1::dd");
    assert_eq!(lab.host.ip("-o addr show to fd00:1::dd -dadfailed"), "", "with a guest nobody uses it");
    assert!(lab.host.pings("fd00:1::dd"), "it is the other machine's");
    lab.detach(second);
    lab.detach(guest);
    assert!(unused(), "afterwards it is on the NIC, unused");
    lab.assert_as_before("the NIC is back", &before);
}

/// An address that the kernel is still looking for on the LAN comes into use on the bridge once nobody answers, and is one of
/// the NIC's afterwards.
#[test]
fn an_address_that_is_looked_for_comes_into_use() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.sysctl("ipv6/conf/eth3/accept_dad", "1");
    lab.host.sysctl("ipv6/conf/eth3/dad_transmits", "5");
    let guest = lab.boot(1);
    lab.host.ip("addr add fd00:1::ee/64 dev eth3");
    lab.ifup(&guest).ok();
    assert!(lab.host.ip("-o addr show dev br0 tentative").contains("fd00:1::ee/64"), "it is not believed");
    lab.settle();
    eventually("the guest reaches it", || guest.pings("fd00:1::ee"));
    lab.detach(guest);
    assert!(lab.host.ip("-o addr show dev eth3 -tentative").contains("fd00:1::ee/64"));
    assert!(lab.host.pings("fd00:1::25"));
}

/// A route whose time is over, and which the kernel has yet to sweep, does not rise from the dead.
#[test]
fn a_route_that_has_expired_is_left_behind() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("-6 route add fd00:66::/64 via fd00:1::25 dev eth3 expires 1");
    eventually("it is over", || {
        let shown = lab.host.ip("-6 route show fd00:66::/64");
        shown.is_empty() || shown.contains("expires -")
    });
    let guest = lab.attach(1);
    assert_eq!(lab.host.ip("-6 route show fd00:66::/64 dev br0"), "");
    lab.detach(guest);
}

/// What cannot be a port of a bridge is refused, with the way out, and nothing is touched.
#[test]
fn what_cannot_be_bridged_is_refused() {
    let lab = Lab::new(Network::BRIDGED);
    for command in [
        "link add link eth3 name mac0 type macvlan mode bridge",
        "link add br9 type bridge",
        "link add ve0 type veth peer name ve1",
        "link set ve0 master br9",
    ] {
        lab.host.ip(command);
    }
    let guest = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    for (uplink, words) in [
        ("mac0", "mac0 cannot be bridged: it shares another interface's MAC"),
        ("lo", "lo cannot be bridged: it is the loopback interface"),
        ("br9", "br9 cannot be bridged: it is a bridge itself"),
        ("ve0", "ve0 is already a part of the bridge br9"),
        ("vif0.0", "vif0.0 cannot be bridged: it is a tap"),
    ] {
        let ran = lab.hook("/etc/qemu-ifup", &guest).env("KVMNET_UPLINK", uplink).run();
        assert!(ran.complains(1).contains(words), "{uplink}");
        lab.assert_as_before(uplink, &before);
    }
}
