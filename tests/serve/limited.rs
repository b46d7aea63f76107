//! Guests that reach of the host nothing but what serves them, or not even that.

use crate::dns::{A, Answer, Resolver, ask, ask_tcp};
use crate::kit::Serving;
use crate::lab::{Cli, Network, TcpServer, eventually};

const HOST: &str = "10.0.100.3";

fn config(access: &str) -> String {
    format!("{}port_isolation = true\nhost = \"{access}\"\n", Network::NAT.config())
}

/// Address, route, router advertisements and names come; a program of the host's is not reached.
#[test]
fn services_are_what_serves() {
    let serving = Serving::configured(&config("services"));
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let _program = TcpServer::on(&serving.lab.host);
    let one = serving.attach(1);
    // An address that is kept is asked for by DHCPv6.
    let hook = serving.lab.hook("/etc/qemu-ifup", &one).env("KVMNET_GUEST_MAC", "52:54:00:12:34:56");
    hook.env("KVMNET_GUEST_ADDRESS", "10.0.100.77 fd00:100::77").run().ok();
    assert!(serving.lease(&one, "web")["new_ip_address"].starts_with("10.0.100."));
    assert_eq!(ask(&one, HOST, "example.org", A), Answer::Found(vec!["198.51.100.7".to_owned()]));
    assert_eq!(ask_tcp(&one, HOST, "host.kvm"), Answer::Found(vec![HOST.to_owned()]));
    eventually("the guest has made itself an address of what was announced", || {
        one.ip("-6 addr show dev eth0 scope global").contains("fd00:100::5054:ff:fe12:3456")
            && one.ip("-6 route show default").contains("default via fe80::")
    });
    assert_eq!(ask(&one, "fd00:100::3", "host.kvm", A), Answer::Found(vec![HOST.to_owned()]));
    assert!(serving.lease6(&one).is_some(), "DHCPv6 answers");
    assert!(one.pings("192.168.1.25") && one.pings("fd00:1::25") && one.pings(HOST));
    assert!(one.open(HOST).is_err(), "a program of the host's");
    let two = serving.attach(2);
    let other = serving.lease(&two, "db")["new_ip_address"].clone();
    assert!(!one.pings(&other), "guests are kept apart");
    assert_eq!(ask(&one, HOST, "db.kvm", A), Answer::Found(vec![other]), "and know of each other");
    serving.lab.write_config(&config("all"));
    Cli::new(&serving.lab.host, &["apply", "--yes"]).run().ok();
    assert!(one.open(HOST).is_ok(), "it is reached with \"all\"");
}

/// Whoever served ends when nothing is to be reached, and comes again.
#[test]
fn nobody_serves_where_nothing_is_reached() {
    let serving = Serving::configured(&config("services"));
    let one = serving.attach(1);
    serving.lease(&one, "web");
    serving.lab.write_config(&config("none"));
    Cli::new(&serving.lab.host, &["apply", "--yes"]).run().ok();
    serving.assert_ends();
    assert!(!serving.try_lease_soon(&one));
    assert!(!one.pings(HOST) && one.pings("192.168.1.25"), "the guest has its address, and is out");
    serving.lab.write_config(&config("services"));
    serving.lab.ifup(&one).ok();
    serving.lease(&one, "web");
}
