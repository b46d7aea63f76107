//! A NIC becomes a port of a bridge that was there.

use std::time::Duration;

use crate::lab::{Lab, Network, Snapshot, eventually, within};

/// A bridge that was there gets the NIC for as long as guests are on it, and is as it was afterwards.
#[test]
fn a_found_bridge_gives_the_nic_back() {
    for up in ["", "up"] {
        let lab = Lab::new(Network::BRIDGED);
        lab.host.ip(&format!("link add br0 {up} type bridge forward_delay 0"));
        eventually("the bridge has settled", || lab.host.ip("-6 addr show tentative").is_empty());
        let shown = || {
            let link = lab.host.ip("-d link show br0");
            let words = link.split_whitespace().skip_while(|word| *word != "link/ether").take(2);
            let addresses = lab.host.ip("-o addr show").replace(" dev br0", "");
            let routes = ["-4", "-6"].map(|family| lab.host.ip(&format!("{family} route show dev eth3")));
            (words.map(str::to_owned).collect::<Vec<_>>(), link.contains("eui64"), addresses, routes)
        };
        let before = shown();
        let (one, two) = (lab.attach(1), lab.attach(2));
        assert!(lab.host.ip("link show dev eth3").contains("master br0"));
        assert!(lab.host.ip("-d link show br0").contains("addrgenmode eui64"), "as it was");
        eventually("guests are on the LAN", || one.pings("192.168.1.25") && two.pings("fd00:1::230"));
        lab.detach(one);
        lab.detach(two);
        within(Duration::from_secs(5), || shown() == before);
        assert_eq!(shown(), before, "a bridge that was {up:?}");
        assert!(lab.host.pings("192.168.1.25") && lab.host.pings("fd00:1::25"));
    }
}

/// The bridge of a LAN makes its link-local address as ever while guests are on it, whoever sets it down and up.
#[test]
fn the_bridge_of_a_lan_keeps_its_ways() {
    let lab = Lab::new(Network::BRIDGED);
    for command in [
        "link add br0 type bridge forward_delay 0",
        "addr flush dev eth3",
        "link set eth3 master br0",
        "link set br0 up",
        "addr add 192.168.1.230/24 dev br0",
    ] {
        lab.host.ip(command);
    }
    let mac = lab.host.mac("br0");
    eventually("it has a link-local address", || lab.host.link_local("br0").is_some());
    let guest = lab.attach(1);
    lab.host.ip("link set br0 down");
    lab.host.ip("link set br0 up");
    eventually("it has one again", || lab.host.link_local("br0").is_some());
    eventually("the guest reaches it", || guest.pings("192.168.1.230"));
    lab.detach(guest);
    assert_eq!(lab.host.mac("br0"), mac);
    assert!(lab.host.ip("-d link show br0").contains("addrgenmode eui64"));
}

/// What the bridge has itself and nobody could tell from the NIC's afterwards is a reason to leave both alone.
#[test]
fn a_found_bridge_with_things_of_its_own_is_refused() {
    for command in [
        "rule add iif br0 priority 500 lookup 77",
        "nexthop add id 7 dev br0",
        "neigh add 192.168.1.7 lladdr 02:00:00:00:00:07 dev br0 nud permanent",
        "neigh add proxy 192.168.1.8 dev br0",
        "-6 route add fd00:52::/64 dev br0",
    ] {
        let lab = Lab::new(Network::BRIDGED);
        lab.host.ip("link add br0 type bridge forward_delay 0");
        // An address of its own would come only later.
        lab.host.ip("link set br0 addrgenmode none up");
        lab.host.ip(command);
        let guest = lab.boot(1);
        let before = Snapshot::of(&lab.host);
        assert!(
            lab.ifup(&guest).complains(1).contains("br0 serves others: it was there before and has a"),
            "{command}"
        );
        lab.assert_as_before(command, &before);
    }
}
