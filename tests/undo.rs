//! What the last guest leaves behind: nothing. Links, addresses, routes, rules, the nft ruleset and every setting of
//! every interface are compared before the first `qemu-ifup` and after the last `qemu-ifdown`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::thread;

use lab::{Guest, Hook, Lab, Network, Snapshot, eventually};

/// A lab with things on the host that are none of kvmnet's business.
fn lived_in(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.host.run("nft add table inet filter");
    lab.host.run("nft add chain inet filter forward { type filter hook forward priority 0 ; }");
    lab.host.ip("link add br-other type bridge");
    lab.host.ip("route add 172.31.0.0/16 via 192.168.1.25 dev eth3 metric 50");
    lab.host.ip("rule add from 10.99.0.1 lookup 77");
    lab.host.ip("route add default via 192.168.1.25 dev eth3 table 77");
    lab
}

/// Two guests come and go, in both orders, and the host is as it was.
#[track_caller]
fn leaves_nothing_behind(network: Network) {
    let lab = lived_in(network);
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    lab.detach(one);
    assert_ne!(Snapshot::of(&lab.host), before, "guest 2 is still on, so the network is");
    lab.detach(two);
    lab.assert_as_before("first in, first out", &before);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.detach(two);
    eventually("guest 1 is still on its network", || one.pings(&network.guest(1).v4));
    lab.detach(one);
    lab.assert_as_before("first in, last out", &before);
}

/// One test for each form of each mode.
macro_rules! leaves_nothing_behind {
    ($($name:ident: $network:expr,)*) => {
        mod leaves_nothing_behind {
            use super::*;

            $(#[test]
            fn $name() {
                leaves_nothing_behind($network);
            })*
        }
    };
}

leaves_nothing_behind! {
    isolated: Network::ISOLATED,
    host_only: Network::HOST_ONLY,
    host_only_veth: Network::HOST_ONLY_VETH,
    routed: Network::ROUTED,
    routed_veth: Network::ROUTED_VETH,
    nat: Network::NAT,
    nat_source: Network::NAT_SOURCE,
    nat_veth: Network::NAT_VETH,
    nat_by_routes: Network::NAT_BY_ROUTES,
    routed_by_routes: Network::ROUTED_BY_ROUTES,
    bridged: Network::BRIDGED,
}

#[test]
fn guests_may_come_and_go_all_at_once() {
    for network in [Network::ISOLATED, Network::NAT_VETH, Network::BRIDGED] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        let numbers = [1, 2, 4, 5, 6, 7, 8, 9]; // 3 is the gateway
        let guests: Vec<Guest> = numbers.into_iter().map(|number| lab.boot(number)).collect();
        for hook in ["/etc/qemu-ifup", "/etc/qemu-ifdown"] {
            thread::scope(|scope| {
                for guest in &guests {
                    scope.spawn(|| lab.hook(hook, guest).run().ok());
                }
            });
            let on = guests
                .iter()
                .filter(|guest| lab.host.ip(&format!("link show {}", guest.tap())).contains("master br0"));
            assert_eq!(on.count(), if hook.ends_with("up") { 8 } else { 0 }, "{network:?}");
        }
        drop(guests);
        lab.assert_as_before("eight guests at once", &before);
    }
}

/// A bridge of the administrator's, with a port that carries, and `addresses` of its own.
fn with_own_bridge(network: Network, addresses: &[&str]) -> Lab {
    let lab = Lab::new(network);
    lab.host.ip("link add br0 address 52:54:00:99:99:99 type bridge");
    lab.host.ip("link set br0 addrgenmode none");
    lab.host.ip("link add port0 type veth peer name port1");
    lab.host.ip("link set port0 master br0 up");
    lab.host.ip("link set port1 up");
    lab.host.ip("link set br0 up");
    for address in addresses {
        lab.host.ip(&format!("addr add {address} dev br0"));
    }
    lab.settle();
    eventually("the new links have settled", || {
        let now = lab.host.ip("-6 addr show dev port0") + &lab.host.ip("-6 addr show dev port1");
        now.matches("scope link").count() == 2 && !now.contains("tentative")
    });
    lab
}

/// A bridge that was there before is used, and left as it was found.
#[track_caller]
fn leaves_own_bridge_as_found(network: Network, addresses: &[&str]) {
    let lab = with_own_bridge(network, addresses);
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    eventually("the guests are on the bridge", || one.pings(&network.guest(2).v4));
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("an adopted bridge", &before);
}

