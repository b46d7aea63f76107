//! Hosts whose firewalld is shown what passes from port to port of a bridge, as beside Docker.

use std::fs;
use std::time::Duration;

use super::{Firewalld, bridges_in_sets, call, files, has_zones, zone};
use crate::lab::{Cli, Guest, Lab, Listener, Network, Place, eventually, within};
use crate::neighbour::{Neighbour, applied};

/// Waits until its sets have these bridges.
#[track_caller]
fn has_sets(lab: &Lab, [first, second]: [&str; 2], what: &str) {
    let expected = [first, first, second, second];
    within(Duration::from_secs(30), || bridges_in_sets(lab) == expected);
    assert_eq!(bridges_in_sets(lab), expected, "{what}: kvmnet's sets");
}

/// firewalld's own filter of IPv6 by routes back is off: to bridges by which the host does not take part it has none.
fn ipv6_needs_no_route(lab: &Lab) {
    lab.host.run("sed -i s/^IPv6_rpfilter=.*/IPv6_rpfilter=no/ /etc/firewalld/firewalld.conf");
}

fn pings_both(guest: &Guest, [v4, v6]: [&str; 2]) -> bool {
    guest.pings(v4) && guest.pings(v6)
}

/// What `kvmnet check` says.
fn checked(lab: &Lab) -> String {
    Cli::new(&lab.host, &["check"]).run().out
}

/// The commands that it names for what frames pass.
fn told(lab: &Lab) -> Vec<String> {
    let said = Cli::new(&lab.host, &["check", "--json"]).run();
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("check prints JSON");
    let findings = report["findings"].as_array().into_iter().flatten();
    let about_frames = findings.filter(|one| one["severity"] == "problem" && one["kind"] == "br-netfilter");
    let commands = about_frames.flat_map(|one| one["fix"].as_array().into_iter().flatten());
    commands.filter_map(|command| command.as_str().map(str::to_owned)).collect()
}

fn drops(lab: &Lab) -> bool {
    checked(lab).contains("which drops them")
}

/// firewalld 2 asks no policy about what its default zone catches on both sides: `kvmnet check` says what opens it, and that is typed.
/// Whether that was needed.
pub fn typed_for_firewalld_2(lab: &Lab) -> bool {
    let is_2 = !lab.host.run("firewall-cmd --version").starts_with('1');
    if is_2 {
        let commands = told(lab).join("\n");
        lab.host.enter(|| fs::write("/run/lab/told", commands)).expect("a private file can be written");
        lab.host.run("sh -e /run/lab/told");
    }
    is_2
}

/// Guests of a bridged network talk to each other and to the LAN, both ways.
#[track_caller]
fn is_on_the_lan(lab: &Lab, [one, two]: [&Guest; 2], what: &str) {
    let to = lab.network.guest(2);
    eventually("guests answer one another", || pings_both(one, [&to.v4, &to.v6]));
    eventually("the LAN answers", || pings_both(one, ["192.168.1.25", "fd00:1::25"]));
    let mut service = Listener::on(two);
    lab.outside.send(&to.v4, "four");
    lab.outside.send(&to.v6, "six");
    within(Duration::from_secs(5), || service.has_heard("four") && service.has_heard("six"));
    assert!(service.has_heard("four") && service.has_heard("six"), "{what}: from the LAN");
    let mut host = Listener::on(&lab.host);
    one.send("192.168.1.230", "from a guest");
    lab.outside.send("192.168.1.230", "from the LAN");
    assert!(!within(Duration::from_millis(300), || host.has_heard("from")), "{what}: the host's ports");
}

