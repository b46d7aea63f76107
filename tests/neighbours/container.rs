//! What stands for a container: a machine with a cable to docker0.

use std::time::Duration;

use crate::lab::{Lab, Machine, eventually, within};

pub struct Container(Machine);

impl Container {
    /// Its bridge is there.
    #[track_caller]
    pub fn start(lab: &Lab) -> Self {
        let machine = Machine::new();
        let peer = format!("peer name eth0 netns {}", machine.netns());
        lab.host.ip(&format!("link add dock0 master docker0 type veth {peer}"));
        lab.host.ip("link set dock0 up");
        machine.ip("addr add 172.17.0.2/16 dev eth0");
        machine.ip("link set eth0 up");
        machine.ip("route add default via 172.17.0.1");
        eventually("the container is on its bridge", || machine.pings("172.17.0.1"));
        lab.wait_for_addresses();
        Self(machine)
    }

    #[track_caller]
    pub fn assert_gets_out(&self, what: &str) {
        let gets_out = || self.0.pings("192.168.1.25");
        assert!(within(Duration::from_secs(5), gets_out), "{what}: a container gets out");
    }

    /// Nothing gets to it that Docker does not let in.
    #[track_caller]
    pub fn assert_is_closed(&self, lab: &Lab, what: &str) {
        lab.outside.ip("route replace 172.17.0.0/16 via 192.168.1.230");
        assert!(!lab.outside.pings("172.17.0.2"), "{what}: nobody outside gets to a container");
    }
}