#[test]
fn isolated_leaves_an_adopted_bridge_as_found() {
    leaves_own_bridge_as_found(Network::ISOLATED, &[]);
}

#[test]
fn host_only_leaves_an_adopted_bridge_as_found() {
    leaves_own_bridge_as_found(Network::HOST_ONLY, &[]);
    leaves_own_bridge_as_found(Network::HOST_ONLY, &["10.0.100.3/24", "fd00:100::3/64"]);
}

#[test]
fn routed_leaves_an_adopted_bridge_as_found() {
    leaves_own_bridge_as_found(Network::ROUTED, &["10.0.100.3/24"]);
}

#[test]
fn nat_leaves_an_adopted_bridge_as_found() {
    leaves_own_bridge_as_found(Network::NAT, &[]);
    leaves_own_bridge_as_found(Network::NAT, &["10.0.100.3/24", "fd00:100::3/64"]);
}

#[test]
fn bridged_takes_the_bridge_of_the_lan_as_it_is() {
    // A host as Debian's bridge-utils sets it up: br0 has eth3 as its port, the address and the default route.
    let lab = Lab::new(Network::BRIDGED);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set eth3 master br0");
    lab.host.ip("link set br0 up");
    lab.host.ip("addr flush dev eth3");
    lab.host.ip("addr add 192.168.1.230/24 dev br0");
    lab.host.ip("route add default via 192.168.1.25 dev br0");
    eventually("br0 has settled", || lab.host.link_local("br0").is_some());
    lab.settle();
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    eventually("guests are machines of the LAN", || {
        one.pings("192.168.1.25") && lab.outside.pings("192.168.1.68")
    });
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("the LAN's bridge", &before);
}

#[test]
fn keep_leaves_the_network_when_its_last_guest_leaves() {
    let lab = Lab::new(Network { keys: "keep    = true\n", ..Network::NAT });
    let one = lab.attach(1);
    lab.settle();
    let with_guest = lab.host.run("nft list ruleset");
    lab.detach(one);
    assert!(lab.host.ip("addr show dev br0").contains("inet 10.0.100.3/24"), "bridge and address stay");
    assert_eq!(lab.host.run("nft list ruleset"), with_guest, "and so do the rules");
    let two = lab.attach(2);
    lab.settle();
    eventually("the next guest finds the network working", || two.pings("192.168.1.25"));
}

/// The last guest leaves after `change` was made to the configuration, and the host is as it was all the same.
#[track_caller]
fn needs_no_configuration(network: Network, change: &str) {
    let lab = Lab::new(network);
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    if change.is_empty() {
        lab.host.run("rm /etc/kvmnet.conf");
    } else {
        lab.write_config(change);
    }
    lab.detach(one);
    lab.assert_as_before("a changed configuration", &before);
}

#[test]
fn ifdown_undoes_what_ifup_did_although_the_mode_was_edited() {
    for network in [Network::NAT_VETH, Network::ISOLATED, Network::BRIDGED] {
        needs_no_configuration(network, &Network::HOST_ONLY.config());
    }
}

#[test]
fn ifdown_undoes_what_ifup_did_although_the_bridge_was_renamed_in_the_file() {
    needs_no_configuration(Network::NAT, &Network::NAT.config().replace("br0", "br9"));
}

#[test]
fn ifdown_undoes_what_ifup_did_although_the_file_is_broken() {
    needs_no_configuration(Network::NAT, "mode = = \"nat\n");
    needs_no_configuration(Network::BRIDGED, "no such key = 1\n");
}

#[test]
fn ifdown_undoes_what_ifup_did_although_the_file_is_gone() {
    needs_no_configuration(Network::ROUTED, "");
    needs_no_configuration(Network::BRIDGED, "");
}

#[test]
fn forwarding_that_was_on_before_stays_on() {
    for network in [Network::ROUTED, Network::NAT] {
        let lab = Lab::new(network);
        lab.host.sysctl("ipv4/conf/eth3/forwarding", "1");
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        lab.detach(one);
        lab.assert_as_before("eth3 was forwarding", &before);
        assert_eq!(lab.host.read_sysctl("ipv4/conf/eth3/forwarding").unwrap(), "1");
    }
}