/// A bridged network's bridge is in firewalld's default zone, where nothing but frames inside it is let through for that.
#[test]
fn bridged_guests_are_on_the_lan() {
    let lab = Lab::new(Network::BRIDGED);
    lab.bridged_frames_pass_firewall(true);
    let firewalld = Firewalld::start(&lab);
    let before = files(&lab);
    assert!(!drops(&lab), "they will be let through");
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    lab.host_forwards_for_others();
    has_sets(&lab, ["br0", ""], "guests");
    if typed_for_firewalld_2(&lab) {
        is_on_the_lan(&lab, [&one, &two], "typed");
        assert!(!drops(&lab), "typed");
        return;
    }
    for when in ["guests", "reloaded"] {
        has_sets(&lab, ["br0", ""], when);
        is_on_the_lan(&lab, [&one, &two], when);
        assert!(!drops(&lab), "{when}");
        for address in ["192.168.1.25", "fd00:1::25", "192.168.1.67", "fd00:1::67"] {
            assert!(!lab.other.pings(address), "{when}: nothing is routed to {address}");
        }
        call(&lab, "", "reload", "");
    }
    assert_eq!(zone(&lab, "public"), "as 0\n", "no zone of others has more");
    [one, two].into_iter().for_each(|guest| lab.detach(guest));
    has_sets(&lab, ["", ""], "no guest");
    firewalld.has_heard(&lab, false, "no guest");
    assert_eq!(files(&lab), before, "its files");
    assert!(!lab.host.enter(|| fs::exists("/etc/firewalld/zones/public.xml").unwrap()), "no copy of a zone");
}

/// Docker, which starts after the guests, is followed by `kvmnet apply`; and what is not needed any more goes.
#[test]
fn frames_pass_where_the_switch_is_set_later() {
    let lab = Lab::new(Network::BRIDGED);
    let _firewalld = Firewalld::start(&lab);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    applied(&lab);
    has_sets(&lab, ["", ""], "nothing is shown to firewalld");
    lab.bridged_frames_pass_firewall(true);
    let to = lab.network.guest(2);
    assert!(!one.pings(&to.v4), "the control: firewalld rejects frames");
    assert_eq!(told(&lab), ["kvmnet apply", "kvmnet apply"], "one for each family");
    applied(&lab);
    has_sets(&lab, ["br0", ""], "applied");
    if typed_for_firewalld_2(&lab) {
        is_on_the_lan(&lab, [&one, &two], "typed");
        return;
    }
    is_on_the_lan(&lab, [&one, &two], "applied");
    lab.bridged_frames_pass_firewall(false);
    applied(&lab);
    has_sets(&lab, ["", ""], "switched off");
}

/// By the bridge's own switch as well.
#[test]
fn frames_pass_where_the_bridge_alone_shows_them() {
    let lab = Lab::new(Network::BRIDGED);
    let _firewalld = Firewalld::start(&lab);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    for family in ["iptables", "ip6tables"] {
        lab.host.run(&format!("ip link set br0 type bridge nf_call_{family} 1"));
    }
    assert!(!one.pings(&lab.network.guest(2).v4), "the control: firewalld rejects frames");
    applied(&lab);
    has_sets(&lab, ["br0", ""], "applied");
    lab.bridged_frames_pass_firewall(true);
    typed_for_firewalld_2(&lab);
    lab.bridged_frames_pass_firewall(false);
    is_on_the_lan(&lab, [&one, &two], "applied");
}

