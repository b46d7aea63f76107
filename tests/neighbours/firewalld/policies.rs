//! What firewalld's owner says of guests comes before what kvmnet's policies let through.

use std::time::Duration;

use super::frames::typed_for_firewalld_2;
use super::{Firewalld, call};
use crate::lab::{Guest, Lab, Network, eventually, within};
use crate::neighbour::Neighbour;

/// A guest beside firewalld, which sees the frames inside bridges.
fn with_a_guest(network: Network) -> (Lab, Firewalld, Guest) {
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    lab.bridged_frames_pass_firewall(true);
    let firewalld = Firewalld::start(&lab);
    let guest = lab.attach(1);
    lab.settle();
    firewalld.has_heard(&lab, true, "a guest");
    if network.mode == "bridged" {
        typed_for_firewalld_2(&lab);
    }
    (lab, firewalld, guest)
}

/// A policy as `firewall-cmd --new-policy` makes it, whose name comes last, stops guests of every mode.
#[test]
fn a_policy_of_the_owners_comes_first() {
    for network in [Network::NAT, Network::BRIDGED] {
        let (lab, _firewalld, guest) = with_a_guest(network);
        eventually("the outside answers", || guest.pings("192.168.1.25"));
        for option in [
            "--new-policy zzz",
            "--policy zzz --add-ingress-zone ANY",
            "--policy zzz --add-egress-zone ANY",
            "--policy zzz --set-target DROP",
        ] {
            lab.host.run(&format!("firewall-cmd --permanent {option}"));
        }
        call(&lab, "", "reload", "");
        let is_stopped = || !guest.pings("192.168.1.25");
        assert!(within(Duration::from_secs(5), is_stopped), "{network:?}: its owner's word");
        lab.host.run("firewall-cmd --permanent --delete-policy zzz");
        call(&lab, "", "reload", "");
        eventually("the outside answers again", || guest.pings("192.168.1.25"));
    }
}

/// Sources that its owner has put into the zones drop and block reach no guest, and guests whose addresses are there reach nobody.
#[test]
fn sources_that_the_owner_blocks_stay_blocked() {
    for (network, zone) in [(Network::ROUTED, "drop"), (Network::ROUTED, "block"), (Network::BRIDGED, "drop")]
    {
        let (lab, _firewalld, guest) = with_a_guest(network);
        let address = network.guest(1).v4;
        eventually("they reach each other", || lab.outside.pings(&address) && guest.pings("192.168.1.25"));
        for source in ["192.168.1.25", &address] {
            lab.host.run(&format!("firewall-cmd --zone={zone} --add-source={source}"));
            // What it answers comes through.
            let is_closed = || match source {
                "192.168.1.25" => !lab.outside.pings(&address),
                _ => !guest.pings("192.168.1.25"),
            };
            assert!(within(Duration::from_secs(5), is_closed), "{network:?}: {source} is in the zone {zone}");
            lab.host.run(&format!("firewall-cmd --zone={zone} --remove-source={source}"));
            eventually("they reach each other again", || lab.outside.pings(&address));
        }
    }
}
