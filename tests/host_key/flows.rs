//! What goes on, and what ends: connections, answers, ports that lead to guests.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};

use crate::lab::{Cli, Conversation, Guest, Lab, Listener, Network, TcpServer, each_mode, eventually};
use crate::{apply, lab, with};

/// Host and guest, as a network has them.
const HOSTS: [&str; 2] = ["10.0.100.3", "fd00:100::3"];

/// What was sent before has come to the host, or never will.
#[track_caller]
fn fence(lab: &Lab) {
    eventually("the guest answers the host", || lab.host.pings(&lab.network.guest(1).v4));
}

fn is_silent(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn pair(lab: &Lab, one: &Guest, address: &str) -> (TcpStream, TcpStream) {
    let server = TcpServer::on(&lab.host);
    let pair = (one.open(address).expect("the host is reached"), server.accept());
    pair.1.set_nonblocking(true).unwrap();
    pair
}

/// Neither does the guest go on, nor does the host have it go on by what it says itself.
#[track_caller]
fn a_connection_of_before_ends(network: Network) {
    for address in HOSTS {
        for access in ["services", "none"] {
            let (lab, one, _two) = lab(network, "all");
            let (mut guest, mut host) = pair(&lab, &one, address);
            guest.write_all(b"before").unwrap();
            eventually("it is open", || !is_silent(&mut host));
            apply(&lab, access);
            guest.write_all(b"by the guest").unwrap();
            fence(&lab);
            assert!(is_silent(&mut host), "{network:?} {access}");
            host.write_all(b"by the host").unwrap();
            guest.write_all(b"once more").unwrap();
            fence(&lab);
            assert!(is_silent(&mut host), "{network:?} {access}: after the host has spoken");
            lab.host.run("conntrack -F");
            host.write_all(b"by the host").unwrap();
            guest.write_all(b"with no entry left").unwrap();
            fence(&lab);
            assert!(is_silent(&mut host), "{network:?} {access}: with no entry of it left");
            // The host's own word is what would have it go on.
            lab.host.run("nft flush chain inet kvmnet-br0 output");
            lab.host.run("conntrack -F");
            host.write_all(b"by the host").unwrap();
            eventually("without the rule for the host's own packets it goes on", || !is_silent(&mut host));
        }
    }
}
each_mode!(a_connection_of_before_ends: routed nat nat_veth);

/// Opened by the host, it goes on through each edit where connections are tracked anyway.
#[test]
fn what_the_host_has_opened_goes_on() {
    for network in [Network::NAT, Network::NAT_VETH] {
        let (lab, one, _two) = lab(network, "all");
        let server = TcpServer::on(&one);
        let talk = Conversation::start(&lab.host, &server, &lab.network.guest(1).v4);
        for access in ["services", "none", "services", "all", "none"] {
            apply(&lab, access);
            talk.await_turns(20);
        }
        talk.finish();
    }
}

/// Guests get out, the host gets to guests and is answered, and ports lead to guests, whatever is said of the host itself.
#[track_caller]
fn all_else_is_as_ever(network: Network) {
    for access in ["all", "services", "none"] {
        let lab = Lab::new(with(network, access));
        lab.outside_knows_the_way();
        let (one, two) = (lab.attach(1), lab.boot(2));
        let place = lab.network.guest(2);
        let hook =
            lab.hook("/etc/qemu-ifup", &two).env("KVMNET_FORWARD", "2222:7000 7000:7000 udp/7000:7000");
        hook.env("KVMNET_GUEST_ADDRESS", &format!("{} {}", place.v4, place.v6)).run().ok();
        lab.settle();
        for address in ["192.168.1.25", "198.51.100.7", "fd00:1::25", "fd00:51::7"] {
            eventually(&format!("{access}: {address} answers"), || one.pings(address));
        }
        let (server, mut service) = (TcpServer::on(&two), Listener::on(&two));
        for address in [&place.v4, &place.v6] {
            assert!(lab.host.pings(address), "{access}: {address} answers the host");
            drop((lab.host.open(address).unwrap(), server.accept()));
        }
        for address in ["10.0.100.3", "192.168.1.230", "fd00:100::3", "fd00:1::230"] {
            drop((
                one.open(address).unwrap_or_else(|error| panic!("{access} {address}: {error}")),
                server.accept(),
            ));
            one.send(address, &format!("{access} {address}"));
            eventually("a datagram arrives", || service.has_heard(&format!("{access} {address}")));
        }
        for address in ["192.168.1.230", "fd00:1::230"] {
            drop((lab.outside.open(address).unwrap(), server.accept()));
        }
        for address in ["127.0.0.1", "::1"] {
            drop((lab.host.open(address).unwrap(), server.accept()));
        }
        is_told_of_closed_ports(&lab, access);
    }
}
each_mode!(all_else_is_as_ever: routed routed_veth nat nat_veth);

/// Errors about what the host has sent come back to it.
#[track_caller]
fn is_told_of_closed_ports(lab: &Lab, access: &str) {
    let place = lab.network.guest(1);
    for address in [place.v4, place.v6] {
        let any = if address.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = lab.host.enter(|| UdpSocket::bind(any)).unwrap();
        socket.connect((address.as_str(), 9)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.send(b"anybody?").unwrap();
        let mut refused = false;
        eventually(&format!("{access}: an error comes from {address}"), || {
            refused |=
                socket.recv(&mut [0; 8]).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
            refused
        });
    }
}

/// Nobody is told an address then, so nobody may say that it is to be; and without that word nothing serves.
#[test]
fn nobody_serves_where_nothing_is_reached() {
    let lab = Lab::new(with(Network::NAT, "none"));
    let one = lab.attach(1);
    assert!(!lab.host.ip("link show br0").contains("dhcp="), "nothing is to be served");
    lab.write_config(&format!("{}dhcp = true\n", with(Network::NAT, "none").config()));
    let ran = lab.ifup(&one);
    assert!(
        ran.complains(2).contains("nobody could ask for an address") && ran.stderr.contains("services"),
        "{}",
        ran.stderr
    );
    let said = Cli::new(&lab.host, &["check"]).run().out;
    assert!(said.contains("nobody could ask for"), "{said}");
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_HOST", "services").run().ok();
    assert!(lab.host.ip("link show br0").contains("dhcp="), "with services guests are told");
}