/// Each of two LANs has a set of its own: nothing is let through between them.
#[test]
fn two_bridged_networks_stay_apart() {
    let second = Network { uplink: "uplink = \"eth4\"\n", ..Network::BRIDGED };
    let lab = Lab::new(Network::BRIDGED);
    lab.write_config(&[Network::BRIDGED.config(), second.lab_table()].concat());
    lab.bridged_frames_pass_firewall(true);
    let firewalld = Firewalld::start(&lab);
    lab.outside_knows_the_way();
    lab.host_forwards_for_others();
    let one = lab.attach(1);
    let place = Place {
        v4: "10.77.0.9".to_owned(),
        v6: "fd00:77::9".to_owned(),
        gateway4: "10.77.0.1".to_owned(),
        gateway6: "fd00:77::1".to_owned(),
        ..Place::in_lab(1)
    };
    let two = lab.boot_at(&place);
    lab.ifup(&two).ok();
    lab.settle();
    lab.settle_bridge("br-lab");
    has_sets(&lab, ["br-lab", "br0"], "two networks");
    let is_typed = typed_for_firewalld_2(&lab);
    eventually("the first LAN answers", || pings_both(&one, ["192.168.1.25", "fd00:1::25"]));
    eventually("the second LAN answers", || pings_both(&two, ["10.77.0.2", "fd00:77::2"]));
    if is_typed {
        // One zone has both.
        return;
    }
    for address in ["192.168.1.25", "fd00:1::25", "192.168.1.67", "fd00:1::67"] {
        assert!(!lab.other.pings(address), "from one LAN to the other: {address}");
        assert!(!two.pings(address), "from a guest to the other LAN: {address}");
    }
    lab.detach(two);
    has_sets(&lab, ["br0", ""], "one network");
    eventually("the LAN answers", || pings_both(&one, ["192.168.1.25", "fd00:1::25"]));
    firewalld.remove(&lab);
    eventually("the control: the host routes", || lab.other.pings("192.168.1.25"));
}

/// A bridge that was put into a zone is let through there, or not: `kvmnet check` names the zone.
#[test]
fn a_bridge_in_a_zone_is_its_owners_choice() {
    let lab = Lab::new(Network::BRIDGED);
    lab.bridged_frames_pass_firewall(true);
    let _firewalld = Firewalld::start(&lab);
    lab.host.run("firewall-cmd --permanent --zone=dmz --remove-forward");
    lab.host.run("firewall-cmd --permanent --zone=dmz --add-interface=br0");
    lab.host.run("firewall-cmd --reload");
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    applied(&lab);
    has_sets(&lab, ["", ""], "its owner has chosen");
    assert!(!one.pings(&lab.network.guest(2).v4), "dmz does not forward");
    // One finding a family.
    let mut commands = told(&lab);
    commands.dedup();
    let expected = ["firewall-cmd --permanent --zone=dmz --add-forward", "firewall-cmd --reload"];
    assert_eq!(commands[..2], expected, "{commands:?}");
    assert!(!commands.contains(&"kvmnet apply".to_owned()), "{commands:?}");
    commands[..2].iter().for_each(|command| drop(lab.host.run(command)));
    is_on_the_lan(&lab, [&one, &two], "opened as told");
    assert!(!drops(&lab));
}

/// A bridge that its owner made is not put into a zone, and what passes inside it is let through all the same.
#[test]
fn guests_of_a_bridge_that_was_found_talk() {
    for (network, zones) in [(Network::ISOLATED, ["", "", ""]), (Network::NAT_VETH, ["veth1.1", "", ""])] {
        let lab = Lab::new(network);
        lab.bridged_frames_pass_firewall(true);
        ipv6_needs_no_route(&lab);
        let _firewalld = Firewalld::start(&lab);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("link set br0 up");
        let (one, two) = (lab.attach(1), lab.attach(2));
        let to = network.guest(2);
        has_sets(&lab, ["br0", ""], network.mode);
        has_zones(&lab, zones, network.mode);
        let is_typed = typed_for_firewalld_2(&lab);
        eventually("guests answer one another", || pings_both(&one, [&to.v4, &to.v6]));
        assert!(!drops(&lab), "{}", checked(&lab));
        [one, two].into_iter().for_each(|guest| lab.detach(guest));
        has_sets(&lab, ["", ""], "no guest");
        assert!(is_typed || !files(&lab).contains("br0"));
    }
}

