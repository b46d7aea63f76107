//! What a guest borrows it gives back: a bridge that was there before keeps its MAC and gets back all that it had, in every
//! mode; so does a tap that outlives its guest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::settled;
use lab::{Cli, Hook, Lab, Network, Pings, Snapshot, each_mode, eventually};

const MODES: [Network; 5] =
    [Network::ISOLATED, Network::HOST_ONLY, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT];

/// A bridge without ports has a MAC all the same, and keeps it: whoever comes first, and when the last one has left.
#[test]
fn a_found_bridge_without_ports_keeps_its_mac() {
    for network in MODES {
        let lab = Lab::new(network);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 up");
        let mac = lab.host.mac("br0");
        let one = lab.attach(1);
        assert_eq!(lab.host.mac("br0"), mac, "{network:?}: with one guest");
        let two = lab.attach(2);
        lab.detach(one);
        assert_eq!(lab.host.mac("br0"), mac, "{network:?}: with another guest");
        lab.detach(two);
        assert_eq!(lab.host.mac("br0"), mac, "{network:?}: with none");
    }
}

/// A bridge that has its MAC from a NIC is found by its neighbours while guests come and go.
#[test]
fn the_bridge_of_a_nic_keeps_its_mac() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link set eth3 down address f2:00:c0:00:00:03");
    lab.host.ip("link add br0 type bridge forward_delay 0");
    lab.host.ip("link set eth3 master br0");
    for address in ["192.168.1.230/24", "fd00:1::230/64"] {
        // One of IPv6 went when the NIC was down.
        let _gone = lab.host.try_run(&format!("ip addr del {address} dev eth3"));
        lab.host
            .ip(&format!("addr add {address} dev br0 {}", if address.contains(':') { "nodad" } else { "" }));
    }
    lab.host.ip("link set br0 up");
    lab.host.ip("link set eth3 up");
    lab.host.ip("route add default via 192.168.1.25");
    let mac = lab.host.mac("br0");
    assert_eq!(mac[0], 0xf2, "no fixed MAC, but the NIC's");
    eventually("the host is there", || lab.outside.pings("192.168.1.230"));
    let pings = Pings::start(&lab.outside, "192.168.1.230");
    pings.await_answers(3);
    for _ in 0..3 {
        let one = lab.attach(1);
        assert_eq!(lab.host.mac("br0"), mac);
        pings.await_answers(3);
        lab.detach(one);
        assert_eq!(lab.host.mac("br0"), mac);
        pings.await_answers(3);
    }
    let answers = pings.stop();
    assert_eq!(answers.lost, [] as [usize; 0], "{answers:?}");
}

/// Up or down, with a port or without, on a router or not.
#[track_caller]
fn a_found_bridge_gets_back_all(network: Network) {
    for (up, port, router) in [
        (true, true, false),
        (true, true, true),
        (false, false, true),
        (false, true, false),
        (true, false, true),
    ] {
        let lab = Lab::new(network);
        if router {
            lab.host_forwards_for_others();
        }
        // With its first carrier a bridge gets a link-local address for good, unless it is to have none.
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 addrgenmode none");
        // It has had a port and a carrier, which leave a queue and a route behind.
        let carry = || {
            lab.host.ip("link add spare type veth peer name spare1");
            lab.host.ip("link set spare master br0 up");
            lab.host.ip("link set spare1 up");
            lab.host.ip("link set br0 up");
            lab.settle();
            lab.host.ip("link del spare");
        };
        carry();
        if port {
            lab.host.ip("link add port0 address 02:00:00:00:99:01 type veth peer name port1");
            lab.host.ip("link set port0 addrgenmode none");
            lab.host.ip("link set port1 addrgenmode none");
            lab.host.ip("link set port0 master br0 up");
            lab.host.ip("link set port1 up");
        }
        if !up {
            lab.host.ip("link set br0 down");
        }
        let before = settled(&lab);
        let (one, two) = (lab.attach(1), lab.attach(2));
        eventually("the guests are on the bridge", || one.pings(&network.guest(2).v4));
        lab.detach(one);
        lab.detach(two);
        if up && !port {
            // Where IPv6 comes back without a carrier, its route to ff00::/8 comes with the next one.
            carry();
        }
        lab.assert_as_before(&format!("{network:?}, up: {up}, port: {port}, router: {router}"), &before);
        let conf = |key: &str| lab.host.read_sysctl(&format!("ipv4/conf/br0/{key}"));
        assert_eq!(conf("forwarding").as_deref(), Some(if router { "1" } else { "0" }));
        assert_eq!(lab.host.run("tc qdisc show dev br0 clsact"), "");
    }
}

