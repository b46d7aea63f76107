//! The table and the lab of the README with real guests: QEMU is typed as people type it, makes the taps, and runs the
//! hooks itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Lab, Network, Place, Qemu, Row, Snapshot, Style, Trial, eventually};

/// Two guests find exactly what the README says, and leave nothing behind when they are shut down.
#[track_caller]
fn row_holds(network: Network, style: Style) {
    let mut trial = Trial::boot(network, style);
    assert_eq!(trial.ask(), Row::expected(network), "{network:?}, {style:?}");
    leaves_nothing_behind(trial);
}

/// Both guests are shut down, their down scripts run, and the host is as it was.
#[track_caller]
fn leaves_nothing_behind(trial: Trial) {
    let Trial { lab, one, two, before, .. } = trial;
    assert!(one.stop().success(), "QEMU and its down script end well");
    assert!(two.stop().success(), "QEMU and its down script end well");
    lab.assert_as_before("both guests are gone", &before);
}

#[test]
fn isolated() {
    row_holds(Network::ISOLATED, Style::Net);
}

#[test]
fn host_only() {
    row_holds(Network::HOST_ONLY, Style::Netdev);
}

#[test]
fn host_only_veth() {
    row_holds(Network::HOST_ONLY_VETH, Style::Netdev);
}

#[test]
fn routed() {
    row_holds(Network::ROUTED, Style::Nic);
}

#[test]
fn nat() {
    row_holds(Network::NAT, Style::Net);
}

#[test]
fn nat_source() {
    row_holds(Network::NAT_SOURCE, Style::Nic);
}

#[test]
fn bridged() {
    row_holds(Network::BRIDGED, Style::Netdev);
}

/// A guest on each of two networks of one host: whether either reaches the other.
#[track_caller]
fn two_networks(first: Network, second: Network) -> [Vec<bool>; 2] {
    let lab = Lab::new(first);
    lab.write_config(&format!("{}{}", first.config(), second.lab_table()));
    let places = [first.guest(1), Place::in_lab(1)];
    let [to_first, to_second] = places.each_ref().map(|place| [place.v4.clone(), place.v6.clone()]);
    let mut trial = Trial::boot_at(lab, places, Style::Netdev);
    let answers = [trial.one.pings_each(&to_second), trial.two.pings_each(&to_first)];
    leaves_nothing_behind(trial);
    answers
}

#[test]
fn guests_of_two_routed_networks_reach_one_another() {
    assert_eq!(two_networks(Network::ROUTED, Network::ROUTED), [vec![true; 2], vec![true; 2]]);
}

#[test]
fn guests_of_other_pairs_of_networks_do_not() {
    assert_eq!(two_networks(Network::ROUTED, Network::NAT), [vec![false; 2], vec![false; 2]]);
    assert_eq!(two_networks(Network::HOST_ONLY, Network::ISOLATED), [vec![false; 2], vec![false; 2]]);
}

#[test]
fn a_killed_qemu_is_swept_when_the_other_stops() {
    let Trial { lab, one, two, before, turn: _turn } = Trial::boot(Network::NAT, Style::Netdev);
    two.kill();
    eventually("the kernel has taken the tap away", || !lab.host.ip("link").contains("vif1.0"));
    assert!(one.stop().success());
    lab.assert_as_before("one guest was killed", &before);
}

#[test]
fn qemu_says_what_its_hook_says_and_does_not_start() {
    let lab = Lab::new(Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    let (status, said) = Qemu::start(&lab, &lab.network.guest(1), Style::Net).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("eth9") && said.contains("hint: "), "the person sees why: {said}");
    lab.assert_as_before("QEMU did not start", &before);
}