/// Ports of a bridge that is somebody else's altogether: nothing of kvmnet's is told, and `kvmnet check` says what opens it.
#[test]
fn ports_of_somebodys_bridge_are_told_of() {
    let lab = Lab::new(Network { uplink: "uplink = \"none\"\n", ..Network::BRIDGED });
    lab.bridged_frames_pass_firewall(true);
    ipv6_needs_no_route(&lab);
    let _firewalld = Firewalld::start(&lab);
    for command in ["link add br0 type bridge", "link set br0 up", "link set eth3 master br0"] {
        lab.host.ip(command);
    }
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle_bridge("br0");
    let to = lab.network.guest(2);
    assert!(!one.pings(&to.v4), "the control: firewalld rejects frames");
    let mut commands = told(&lab);
    commands.dedup();
    lab.host
        .enter(|| fs::write("/run/lab/told", commands.join("\n")))
        .expect("a private file can be written");
    lab.host.run("sh -e /run/lab/told");
    eventually("guests answer one another", || pings_both(&one, [&to.v4, &to.v6]));
    eventually("the LAN answers", || pings_both(&one, ["192.168.1.25", "fd00:1::25"]));
    assert!(!drops(&lab), "{}", checked(&lab));
}

/// The same on a LAN where the host itself has no IPv6.
#[test]
fn its_filter_by_routes_is_named_where_the_host_has_no_ipv6() {
    let lab = Lab::new(Network::BRIDGED);
    lab.bridged_frames_pass_firewall(true);
    let _firewalld = Firewalld::start(&lab);
    let (one, _two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    applied(&lab);
    typed_for_firewalld_2(&lab);
    lab.host.sysctl("ipv6/conf/br0/disable_ipv6", "1");
    let to = lab.network.guest(2).v6;
    assert!(!one.pings(&to), "the control, it is dropped");
    assert!(checked(&lab).contains("IPv6_rpfilter"), "{}", checked(&lab));
    told(&lab).iter().for_each(|command| drop(lab.host.run(command)));
    eventually("guests answer by IPv6", || one.pings(&to));
}

/// firewalld drops IPv6 from where it has no route back: `kvmnet check` says so where a bridge is such a place, and how to have it
/// otherwise.
#[test]
fn its_filter_by_routes_is_named_where_it_bites() {
    let names = |lab: &Lab| checked(lab).contains("IPv6_rpfilter");
    for (network, shown, is_named) in [
        (Network::ISOLATED, true, true),
        (Network::HOST_ONLY_VETH, true, true),
        (Network::ISOLATED, false, false),
        (Network::NAT, true, false),
        (Network::BRIDGED, true, false),
    ] {
        let lab = Lab::new(network);
        lab.bridged_frames_pass_firewall(shown);
        let _firewalld = Firewalld::start(&lab);
        let (one, _two) = (lab.attach(1), lab.attach(2));
        applied(&lab);
        lab.settle();
        let to = network.guest(2).v6;
        if network.mode == "bridged" {
            typed_for_firewalld_2(&lab);
        }
        if !is_named {
            eventually("guests answer by IPv6", || one.pings(&to));
        } else {
            assert!(!one.pings(&to), "{network:?}: the control, it is dropped");
        }
        assert_eq!(names(&lab), is_named, "{network:?}: {}", checked(&lab));
        told(&lab).iter().for_each(|command| drop(lab.host.run(command)));
        eventually("guests answer by IPv6", || one.pings(&to));
        assert!(!names(&lab), "{}", checked(&lab));
    }
}

/// Where br_netfilter shows firewalld what passes from port to port, guests of a bridge talk by which the host does not take part.
#[test]
fn guests_of_a_bridge_without_the_host_talk() {
    for network in [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::NAT_VETH] {
        let lab = Lab::new(network);
        lab.bridged_frames_pass_firewall(true);
        ipv6_needs_no_route(&lab);
        let firewalld = Firewalld::start(&lab);
        assert!(!drops(&lab), "they will be let through");
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        let to = network.guest(2);
        for when in ["a guest", "reloaded"] {
            firewalld.has_heard(&lab, true, when);
            eventually("guests answer one another", || one.pings(&to.v4) && one.pings(&to.v6));
            assert!(!drops(&lab), "{when}");
            call(&lab, "", "reload", "");
        }
        [one, two].into_iter().for_each(|guest| lab.detach(guest));
        firewalld.has_heard(&lab, false, "no guest");
    }
}
