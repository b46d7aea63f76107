//! ufw, enabled as it comes: nothing gets in, nothing passes through.

use std::time::Duration;

use crate::lab::{Guest, Lab, Listener, within};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

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
