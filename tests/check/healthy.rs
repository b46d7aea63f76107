//! Nothing is wrong, and nothing is touched.

use crate::firewall::closed_by;
use crate::lab::{Cli, Lab, Monitor, Network, Snapshot};
use crate::report::{Report, all_right, check};

#[test]
fn every_kind_of_network_is_all_right() {
    for network in [
        Network::ISOLATED,
        Network::HOST_ONLY,
        Network::HOST_ONLY_VETH,
        Network::ROUTED,
        Network::ROUTED_VETH,
        Network::NAT,
        Network::NAT_SOURCE,
        Network::NAT_VETH,
        Network::BRIDGED,
    ] {
        let lab = Lab::new(network);
        all_right(&lab, &format!("{network:?}, no guest"));
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        all_right(&lab, &format!("{network:?}, two guests"));
        lab.detach(one);
        lab.detach(two);
        all_right(&lab, &format!("{network:?}, no guest any more"));
    }
}

#[test]
fn it_says_what_it_looked_at() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(Network::NAT.config() + &Network::ISOLATED.lab_table()));
    let (_one, _two, _three) = (lab.attach(1), lab.attach(2), lab.attach_in_lab(1));
    let said = Cli::new(&lab.host, &["check"]).run().ok();
    assert_eq!(said, "All right. Looked at 2 networks, 3 guests, uplinks, firewall, kernel and hooks.\n");
    let report = check(&lab);
    assert_eq!(
        report.json,
        serde_json::json!({ "version": 1, "networks": 2, "guests": 3, "complete": true, "findings": [] })
    );
}

#[test]
fn it_touches_nothing() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(Network::NAT.config() + &Network::BRIDGED.lab_table()));
    let _one = lab.attach(1);
    lab.settle();
    closed_by(&lab, "inet", "filter", "forward");
    lab.host.run("nft delete table inet kvmnet-br0");
    let (before, mut monitor) = (Snapshot::of(&lab.host), Monitor::start(&lab.host));
    monitor.changes();
    let report = check(&lab);
    assert!(report.findings().len() > 1, "there is something to find: {:#}", report.json);
    Cli::new(&lab.host, &["check"]).user(65534).run();
    assert_eq!(monitor.changes(), [""; 0]);
    lab.assert_as_before("a check", &before);
}

#[test]
fn wrong_usage() {
    let lab = Lab::new(Network::NAT);
    assert_eq!(Cli::new(&lab.host, &["check", "lab"]).run().status, 2);
    assert_eq!(Cli::new(&lab.host, &["check", "--jsn"]).run().status, 2);
}

/// Without rights what was not seen is said, and it is not all right.
#[test]
fn without_rights() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.settle();
    closed_by(&lab, "ip", "filter", "forward");
    let lan = Lab::new(Network::BRIDGED);
    let _guest = lan.attach(1);
    lan.settle();
    Report::of(Cli::new(&lan.host, &["check", "--json"]).user(65534).run()).alone("note", "rights", &[]);
    let said = Cli::new(&lab.host, &["check"]).user(65534).run();
    assert!(
        said.status == 0
            && said.out.contains("not seen, for lack of rights: the firewall")
            && !said.out.contains("All right"),
        "{said:?}"
    );
    assert!(said.out.replace('\n', " ").contains("without root"), "{said:?}");
    let report = Report::of(Cli::new(&lab.host, &["check", "--json"]).user(65534).run());
    report.alone("note", "rights", &["sudo kvmnet check"]);
    assert_eq!((&report.json["complete"], &report.json["guests"]), (&false.into(), &1.into()));
    // What needs no rights is found.
    lab.host.ip("route add 10.0.100.128/25 via 10.77.0.2");
    let report = Report::of(Cli::new(&lab.host, &["check", "--json"]).user(65534).run());
    report.only("problem", "collision", &["10.0.100.128/25", "eth4"]);
    assert_eq!(report.status, 1);
}
