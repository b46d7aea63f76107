//! `address = "auto"`, which is built in: the host takes subnets that nothing else uses, and keeps them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Conversation, Guest, Lab, Network, Place, Snapshot, TcpServer, eventually};

/// A lab whose host has no configuration file.
fn unconfigured() -> Lab {
    let lab = Lab::new(Network::NAT_BY_ROUTES);
    lab.host.run("rm /etc/kvmnet.conf");
    lab
}

/// The host's addresses on a bridge, link-local ones left out: IPv4, then IPv6.
fn addresses(lab: &Lab, bridge: &str) -> Vec<String> {
    let shown = lab.host.ip(&format!("-o addr show dev {bridge} scope global"));
    let words = shown.lines().filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned));
    words.collect()
}

/// A guest in the subnets of which these are the host's addresses, with the host as its gateway.
fn guest_in(lab: &Lab, number: u8, tap: &str, addresses: &[String]) -> Guest {
    let host = |at: usize, none: &str| {
        let address = addresses.get(at).map_or(none, |net| net.split_once('/').unwrap().0);
        address.to_owned()
    };
    let (gateway4, gateway6) = (host(0, "10.9.9.3"), host(1, "fd99::3"));
    let own = |gateway: &str| format!("{}{number}", gateway.strip_suffix('3').unwrap());
    lab.boot_at(&Place {
        tap: tap.to_owned(),
        mac: format!("52:54:00:12:35:0{number}"),
        v4: own(&gateway4),
        v6: own(&gateway6),
        gateway4,
        gateway6,
    })
}

/// Brings a network up by its first guest, whose addresses nobody needs.
fn bring_up(lab: &Lab, tap: &str) -> Guest {
    let guest = guest_in(lab, 9, tap, &[]);
    lab.ifup(&guest).ok();
    guest
}

