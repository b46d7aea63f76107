//! What guests are told.

use crate::dns::{A, AAAA, Answer, Resolver, ask, ask_tcp, name_of};
use crate::kit::Serving;
use crate::lab::eventually;

const HOST: &str = "10.0.100.3";
const WORLD: [u8; 4] = [198, 51, 100, 7];

fn found(answer: &str) -> Answer {
    Answer::Found(vec![answer.to_owned()])
}

#[test]
fn a_guest_gets_address_route_resolver_and_names() {
    let serving = Serving::nat();
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", WORLD);
    let one = serving.attach(1);
    let told = serving.lease(&one, "web");
    let said = |key: &str| told.get(key).map_or("", String::as_str);
    assert_eq!(said("new_routers"), HOST, "{told:?}");
    assert_eq!(said("new_subnet_mask"), "255.255.255.0");
    assert_eq!(said("new_domain_name_servers"), HOST);
    assert_eq!(said("new_domain_name"), "kvm");
    assert_eq!(said("new_domain_search").trim_end_matches('.'), "kvm");
    assert_eq!(said("new_interface_mtu"), "", "an MTU of 1500 goes without saying");
    let address = said("new_ip_address");
    assert!(address.starts_with("10.0.100.") && address != HOST, "{address}");

    assert!(one.pings_each(&["192.168.1.25".to_owned()]) == [true], "the guest is out");
    assert_eq!(ask(&one, HOST, "example.org", A), found("198.51.100.7"));
    assert_eq!(ask_tcp(&one, HOST, "host.kvm"), found(HOST));
    assert_eq!(ask(&one, HOST, "host.kvm", AAAA), found("fd00:100::3"));
    assert_eq!(ask(&one, "fd00:100::3", "host.kvm", A), found(HOST));
    assert_eq!(name_of(&one, HOST, HOST), found("host.kvm"));
    assert_eq!(ask(&one, HOST, "nobody.kvm", A), Answer::Refused(3), "the domain is not asked for outside");

    let two = serving.attach(2);
    serving.lease(&two, "db");
    assert_eq!(ask(&two, HOST, "web.kvm", A), found(address));
    assert_eq!(ask(&serving.lab.host, HOST, "web.kvm", A), found(address), "the host resolves guests, too");
    eventually("the guest has made itself an address of what was announced", || {
        one.ip("-6 addr show dev eth0 scope global").contains("fd00:100::5054:ff:fe12:3456")
    });
    assert!(one.ip("-6 route show default").contains("default via fe80::"), "{}", one.ip("-6 route"));
}

/// A resolver that comes, goes and changes, by every way in which /etc/resolv.conf is written.
#[test]
fn the_hosts_resolvers_are_followed() {
    let serving = Serving::nat();
    let host = &serving.lab.host;
    let _first = Resolver::start(&serving.lab.outside, "192.168.1.25", WORLD);
    let _second = Resolver::start(&serving.lab.other, "10.77.0.2", [203, 0, 113, 9]);
    let one = serving.attach(1);
    serving.lease(&one, "");
    let mut number = 0;
    let mut comes_to = |what: &str, wanted: &Answer| {
        eventually(what, || {
            // Another name each time: answers are kept.
            number += 1;
            ask(&one, HOST, &format!("name{number}.example.org"), A) == *wanted
        });
    };
    let (first, second, none) = (found("198.51.100.7"), found("203.0.113.9"), Answer::Refused(5));
    comes_to("the resolver of /etc/resolv.conf is asked", &first);
    serving.replace("/etc/resolv.conf", "nameserver 10.77.0.2\n");
    comes_to("a file that was put in its place is read", &second);
    host.enter(|| std::fs::write("/etc/resolv.conf", "nameserver 192.168.1.25\n").unwrap());
    comes_to("one that was written over is read", &first);
    host.enter(|| std::fs::remove_file("/etc/resolv.conf").unwrap());
    comes_to("without resolvers nothing is asked", &none);
    let stub = "/run/systemd/resolve/stub-resolv.conf";
    host.enter(|| std::os::unix::fs::symlink(format!("..{stub}"), "/etc/resolv.conf").unwrap());
    comes_to("a link to nowhere is no resolver", &none);
    host.enter(|| std::fs::create_dir_all("/run/systemd/resolve").unwrap());
    serving.replace(stub, "nameserver 127.0.0.53\n");
    comes_to("a stub is not asked", &none);
    serving.replace("/run/systemd/resolve/resolv.conf", "nameserver 192.168.1.25\n");
    comes_to("whoever is behind the stub is", &first);
    serving.replace("/run/systemd/resolve/resolv.conf", "nameserver 10.77.0.2\n");
    comes_to("and followed", &second);
    assert_eq!(ask(&one, HOST, "host.kvm", A), found(HOST));
}

