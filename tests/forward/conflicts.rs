//! Who has a port keeps it, and is named.

use std::net::{TcpListener, UdpSocket};

use crate::lab::{Lab, Network, Place};
use crate::service::{Protocol, Service, seen_as};
use crate::{PORT, attach, hook, lab_with};

#[test]
fn another_guest_has_the_port() {
    let (lab, _one, two) = lab_with(Network::NAT, "2222:22 127.0.0.1:8080:80 3000-3010:3000");
    let refused = [
        ("2222:22", "tcp port 2222 is forwarded to vif0.0"),
        ("127.0.0.1:2222:22", "tcp port 2222 is forwarded to vif0.0"),
        ("8080:80", "tcp port 8080 of 127.0.0.1 is forwarded to vif0.0"),
        ("2990-3000:1", "tcp port 3000 is forwarded to vif0.0"),
    ];
    for (forward, why) in refused {
        let ran = hook(&lab, &two, 2, forward).run();
        assert!(ran.complains(1).contains(why), "{forward}: {}", ran.stderr);
    }
    hook(&lab, &two, 2, "udp/2222:22 2223:22 127.0.0.2:8080:80 3011:3000").run().ok();
}

#[test]
fn a_guest_of_another_network_has_the_port() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ROUTED.lab_table()));
    let _one = attach(&lab, 1, "2222:22");
    let three = lab.boot_at(&Place::in_lab(1));
    let hook = lab
        .hook("/etc/qemu-ifup", &three)
        .env("KVMNET_GUEST_ADDRESS", "10.0.200.1")
        .env("KVMNET_FORWARD", "2222:22");
    assert!(hook.run().complains(1).contains("tcp port 2222 is forwarded to vif0.0"));
}

#[test]
fn a_program_has_the_port() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    let sockets = lab.host.enter(|| {
        let tcp = TcpListener::bind("0.0.0.0:22").unwrap();
        let (udp, six) = (UdpSocket::bind("[::]:54").unwrap(), TcpListener::bind("[::1]:80").unwrap());
        (tcp, udp, six, TcpListener::bind("127.0.0.1:81").unwrap())
    });
    let name = format!("(pid {}) listens on ", std::process::id());
    let refused = [
        ("22:22", "0.0.0.0:22"),
        ("192.168.1.230:22:22", "0.0.0.0:22"),
        ("udp/54:53", "udp [::]:54"),
        ("udp/192.168.1.230:54:53", "udp [::]:54"),
        ("80:80", "[::1]:80"),
        ("70-90:80", "listens on "),
        ("81:81", "127.0.0.1:81"),
    ];
    for (forward, address) in refused {
        let ran = hook(&lab, &one, 1, forward).run();
        let line = ran.complains(1);
        assert!(line.contains(&name) && line.contains(address), "{forward}: {line}");
    }
    // Nothing of theirs is taken by these.
    hook(&lab, &one, 1, "54:53 0.0.0.0:80:80 192.168.1.230:81:81 udp/22:22").run().ok();
    drop(sockets);
}

/// A program that comes later does not keep the guest's own hook from running again.
#[test]
fn who_has_a_port_keeps_it() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:7000");
    let _later = lab.host.enter(|| TcpListener::bind("0.0.0.0:2222").unwrap());
    hook(&lab, &one, 1, "2222:7000").run().ok();
    let _service = Service::on(&one, PORT);
    assert!(seen_as(&lab.outside, Protocol::Tcp, "192.168.1.230", 2222).is_some());
}

#[test]
fn a_forward_needs_an_address_of_its_family() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    let hook = |address: &str, forward: &str| {
        let hook = lab.hook("/etc/qemu-ifup", &one).env("KVMNET_FORWARD", forward);
        hook.env("KVMNET_GUEST_ADDRESS", address).run()
    };
    assert!(hook("10.0.100.1", "[::]:443:443").complains(1).contains("[::]:443:443 leads nowhere"));
    assert!(hook("fd00:100::1", "0.0.0.0:443:443").complains(1).contains("leads nowhere"));
    hook("10.0.100.1", "443:443").ok();
}