/// A text without regard to where its lines end.
fn words(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Nothing is configured: both families, out to the world as the host, and all is given back.
#[test]
fn the_default_is_dual_stack() {
    let lab = unconfigured();
    let before = Snapshot::of(&lab.host);
    let first = bring_up(&lab, "vif0.0");
    lab.settle();
    let chosen = addresses(&lab, "br0");
    assert_eq!((chosen.len(), chosen[0].as_str()), (2, "10.0.100.3/24"), "{chosen:?}");
    assert!(chosen[1].starts_with("fd") && chosen[1].ends_with(":100::3/64"), "{chosen:?}");
    let one = guest_in(&lab, 1, "vif1.0", &chosen);
    lab.ifup(&one).ok();
    for address in ["10.0.100.3", &chosen[1].replace("/64", ""), "198.51.100.7", "fd00:51::7"] {
        assert!(one.pings(address), "{address} answers, which knows no way back to the guest");
    }
    let own = chosen[1].replace("::3/64", "::1");
    lab.outside_knows_the_way();
    lab.outside.ip(&format!("-6 route add {own} via fd00:1::230"));
    assert!(!lab.outside.pings(&own) && !lab.outside.pings("10.0.100.1"), "in comes only what was asked for");
    lab.detach(one);
    lab.detach(first);
    lab.assert_as_before("the guests came and went", &before);
}

/// A VPN's route, in whatever table, and of both families: the default works all the same, each time in the same way.
#[test]
fn a_subnet_that_is_taken_is_left_alone() {
    let lab = unconfigured();
    let usual = {
        let _guest = bring_up(&lab, "vif0.0");
        addresses(&lab, "br0")
    };
    Cli::new(&lab.host, &["gc"]).run().ok();
    let own_prefix = usual[1].replace("::3/64", "::/64");
    lab.host.ip("route add 10.0.0.0/16 via 10.77.0.2 dev eth4 table 77");
    lab.host.ip("addr add 10.1.100.200/32 dev lo");
    lab.host.ip(&format!("-6 route add {own_prefix} via fd00:77::2 dev eth4 table 77"));
    let before = Snapshot::of(&lab.host);
    for _ in 0..2 {
        let first = bring_up(&lab, "vif0.0");
        lab.settle();
        let chosen = addresses(&lab, "br0");
        assert_eq!((chosen.len(), chosen[0].as_str()), (2, "10.2.100.3/24"), "{chosen:?}");
        assert_eq!(chosen[1], usual[1].replace(":100::3", ":101::3"));
        let one = guest_in(&lab, 1, "vif1.0", &chosen);
        lab.ifup(&one).ok();
        assert!(one.pings("198.51.100.7") && one.pings("fd00:51::7"));
        lab.detach(one);
        lab.detach(first);
        lab.assert_as_before("the guests came and went", &before);
    }
}

/// A route that leads nowhere takes the answers to guests as a VPN's does, unless it is wider than their subnet: those are what
/// keeps private addresses off the Internet.
#[test]
fn what_leads_nowhere_is_no_place_for_guests() {
    let lab = unconfigured();
    lab.host.ip("route add unreachable 10.0.0.0/8");
    lab.host.ip("route add blackhole 10.0.100.0/24");
    lab.host.ip("route add prohibit 10.0.101.128/25 table 77");
    let first = bring_up(&lab, "vif0.0");
    lab.settle();
    let chosen = addresses(&lab, "br0");
    assert_eq!(chosen[0], "10.0.102.3/24", "{chosen:?}");
    let one = guest_in(&lab, 1, "vif1.0", &chosen);
    lab.ifup(&one).ok();
    assert!(one.pings("10.0.102.3") && one.pings("198.51.100.7"));
    lab.host.ip("route prepend unreachable 10.0.102.0/24");
    assert!(!one.pings("198.51.100.7"), "this is what it is about");
    let status = words(Cli::new(&lab.host, &["status"]).run().ok());
    assert!(status.contains("collides with the route unreachable 10.0.102.0/24"), "{status:?}");
    lab.detach(one);
    lab.detach(first);
}

/// Where everything private is routed into a VPN there is still a subnet; where that is, too, it is said.
#[test]
fn nothing_private_is_free() {
    let lab = unconfigured();
    for net in ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] {
        lab.host.ip(&format!("route add {net} via 10.77.0.2 dev eth4"));
    }
    lab.host.ip("-6 route add fc00::/7 via fd00:77::2 dev eth4");
    let first = bring_up(&lab, "vif0.0");
    lab.settle();
    assert_eq!(addresses(&lab, "br0"), ["198.19.200.3/24"], "no IPv6 where that has no free subnet");
    let one = guest_in(&lab, 1, "vif1.0", &addresses(&lab, "br0"));
    lab.ifup(&one).ok();
    assert!(one.pings("198.51.100.7"));
    lab.detach(one);
    lab.detach(first);
    lab.host.ip("route add 198.18.0.0/15 via 10.77.0.2 dev eth4");
    let before = Snapshot::of(&lab.host);
    let two = guest_in(&lab, 2, "vif0.0", &[]);
    let ran = lab.ifup(&two);
    let line = ran.complains(1);
    assert!(line.contains("network default finds no free subnet") && line.contains("10.0.0.0/8"), "{line}");
    let check = Cli::new(&lab.host, &["check"]).run();
    assert!(check.out.contains("finds no free subnet"), "{check:?}");
    drop(two);
    lab.assert_as_before("nothing was done", &before);
}

