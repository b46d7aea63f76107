//! libvirt's guests, whose QEMU starts no hook: a network of kvmnet's is up, and libvirt makes their taps ports of its bridge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Guest, Lab, Network, Snapshot, eventually};

/// A guest as libvirt has it: the tap is on the bridge and up, and nobody has told kvmnet.
fn start(lab: &Lab, number: u8) -> Guest {
    let guest = lab.boot(number);
    lab.host.ip(&format!("link set {} master br0 up", guest.tap()));
    guest
}

fn with_two(network: Network, goes: fn(&Lab, &[Guest; 2])) {
    let lab = Lab::new(network);
    let before = Snapshot::of(&lab.host);
    Cli::new(&lab.host, &["up", "default"]).run().ok();
    let guests = [start(&lab, 1), start(&lab, 2)];
    eventually("the guests reach each other", || guests[0].pings(&network.guest(2).v4));
    goes(&lab, &guests);
    drop(guests);
    assert!(lab.host.ip("link show br0").contains("br0"), "it is up until it is taken down");
    Cli::new(&lab.host, &["down", "default"]).run().ok();
    lab.assert_as_before("libvirt's guests", &before);
}

#[test]
fn nat() {
    with_two(Network::NAT, |_, [one, _]| {
        for address in ["192.168.1.25", "fd00:1::25", "10.0.100.3"] {
            eventually(&format!("{address} answers"), || one.pings(address));
        }
    });
}

#[test]
fn isolated() {
    with_two(Network::ISOLATED, |lab, [one, _]| {
        one.ip("route replace 192.168.1.0/24 dev eth0");
        let of_host = ["eth3", one.tap()].map(|nic| lab.host.link_local(nic).expect("it has one") + "%eth0");
        for address in ["10.0.100.3", "192.168.1.230", "192.168.1.25"]
            .into_iter()
            .chain(of_host.iter().map(String::as_str))
        {
            assert!(!one.pings(address), "{address}");
        }
    });
}
