//! Two of them on one host, as people have them: Docker beside ufw, firewalld or libvirt.

use crate::docker::Docker;
use crate::firewalld::Firewalld;
use crate::firewalld::frames::typed_for_firewalld_2;
use crate::lab::{Guest, Lab, Network};
use crate::libvirt::Libvirt;
use crate::neighbour::{Neighbour, Order, applied, has_what_its_mode_says, lives_beside};
use crate::ufw::Ufw;

/// The second starts after the first, and goes before it.
impl<A: Neighbour, B: Neighbour> Neighbour for (A, B) {
    fn start(lab: &Lab) -> Self {
        (A::start(lab), B::start(lab))
    }

    fn reload(&mut self, lab: &Lab) {
        self.0.reload(lab);
        self.1.reload(lab);
    }

    fn remove(self, lab: &Lab) {
        self.1.remove(lab);
        self.0.remove(lab);
    }

    fn has_heard(&self, lab: &Lab, of_guests: bool, what: &str) {
        self.0.has_heard(lab, of_guests, what);
        self.1.has_heard(lab, of_guests, what);
    }

    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        self.0.assert_goes_on(lab, guest, what);
        self.1.assert_goes_on(lab, guest, what);
    }

    fn closes(mode: &str) -> Option<&'static str> {
        A::closes(mode).or(B::closes(mode))
    }
}

fn both_orders<N: Neighbour>() {
    for order in [Order::NeighbourFirst, Order::GuestsFirst] {
        [Network::NAT, Network::BRIDGED].iter().for_each(|network| lives_beside::<N>(*network, order));
    }
}

#[test]
fn docker_and_ufw() {
    both_orders::<(Docker, Ufw)>();
}

#[test]
fn ufw_and_docker() {
    both_orders::<(Ufw, Docker)>();
}

#[test]
fn libvirt_and_docker() {
    both_orders::<(Libvirt, Docker)>();
}

/// Docker has firewalld read its files anew, which then has the chains of no zone of kvmnet's: its rules are not compared.
#[test]
fn firewalld_and_docker() {
    for network in [Network::HOST_ONLY, Network::ROUTED, Network::NAT, Network::BRIDGED] {
        for order in [Order::NeighbourFirst, Order::GuestsFirst] {
            beside_firewalld_and_docker(network, order);
        }
    }
}

fn beside_firewalld_and_docker(network: Network, order: Order) {
    let what = format!("{network:?}, {order:?}");
    let lab = Lab::new(network);
    lab.outside_knows_the_way();
    let mut firewalld = Firewalld::start(&lab);
    let start_docker = || {
        // As its module does when it is loaded.
        lab.bridged_frames_pass_firewall(true);
        Docker::start(&lab)
    };
    let docker_now = (order == Order::NeighbourFirst).then(start_docker);
    let guests = [lab.attach(1), lab.attach(2)];
    lab.settle();
    let docker = docker_now.unwrap_or_else(|| {
        let docker = start_docker();
        applied(&lab);
        docker
    });
    if network.mode == "bridged" {
        typed_for_firewalld_2(&lab);
    }
    for when in ["", ", reloaded"] {
        let what = format!("{what}{when}");
        firewalld.has_heard(&lab, true, &what);
        has_what_its_mode_says(&lab, &guests[0], false, &what);
        docker.assert_goes_on(&lab, &guests[0], &what);
        firewalld.reload(&lab);
        applied(&lab);
    }
    guests.into_iter().for_each(|guest| lab.detach(guest));
    firewalld.has_heard(&lab, false, &what);
}