/// Two networks that choose have the same addresses in whatever order they come up, and leave those alone that are only in
/// the file.
#[test]
fn the_order_of_networks_does_not_matter() {
    let file = "[network.lab]\ntaps = [\"lab*\"]\nbridge = \"br-lab\"\naddress = \"auto\"\nmode = \"host-only\"\n\
                [network.third]\nbridge = \"br3\"\naddress = \"10.0.100.3/24\"\ntaps = [\"third*\"]\n";
    let chosen = |order: [&str; 2]| {
        let lab = Lab::new(Network::NAT);
        lab.write_config(file);
        let guests: Vec<Guest> = order.iter().map(|tap| bring_up(&lab, tap)).collect();
        let chosen = [addresses(&lab, "br0"), addresses(&lab, "br-lab")];
        // What the third has in the file is free for it.
        let third = bring_up(&lab, "third0");
        assert_eq!(addresses(&lab, "br3"), ["10.0.100.3/24"]);
        drop((guests, third));
        chosen
    };
    let one = chosen(["vif0.0", "lab0"]);
    assert_eq!(one, chosen(["lab0", "vif0.0"]));
    assert_eq!(one[0][0], "10.0.101.3/24");
    assert!(one.concat().len() == 4 && one[0] != one[1], "{one:?}");
}

/// A host from before there was a choice: its guests stay where they are, and get IPv6 beside it.
#[test]
fn a_network_of_the_older_default_goes_on() {
    let lab = unconfigured();
    lab.write_config("address = \"10.0.100.3/24\"\n");
    let one = lab.attach(1);
    lab.settle();
    let conversation = Conversation::start(&one, &TcpServer::on(&lab.outside), "192.168.1.25");
    conversation.await_turns(10);
    lab.host.run("rm /etc/kvmnet.conf");
    let two = lab.attach(2);
    conversation.await_turns(20);
    conversation.finish();
    lab.settle();
    let chosen = addresses(&lab, "br0");
    assert!(chosen.len() == 2 && chosen[0] == "10.0.100.3/24", "{chosen:?}");
    assert!(two.pings("10.0.100.1") && one.pings("198.51.100.7"));
    // From there on nothing changes, whatever comes.
    lab.host.ip("route add 10.0.0.0/8 via 10.77.0.2 dev eth4");
    let plan = Cli::new(&lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(plan.contains("nothing to do") && plan.contains(&chosen[1]), "{plan}");
    let check = words(Cli::new(&lab.host, &["check"]).run().out);
    assert!(check.contains("10.0.100.0/24 collides with the route 10.0.0.0/8 over eth4"), "{check:?}");
    assert!(check.contains("it takes a free subnet when it comes up anew"), "{check:?}");
    let status = words(Cli::new(&lab.host, &["status"]).run().ok());
    assert!(
        status.contains("chosen as free") && status.contains("the route 10.0.0.0/8 over eth4"),
        "{status}"
    );
    let json = Cli::new(&lab.host, &["status", "--json"]).run().ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["networks"][0]["addresses_by"], "choice");
    lab.ifup(&one).ok();
    assert_eq!(addresses(&lab, "br0"), chosen);
}

/// An address that somebody deleted comes back, and no other.
#[test]
fn what_was_chosen_heals() {
    let lab = unconfigured();
    lab.host.ip("route add 10.0.100.0/24 via 10.77.0.2 dev eth4");
    let one = bring_up(&lab, "vif0.0");
    lab.settle();
    let chosen = addresses(&lab, "br0");
    lab.host.ip("route del 10.0.100.0/24 via 10.77.0.2 dev eth4");
    for net in &chosen {
        lab.host.ip(&format!("addr del {net} dev br0"));
        lab.ifup(&one).ok();
        eventually("it is back", || addresses(&lab, "br0").contains(net));
    }
    // A bridge that is gone: its table knows what its guests had.
    lab.host.ip("link del br0");
    lab.ifup(&one).ok();
    assert_eq!(addresses(&lab, "br0"), chosen);
}

