//! When a guest is gone, nothing leads to it any more, whatever its end; and what leads to others stays, whatever happens to the
//! rules.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::lab::{Cli, Guest, Lab, Network, Snapshot, eventually};
use crate::service::{Protocol, Service, seen_as};
use crate::{PORT, attach, hook, lab_with};

/// The elements that are in the table for forwards.
fn elements(lab: &Lab) -> Vec<String> {
    let table = lab.host.run("nft list table inet kvmnet-br0");
    let kept = |line: &&str| line.contains("\"vif");
    table.lines().map(str::trim).filter(kept).map(str::to_owned).collect()
}

fn is_led(lab: &Lab, port: u16) -> bool {
    seen_as(&lab.outside, Protocol::Tcp, "192.168.1.230", port).is_some()
}

#[test]
fn the_last_guest_leaves_nothing() {
    for network in [Network::NAT, Network::ROUTED, Network::NAT_VETH, Network::NAT_BY_ROUTES] {
        let lab = Lab::new(network);
        let before = Snapshot::of(&lab.host);
        let one = attach(&lab, 1, "2222:7000 127.0.0.1:80:7000 3000-3010:3000");
        lab.settle();
        lab.detach(one);
        lab.assert_as_before("the host after the last guest", &before);
    }
}

#[test]
fn a_guest_that_leaves_takes_its_ports_along() {
    let (lab, one, two) = lab_with(Network::NAT, "2222:7000 3000-3010:7000");
    hook(&lab, &two, 2, "2223:7000").run().ok();
    let _service = Service::on(&two, PORT);
    lab.detach(one);
    assert!(elements(&lab).iter().all(|line| line.contains("vif1.0@")), "{:#?}", elements(&lab));
    assert!(is_led(&lab, 2223));
    hook(&lab, &two, 2, "2223:7000 2222:7000").run().ok();
    assert!(is_led(&lab, 2222));
}

#[test]
fn a_killed_guest_has_ports_until_the_sweep() {
    let (lab, one, two) = lab_with(Network::NAT, "2222:7000 3000-3010:7000");
    hook(&lab, &two, 2, "2223:7000").run().ok();
    one.kill();
    assert!(elements(&lab).iter().any(|line| line.contains("vif0.0@")));
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert!(elements(&lab).iter().all(|line| line.contains("vif1.0@")), "{:#?}", elements(&lab));
    assert!(Cli::new(&lab.host, &["gc"]).run().ok().contains("nothing to do"));
    let _service = Service::on(&two, PORT);
    assert!(is_led(&lab, 2223));
}

/// What a killed guest left does not stand in the way of the next, nor of itself.
#[test]
fn a_killed_guest_comes_back() {
    let (lab, one, two) = lab_with(Network::NAT, "2222:7000 3000-3010:7000");
    one.kill();
    let one = attach(&lab, 1, "2222:7000 3000-3010:7000");
    let service = Service::on(&one, PORT);
    assert!(is_led(&lab, 2222) && is_led(&lab, 3007 - 7));
    drop(service);
    one.kill();
    hook(&lab, &two, 2, "2222:7000").run().ok();
    let _service = Service::on(&two, PORT);
    assert!(is_led(&lab, 2222));
}

/// Others' forwards are in the rules that are written anew, whoever has them written.
#[test]
fn what_was_flushed_comes_back() {
    let all: &[fn(&Lab, &Guest)] =
        &[|lab, _| drop(Cli::new(&lab.host, &["apply", "--yes"]).run().ok()), |lab, two| lab.ifup(two).ok()];
    for comes_back in all {
        let (lab, one, two) = lab_with(Network::NAT, "2222:7000 udp/2222:7000");
        let _service = Service::on(&one, PORT);
        assert!(is_led(&lab, 2222));
        let before = elements(&lab);
        lab.host.run("nft flush ruleset");
        comes_back(&lab, &two);
        assert_eq!(elements(&lab), before);
        assert!(is_led(&lab, 2222));
        hook(&lab, &one, 1, "2222:7000 udp/2222:7000").run().ok();
        assert_eq!(elements(&lab), before);
    }
}

/// The file is edited while guests are on: the rules are others, the ports the same.
#[test]
fn an_edit_of_the_file_keeps_them() {
    let (lab, one, two) = lab_with(Network::NAT, "2222:7000");
    let _service = Service::on(&one, PORT);
    lab.write_config(&Network::NAT_BY_ROUTES.config());
    lab.ifup(&two).ok();
    assert!(is_led(&lab, 2222) && elements(&lab).iter().any(|line| line.contains("vif0.0@")));
}

/// The same guest, told otherwise.
#[test]
fn other_forwards_take_the_place_of_former_ones() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:7000 2223:7000");
    let _service = Service::on(&one, PORT);
    hook(&lab, &one, 1, "2223:7000 2224:7000").run().ok();
    assert_eq!([2222, 2223, 2224].map(|port| is_led(&lab, port)), [false, true, true]);
    lab.ifup(&one).ok();
    assert_eq!([2222, 2223, 2224].map(|port| is_led(&lab, port)), [false; 3]);
    assert_eq!(elements(&lab), [""; 0]);
}

/// An open connection ends with the guest, and does not go on to whoever gets its address.
#[test]
fn connections_to_a_guest_that_is_gone_are_cut() {
    let (lab, one, _two) = lab_with(Network::NAT, "2222:7000");
    let service = Service::on(&one, PORT);
    let open = || {
        let mut stream = lab
            .outside
            .enter(|| {
                TcpStream::connect_timeout(&"192.168.1.230:2222".parse().unwrap(), Duration::from_secs(5))
            })
            .unwrap();
        stream.read_exact(&mut [0; "192.168.1.25\n".len()]).unwrap();
        stream.write_all(b"still there").unwrap();
        stream
    };
    let is_tracked = || lab.host.run("conntrack -L -p tcp").contains("src=10.0.100.1 ");
    let _stream = open();
    assert!(is_tracked());
    drop(service);
    lab.detach(one);
    assert!(!is_tracked(), "{}", lab.host.run("conntrack -L"));
    // The same after kill -9.
    let one = attach(&lab, 1, "2222:7000");
    let service = Service::on(&one, PORT);
    let _stream = open();
    drop(service);
    one.kill();
    assert!(is_tracked());
    Cli::new(&lab.host, &["gc"]).run().ok();
    eventually("the connection is cut", || !is_tracked());
}