each_mode!(a_found_bridge_gets_back_all: isolated host_only host_only_veth routed nat);

/// All that can be seen of a tap.
fn state(lab: &Lab, tap: &str) -> String {
    let settings = ["ipv4/conf", "ipv6/conf"]
        .map(|kind| lab.host.run(&format!("grep -r . /proc/sys/net/{kind}/{tap} --exclude=stable_secret")));
    let mut settings: Vec<String> = settings.concat().lines().map(str::to_owned).collect();
    settings.sort();
    let filters = ["qdisc show dev", "filter show ingress dev", "filter show egress dev"]
        .map(|what| lab.host.run(&format!("tc {what} {tap}")));
    let link = lab.host.ip(&format!("-d link show dev {tap}"));
    // The number of a queue's discipline is the only thing that changes by itself.
    format!("{link}{}{}", settings.join("\n"), filters.concat())
}

/// A persistent tap, with settings and a filter of its owner's, gets back all that it had.
#[test]
fn a_persistent_tap_gets_back_what_it_had() {
    for network in MODES.into_iter().chain([Network::BRIDGED]) {
        for found in [false, true] {
            if found && network == Network::BRIDGED {
                continue;
            }
            let lab = Lab::new(network);
            if found {
                lab.host.ip("link add br0 type bridge");
            }
            lab.host.ip("tuntap add tap0 mode tap");
            lab.host.ip("link set tap0 alias mine mtu 1400");
            // Who was up once has another queue.
            lab.host.ip("link set tap0 up");
            lab.host.ip("link set tap0 down");
            for (key, value) in [("rp_filter", "2"), ("arp_ignore", "1"), ("forwarding", "1")] {
                lab.host.sysctl(&format!("ipv4/conf/tap0/{key}"), value);
            }
            let own_filter = found;
            if own_filter {
                lab.host.run("tc qdisc add dev tap0 clsact");
                let _unless_lacking = lab.host.try_run(
                    "tc filter add dev tap0 ingress pref 9 protocol all bpf bytecode 1,6 0 0 4294967295 direct-action",
                );
            }
            let before = state(&lab, "tap0");
            Cli::new(&lab.host, &["attach", "tap0"]).run().ok();
            assert_ne!(state(&lab, "tap0"), before);
            assert!(lab.host.run("tc filter show dev tap0 ingress").contains("25215488"), "it is guarded");
            Cli::new(&lab.host, &["detach", "tap0"]).run().ok();
            let after = state(&lab, "tap0");
            let changed: Vec<_> = before.lines().zip(after.lines()).filter(|(was, is)| was != is).collect();
            let tail = after.lines().skip(before.lines().count());
            assert!(after == before, "{network:?}: {changed:#?} {:#?}", tail.collect::<Vec<_>>());
        }
    }
}

/// Refused before anything is touched.
#[test]
fn a_tap_of_somebody_elses_bridge_is_refused() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    lab.host.ip("link add virbr7 type bridge");
    lab.host.ip("link set vif0.0 master virbr7 up");
    let before = (Snapshot::of(&lab.host), lab.host.ip("-d link show dev vif0.0"));
    let said = lab.ifup(&one);
    assert!(said.stderr.contains("vif0.0 is a port of virbr7"), "{said:?}");
    assert!(said.stderr.contains("ip link set vif0.0 nomaster"), "{said:?}");
    said.complains(1);
    assert_eq!((Snapshot::of(&lab.host), lab.host.ip("-d link show dev vif0.0")), before);
    lab.host.ip("link set vif0.0 nomaster");
    lab.ifup(&one).ok();
}

#[test]
fn a_tap_with_a_long_alias_is_refused() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add tap0 mode tap");
    lab.host.ip(&format!("link set tap0 alias {}", "x".repeat(250)));
    let before = (Snapshot::of(&lab.host), state(&lab, "tap0"));
    let said = Cli::new(&lab.host, &["attach", "tap0"]).run().complains(1);
    assert!(said.contains("the alias of tap0") && said.contains("alias ''"), "{said}");
    assert_eq!((Snapshot::of(&lab.host), state(&lab, "tap0")), before);
}