#[test]
fn a_router_is_still_a_router_afterwards() {
    for network in [Network::HOST_ONLY, Network::ROUTED, Network::NAT] {
        let lab = Lab::new(network);
        lab.host_forwards_for_others();
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        lab.detach(one);
        lab.assert_as_before("the host was a router", &before);
    }
}

#[test]
fn an_uplink_of_two_networks_forwards_until_the_last_of_them_goes() {
    for first_goes_first in [true, false] {
        let lab = Lab::new(Network::NAT);
        lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ROUTED.lab_table()));
        lab.outside_knows_the_way();
        let before = Snapshot::of(&lab.host);
        let (nat, routed) = (lab.attach(1), lab.attach_in_lab(1));
        let (gone, left) = if first_goes_first { (nat, routed) } else { (routed, nat) };
        lab.detach(gone);
        eventually("the network that is left works on", || {
            left.pings("192.168.1.25") && left.pings("fd00:1::25")
        });
        lab.detach(left);
        lab.assert_as_before("both networks are gone", &before);
    }
}

#[test]
fn ifdown_sweeps_although_its_tap_is_gone_already() {
    // libvirt runs the down script after it has closed the tap.
    for network in [Network::ISOLATED, Network::NAT_VETH, Network::BRIDGED] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        lab.attach(1).kill();
        Hook::new(&lab.host, "/etc/qemu-ifdown", &["vif0.0"]).run().ok();
        lab.assert_as_before("the tap was gone", &before);
    }
}

#[test]
fn a_killed_guest_is_swept_by_the_next_hook_of_any_network() {
    for network in [Network::ISOLATED, Network::NAT_VETH, Network::BRIDGED] {
        let lab = Lab::new(network);
        lab.write_config(&format!("{}{}", network.config(), Network::HOST_ONLY.lab_table()));
        let before = Snapshot::of(&lab.host);
        let survivor = lab.attach_in_lab(1);
        lab.settle_bridge("br-lab");
        let without = Snapshot::of(&lab.host);
        lab.attach(1).kill();
        assert_ne!(Snapshot::of(&lab.host), without, "nobody has swept yet");
        let next = lab.attach_in_lab(2);
        lab.assert_as_before("an ifup of the other network has swept", &without);
        lab.detach(next);
        lab.attach(1).kill();
        lab.detach(survivor);
        lab.assert_as_before("an ifdown of the other network has swept", &before);
    }
}

#[test]
fn a_persistent_tap_outlives_its_guest_off_the_bridge_and_down() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add dev vif0.0 mode tap");
    let before = Snapshot::of(&lab.host);
    let one = lab.attach(1);
    lab.detach(one);
    lab.assert_as_before("a persistent tap", &before);
    let tap = lab.host.ip("link show dev vif0.0");
    assert!(tap.contains("state DOWN") && !tap.contains("master") && !tap.contains(",UP"), "{tap}");
}

#[test]
fn ifdown_of_a_tap_that_was_never_attached_changes_nothing() {
    let lab = lived_in(Network::NAT);
    let one = lab.boot(1);
    let before = Snapshot::of(&lab.host);
    lab.ifdown(&one).ok();
    lab.ifdown(&one).ok();
    lab.assert_as_before("nothing to undo", &before);
}

#[test]
fn ifdown_leaves_a_tap_alone_that_another_process_holds() {
    // After a migration within one machine the old QEMU's hook runs while the new QEMU has the tap.
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.settle();
    let before = Snapshot::of(&lab.host);
    let by_shell = Hook::new(&lab.host, "/bin/sh", &["-c", "/etc/qemu-ifdown vif0.0; exit $?"]);
    by_shell.run().ok();
    lab.assert_as_before("somebody else holds the tap", &before);
    assert!(lab.host.ip("link show dev vif0.0").contains("master br0"), "the tap is on the bridge");
}

#[test]
fn ifdown_without_rights_touches_nothing_and_is_no_error() {
    // QEMU's -runas has given root away by the time it stops.
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    lab.settle();
    let before = Snapshot::of(&lab.host);
    let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", "/etc/qemu-ifdown", "vif0.0"];
    Hook::new(&lab.host, "/usr/bin/setpriv", &arguments).tap(one.tap_fd()).run().ok();
    lab.assert_as_before("no rights", &before);
    assert!(lab.host.ip("link show dev vif0.0").contains("master br0"), "the tap is on the bridge");
}
