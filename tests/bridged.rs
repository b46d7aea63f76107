//! The bridged takeover: the host's NIC becomes a port of the bridge and comes back, and nobody who talks with the
//! host notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::{Cli, Conversation, Lab, Machine, Network, Snapshot, TcpServer, within};

/// A host with a default route, a route with a metric, one of another table, one with a source of its own, and more
/// than one address.
fn well_connected() -> Lab {
    let lab = Lab::new(Network::BRIDGED);
    for command in [
        "addr add 192.168.1.231/24 brd + dev eth3 label eth3:web",
        "addr add 172.20.5.1/24 dev eth3 noprefixroute",
        "addr add 172.21.0.1 peer 172.21.0.2/32 dev eth3",
        "addr add 192.168.1.240/24 dev eth3 valid_lft 7200 preferred_lft 3600",
        "route add default via 192.168.1.26 dev eth3 metric 700",
        "route add 172.31.0.0/16 via 192.168.1.25 dev eth3 metric 50",
        "route add 172.30.0.0/16 dev eth3 scope link src 192.168.1.231",
        "route add 172.29.0.0/16 via 192.168.1.25 dev eth3 mtu lock 1400 table 100",
        "-6 addr add fd00:1::231/64 dev eth3 nodad valid_lft 7200 preferred_lft 3600",
        "-6 addr add fd00:5::1/64 dev eth3 nodad noprefixroute",
        "-6 route add default via fd00:1::26 dev eth3 metric 2048",
        "-6 route add fd00:31::/48 via fd00:1::25 dev eth3 metric 50",
        "-6 route add fd00:29::/48 via fe80::25 dev eth3 table 100",
        "neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth3 nud permanent",
    ] {
        lab.host.ip(command);
    }
    lab
}

