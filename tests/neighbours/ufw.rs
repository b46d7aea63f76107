//! ufw, enabled as it comes: nothing gets in, nothing passes through.

use std::time::Duration;

use crate::dns::{A, Answer, Resolver, ask};
use crate::kit::Serving;
use crate::lab::{Guest, Lab, Listener, within};
use crate::matrix::cells;
use crate::neighbour::{Neighbour, applied};
use crate::served::{HOST, comes};

pub struct Ufw;

impl Neighbour for Ufw {
    /// Its owner lets one port in, which is open before.
    fn start(lab: &Lab) -> Self {
        lab.host.run("ufw allow from 192.168.1.25 to any port 7000 proto udp");
        lab.host.run("ufw --force enable");
        Self
    }

    fn reload(&mut self, lab: &Lab) {
        lab.host.run("ufw reload");
    }

    fn remove(self, lab: &Lab) {
        lab.host.run("ufw disable");
    }

    /// Its owner's port is open, and guests get to it no more than before.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        let mut service = Listener::on(&lab.host);
        lab.outside.send("192.168.1.230", "from outside");
        assert!(
            within(Duration::from_secs(3), || service.has_heard("from outside")),
            "{what}: its owner's port"
        );
        if lab.network.mode != "bridged" {
            guest.send("10.0.100.3", "from a guest");
            assert!(
                !within(Duration::from_millis(300), || service.has_heard("from a guest")),
                "{what}: a guest"
            );
        }
    }
}

cells!(Ufw, "ufw");

/// By DHCP, with names: before ufw is enabled, after, and after its reload. Its owner's `deny` is obeyed.
#[test]
fn a_guest_gets_its_address_through_ufw() {
    let serving = Serving::nat();
    let _resolver = Resolver::start(&serving.lab.outside, "192.168.1.25", [198, 51, 100, 7]);
    let lab = &serving.lab;
    let one = serving.attach(1);
    lab.host.run("ufw --force enable");
    assert!(!serving.try_lease_soon(&one), "nobody has told kvmnet");
    applied(lab);
    let two = comes(&serving, 2, "enabled");
    lab.host.run("ufw reload");
    let three = comes(&serving, 3, "reloaded");
    lab.host.run("ufw deny in on br0 to any port 53");
    assert_eq!(ask(&three, HOST, "host.kvm", A), Answer::Silence, "what the owner denies stays denied");
    [one, two, three].into_iter().for_each(|guest| lab.detach(guest));
    serving.assert_ends();
}

#[test]
fn it_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Ufw>();
}