/// The host's names for its guests do not make a circle: whoever writes this server into /etc/resolv.conf has the others
/// asked.
#[test]
fn a_host_that_asks_its_own_server_makes_no_circle() {
    let serving = Serving::nat();
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", WORLD);
    let one = serving.attach(1);
    serving.lease(&one, "web");
    serving.replace(
        "/etc/resolv.conf",
        "nameserver 10.0.100.3\nnameserver 192.168.1.25\noptions edns0\nsearch kvm\n",
    );
    let host = &serving.lab.host;
    let seen = |name: &str| {
        String::from_utf8_lossy(&host.try_run(&format!("getent ahostsv4 {name}")).stdout).into_owned()
    };
    eventually("the host's programs resolve a guest", || seen("web").starts_with("10.0.100."));
    eventually("and the world", || seen("example.org").starts_with("198.51.100.7"));
}

/// Whoever is outside, or on another network, is told nothing, by whatever address it asks.
#[test]
fn nobody_else_is_answered() {
    let serving = Serving::nat();
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", WORLD);
    let one = serving.attach(1);
    serving.lease(&one, "web");
    serving.lab.outside_knows_the_way();
    for address in ["192.168.1.230", "10.77.0.1", "10.99.0.1", HOST, "fd00:1::230", "fd00:100::3"] {
        assert_eq!(ask(&serving.lab.outside, address, "web.kvm", A), Answer::Silence, "{address}");
        assert_eq!(ask_tcp(&serving.lab.outside, address, "web.kvm"), Answer::Silence, "{address}");
    }
    let listens = serving.lab.host.run("ss -lntuH");
    let is_private = |line: &&str| {
        let local = line.split_whitespace().nth(4).unwrap();
        ["10.0.100.3:53", "[fd00:100::3]:53", "0.0.0.0%br0:67", "[::]%br0:547"].contains(&local)
            || local.ends_with("%br0:53")
    };
    assert!(listens.lines().all(|line| is_private(&line)), "{listens}");
}

#[test]
fn a_smaller_mtu_is_told() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    assert_eq!(serving.lease(&one, "").get("new_interface_mtu"), None);
    let server = serving.dnsmasq();
    serving.lab.host.ip("link set eth3 mtu 1400");
    eventually("the server is told", || serving.processes("dnsmasq").iter().all(|pid| *pid != server));
    assert_eq!(serving.lease(&one, "")["new_interface_mtu"], "1400");
    eventually("the guest sends no larger IPv6 packets", || {
        one.read_sysctl("ipv6/conf/eth0/mtu").is_some_and(|mtu| mtu == "1400")
    });
}

/// Another server has port 53 of every address, or of the loopback.
#[test]
fn beside_another_server() {
    let serving = Serving::nat();
    let bind = |address: &str| {
        let address: std::net::IpAddr = address.parse().unwrap();
        serving.lab.host.enter(|| {
            let sockets =
                (std::net::UdpSocket::bind((address, 53)), std::net::TcpListener::bind((address, 53)));
            (sockets.0.unwrap(), sockets.1.unwrap())
        })
    };
    let stub = bind("127.0.0.53");
    let one = serving.attach(1);
    assert_eq!(serving.lease(&one, "")["new_domain_name_servers"], HOST);
    serving.lab.ifdown(&one).ok();
    serving.assert_ends();
    drop(stub);
    let everywhere = bind("0.0.0.0");
    serving.lab.ifup(&one).ok();
    let told = serving.lease(&one, "");
    assert_eq!(told["new_domain_name_servers"], "192.168.1.25", "the host's own resolver");
    drop(everywhere);
    eventually("the port is taken as soon as it is free", || ask(&one, HOST, "host.kvm", A) == found(HOST));
    assert_eq!(serving.lease(&one, "")["new_domain_name_servers"], HOST);
}