/// IPv6 is off for new interfaces, or could not be forwarded: IPv4 alone.
#[test]
fn a_host_without_ipv6() {
    let off: [fn(&Lab); 3] = [
        |lab| lab.host.sysctl("ipv6/conf/default/disable_ipv6", "1"),
        |lab| lab.host.sysctl("ipv6/conf/all/disable_ipv6", "1"),
        |lab| {
            lab.host.run("mount --bind /proc/sys /proc/sys");
            lab.host.run("mount -o remount,ro,bind /proc/sys");
        },
    ];
    for (case, switch_off) in off.iter().enumerate() {
        let lab = unconfigured();
        switch_off(&lab);
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        eventually("the bridge carries", || lab.host.ip("link show br0").contains("state UP"));
        assert_eq!(addresses(&lab, "br0"), ["10.0.100.3/24"], "{case}");
        assert!(one.pings("10.0.100.3") && one.pings("198.51.100.7"), "{case}");
        let plan = Cli::new(&lab.host, &["plan", one.tap()]).run().ok();
        assert!(plan.contains("nothing to do"), "{case}: {plan}");
        let check = Cli::new(&lab.host, &["check"]).run();
        assert!(!check.out.contains("IPv6") && !check.out.contains("left to do"), "{case}: {check:?}");
        lab.detach(one);
        lab.assert_as_before("the guest came and went", &before);
    }
}

/// A laptop has its IPv6 address and its route by a router's announcements: before, with a guest, and afterwards.
#[test]
fn the_hosts_own_ipv6_goes_on() {
    let lab = unconfigured();
    lab.host.ip("-6 addr del fd00:1::230/64 dev eth3");
    lab.host.ip("-6 route flush default");
    let arguments = [
        "--no-daemon",
        "--port=0",
        "--interface=eth0",
        "--leasefile-ro",
        "--pid-file=",
        "--conf-file=/dev/null",
        "--enable-ra",
        "--dhcp-range=fd00:1::,ra-only,64,30m",
    ];
    let router = lab.outside.start("dnsmasq", &arguments);
    let announced = || {
        let address = lab.host.ip("-6 -o addr show dev eth3 scope global dynamic");
        address.contains("fd00:1:") && lab.host.ip("-6 route show default").contains("proto ra")
    };
    eventually("the host has what the router announces", announced);
    let one = bring_up(&lab, "vif0.0");
    lab.settle();
    assert!(announced() && lab.host.pings("fd00:51::7"), "with a guest");
    lab.host.ip("-6 route flush default");
    lab.host.ip("-6 addr flush dev eth3 scope global");
    drop(router);
    let _router = lab.outside.start("dnsmasq", &arguments);
    eventually("it goes on listening to the router", announced);
    let chosen = addresses(&lab, "br0");
    let two = guest_in(&lab, 2, "vif1.0", &chosen);
    lab.ifup(&two).ok();
    eventually("a guest goes by it", || two.pings("fd00:51::7"));
    lab.detach(two);
    lab.detach(one);
    assert!(announced() && lab.host.pings("fd00:51::7"), "without");
}

/// A host whose provider has no IPv6: nothing is wrong with that.
#[test]
fn a_host_with_ipv4_alone() {
    let lab = unconfigured();
    lab.host.ip("-6 route flush default");
    let first = bring_up(&lab, "vif0.0");
    lab.settle();
    let one = guest_in(&lab, 1, "vif1.0", &addresses(&lab, "br0"));
    lab.ifup(&one).ok();
    assert!(one.pings("198.51.100.7") && one.pings(&addresses(&lab, "br0")[1].replace("/64", "")));
    let check = Cli::new(&lab.host, &["check"]).run().out;
    assert!(!check.contains("IPv6") && !check.contains("default route"), "{check}");
    drop((first, one));
}

/// One VM's own bridge beside the others', with nothing else said: it chooses another subnet.
#[test]
fn an_override_gets_a_subnet_of_its_own() {
    let lab = unconfigured();
    let one = bring_up(&lab, "vif0.0");
    let two = guest_in(&lab, 2, "vif1.0", &[]);
    lab.hook("/etc/qemu-ifup", &two).env("KVMNET_BRIDGE", "br9").run().ok();
    assert_eq!(addresses(&lab, "br0")[0], "10.0.100.3/24");
    assert_eq!(addresses(&lab, "br9")[0], "10.0.101.3/24");
    drop((one, two));
}
