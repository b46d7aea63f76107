//! Two of them on one host, as people have them: Docker beside ufw or libvirt.

use crate::docker::Docker;
use crate::lab::{Guest, Lab, Network};
use crate::libvirt::Libvirt;
use crate::neighbour::{Neighbour, Order, lives_beside};
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