/// The host's routes of all tables but the kernel's own for multicast, sorted.
fn routes(host: &Machine) -> Vec<String> {
    let text = host.ip("-4 -d route show table all") + &host.ip("-6 -d route show table all");
    let routes = text.lines().filter(|line| !line.contains("ff00::/8"));
    sorted(routes.map(|line| line.split(" expires").next().unwrap_or(line).trim_end().to_owned()).collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn addresses_and_routes_move_to_the_bridge_and_come_back() {
    let lab = well_connected();
    let before = Snapshot::of(&lab.host);
    let routes_before = routes(&lab.host);
    let one = lab.attach(1);
    lab.settle();
    let moved = sorted(routes_before.iter().map(|route| route.replace("dev eth3", "dev br0")).collect());
    within(Duration::from_secs(3), || routes(&lab.host) == moved);
    assert_eq!(
        routes(&lab.host).join("\n"),
        moved.join("\n"),
        "each route of eth3 is one of br0, and no other has come"
    );
    assert!(!lab.host.ip("addr show dev eth3").contains("inet"), "eth3 has no address");
    let addresses = lab.host.ip("addr show dev br0");
    for words in [
        "inet 192.168.1.230/24",
        "192.168.1.231/24 brd 192.168.1.255",
        ":web",
        "172.20.5.1/24",
        "noprefixroute",
        "172.21.0.1 peer 172.21.0.2/32",
        "inet6 fd00:1::230/64",
        "inet6 fd00:5::1/64",
    ] {
        assert!(addresses.contains(words), "br0 has {words}:\n{addresses}");
    }
    assert_eq!(lab.host.mac("br0"), lab.host.mac("eth3"), "the bridge carries the NIC's hardware address");
    lab.detach(one);
    lab.assert_as_before("the NIC is back", &before);
}

/// An open connection from one machine to another lives through the takeover and through the return.
#[track_caller]
fn connection_survives(pick: fn(&Lab) -> (&Machine, &Machine), address: &str) {
    let lab = well_connected();
    let (client, server) = pick(&lab);
    let conversation = Conversation::start(client, &TcpServer::on(server), address);
    conversation.await_turns(10);
    let one = lab.attach(1);
    conversation.await_turns(100);
    lab.detach(one);
    conversation.await_turns(100);
    conversation.finish();
}

#[test]
fn a_connection_that_the_host_opened_survives() {
    connection_survives(|lab| (&lab.host, &lab.outside), "192.168.1.25");
    connection_survives(|lab| (&lab.host, &lab.outside), "fd00:1::25");
}

#[test]
fn a_connection_to_the_host_survives() {
    connection_survives(|lab| (&lab.outside, &lab.host), "192.168.1.230");
    connection_survives(|lab| (&lab.outside, &lab.host), "fd00:1::230");
}

#[test]
fn a_guest_may_speak_the_moment_it_is_attached() {
    let lab = Lab::new(Network::BRIDGED);
    let one = lab.boot(1);
    lab.ifup(&one).ok();
    assert!(one.pings("192.168.1.25"), "the first packet arrives");
}

#[test]
fn the_second_guest_changes_nothing_for_the_host() {
    let lab = well_connected();
    let one = lab.attach(1);
    lab.settle();
    let with_one = Snapshot::of(&lab.host);
    let two = lab.attach(2);
    lab.assert_as_before("a second guest on the bridge", &with_one);
    lab.detach(two);
    lab.assert_as_before("and it has gone", &with_one);
    lab.detach(one);
}

#[test]
fn auto_takes_the_nic_with_the_default_route() {
    let lab = Lab::new(Network { uplink: "uplink  = \"auto\"\n", ..Network::BRIDGED });
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    assert!(lab.host.ip("link show dev eth3").contains("master br0"));
    assert!(one.pings("192.168.1.25"));
    lab.detach(one);
    lab.assert_as_before("the NIC is back", &before);
}

/// What "auto" takes on a host that these commands have set up.
#[track_caller]
fn auto_takes_eth3(commands: &[&str]) {
    let lab = Lab::new(Network { uplink: "uplink  = \"auto\"\n", ..Network::BRIDGED });
    for command in commands {
        lab.host.run(command);
    }
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    assert!(lab.host.ip("link show dev eth3").contains("master br0"), "{commands:?}");
    let two = lab.attach(2);
    assert!(one.pings("192.168.1.25"));
    lab.detach(two);
    lab.detach(one);
    lab.assert_as_before("the NIC is back", &before);
}

#[test]
fn auto_means_the_main_table() {
    auto_takes_eth3(&["ip route add default via 10.77.0.2 dev eth4 table 100"]);
    auto_takes_eth3(&[
        "ip -6 route add default via fd00:77::2 dev eth4 table 100",
        "ip route delete default",
    ]);
}

#[test]
fn auto_means_the_lowest_metric_of_what_can_be_bridged() {
    auto_takes_eth3(&[
        "ip route delete default",
        "ip route add default via 10.77.0.2 dev eth4 metric 800",
        "ip route add default via 192.168.1.25 dev eth3 metric 700",
        "ip tuntap add tun7 mode tun",
        "ip link set tun7 up",
        "ip route add default dev tun7 metric 5",
    ]);
    auto_takes_eth3(&[
        "ip route delete default",
        "ip -6 route delete default",
        "ip -6 route add default via fd00:1::25 dev eth3 metric 700",
        "ip tuntap add tun7 mode tun",
        "ip link set tun7 up",
        "ip -6 route add default dev tun7 metric 5",
    ]);
}

#[test]
fn auto_means_another_table_where_the_main_one_has_nothing() {
    auto_takes_eth3(&[
        "ip route delete default",
        "ip -6 route delete default",
        "ip route add default via 192.168.1.25 dev eth3 table 100",
    ]);
}

/// With `nexthop_compat_mode` 0 a route names its nexthop object and nothing else.
#[test]
fn auto_knows_nexthop_objects() {
    auto_takes_eth3(&[
        "sysctl -q -w net.ipv4.nexthop_compat_mode=0",
        "ip route delete default",
        "ip -6 route delete default",
        "ip nexthop add id 7 via 192.168.1.25 dev eth3",
        "ip nexthop add id 8 group 7",
        "ip route add default nhid 8",
    ]);
}

/// The uplink may be written by another name of its; all that is done is done to the interface, and is as configured.
#[test]
fn an_uplink_is_known_by_its_other_names() {
    for network in [Network::BRIDGED, Network::NAT] {
        let lab = Lab::new(Network { uplink: "uplink  = \"lan0\"\n", ..network });
        lab.host.ip("link property add dev eth3 altname lan0");
        let before = Snapshot::of(&lab.host);
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        assert!(one.pings("192.168.1.25"), "{}", network.mode);
        if network.mode == "bridged" {
            assert!(lab.host.ip("link show dev eth3").contains("master br0"));
        }
        let said = Cli::new(&lab.host, &["apply"]).run().ok();
        assert!(said.contains("as configured"), "{said}");
        let said = Cli::new(&lab.host, &["check"]).run();
        assert!(!said.out.contains("lan0"), "{said:?}");
        lab.detach(two);
        lab.detach(one);
        lab.assert_as_before(network.mode, &before);
    }
}

/// A bridge cannot have a name that is another one of an interface: that is seen before anything is touched.
#[test]
fn a_bridge_has_no_other_name_of_an_interface() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link property add dev eth4 altname br0");
    let one = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    assert!(lab.ifup(&one).complains(1).contains("br0 is another name of eth4"));
    lab.assert_as_before("a refusal", &before);
}