/// The last guest of one network goes over to another.
#[test]
fn a_network_whose_last_guest_moves_goes() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ISOLATED.lab_table()));
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    let lab_hook =
        || Hook::new(&lab.host, "/etc/qemu-ifup", &["vif0.0"]).tap(one.tap_fd()).env("KVMNET_NETWORK", "lab");
    lab_hook().run().ok();
    let links = lab.host.ip("-br link");
    assert!(links.contains("br-lab") && !links.contains("br0"), "{links}");
    assert_eq!(lab.host.read_sysctl("ipv4/conf/eth3/forwarding").as_deref(), Some("0"));
    lab.detach(one);
    lab.assert_as_before("one guest on two networks in turn", &before);
}

/// A bridge with nobody behind it but the host is lent to a NIC, and keeps its own link-local address and the way by it; the NIC
/// gets back its route by a router's link-local address.
#[test]
fn bridged_gives_a_found_bridge_back() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link add br0 address 02:00:00:00:99:02 type bridge forward_delay 0");
    lab.host.ip("link add port0 type veth peer name port1");
    for port in ["port0", "port1"] {
        lab.host.ip(&format!("link set {port} addrgenmode none"));
        lab.host.ip(&format!("link set {port} up"));
    }
    lab.host.ip("link set port0 master br0");
    lab.host.ip("link set br0 up");
    let router = lab.outside.link_local("eth0").unwrap();
    lab.host.ip(&format!("-6 route replace default via {router} dev eth3"));
    lab.settle();
    let before = settled(&lab);
    assert!(lab.host.ip("-6 route show dev br0").contains("fe80::/64"), "it has a link-local address");
    let one = lab.attach(1);
    eventually("the guest is on the LAN", || one.pings("192.168.1.25"));
    lab.detach(one);
    lab.assert_as_before("the guest came and went", &before);
}

/// A bridge that was found and closed for its guests opens for the next configuration, and is not shut again when that ends.
#[test]
fn a_found_bridge_that_was_closed_opens_again() {
    for closed in [Network::ISOLATED, Network::HOST_ONLY_VETH] {
        let lab = Lab::new(closed);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 addrgenmode none up");
        let keys = ["arp_ignore", "rp_filter", "accept_local", "route_localnet", "forwarding"];
        let conf = || {
            let ipv4 = keys.map(|key| lab.host.read_sysctl(&format!("ipv4/conf/br0/{key}")));
            (
                ipv4,
                lab.host.read_sysctl("ipv6/conf/br0/disable_ipv6"),
                lab.host.run("tc qdisc show dev br0 clsact"),
            )
        };
        let before = conf();
        let guest = lab.attach(1);
        assert_ne!(conf(), before, "{closed:?}: closed");
        lab.write_config(&Network::HOST_ONLY.config());
        lab.ifup(&guest).ok();
        eventually("the guest reaches the host", || guest.pings("10.0.100.3"));
        lab.ifup(&guest).ok();
        lab.detach(guest);
        assert_eq!(conf(), before, "{closed:?}, then host-only");
    }
}

/// With IPv6 its link-local address comes back, and not only when the network ends.
#[test]
fn a_found_bridge_that_opens_again_has_its_link_local_address() {
    for closed in [Network::ISOLATED, Network::HOST_ONLY_VETH] {
        let lab = Lab::new(closed);
        lab.host.ip("link add br0 address 02:00:00:00:00:b0 type bridge");
        lab.host.ip("link set br0 up");
        // A bridge makes its address once somebody is on it.
        let other = lab.boot(2);
        lab.host.ip(&format!("link set {} master br0 up", other.tap()));
        eventually("the bridge has its address", || lab.host.link_local("br0").is_some());
        let before = lab.host.link_local("br0");
        let guest = lab.attach(1);
        assert_eq!(lab.host.link_local("br0"), None, "{closed:?}: closed");
        lab.write_config(&Network::HOST_ONLY.config());
        lab.ifup(&guest).ok();
        eventually("the bridge has its address again", || lab.host.link_local("br0") == before);
        lab.detach(guest);
        assert_eq!(lab.host.link_local("br0"), before, "{closed:?}, then host-only");
    }
}
