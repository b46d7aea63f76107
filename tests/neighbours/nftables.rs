//! nftables.service, which empties the whole ruleset each time: with Debian's file, and with one of a workstation that lets nothing
//! through.

use std::fs;
use std::time::Duration;

use crate::lab::{Cli, Guest, Lab, Listener, Network, within};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

/// Debian's /etc/nftables.conf.
const DEBIAN: &str = "flush ruleset
table inet filter {
    chain input { type filter hook input priority filter; }
    chain forward { type filter hook forward priority filter; }
    chain output { type filter hook output priority filter; }
}
";

/// Answers, pings, neighbour discovery and one service come in; nothing passes through.
const WORKSTATION: &str = "flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        iif lo accept
        meta l4proto { icmp, ipv6-icmp } accept
        udp dport 7000 ip saddr 192.168.1.25 accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
    chain output { type filter hook output priority filter; policy accept; }
}
";

fn load(lab: &Lab, rules: &str) {
    lab.host.enter(|| fs::write("/etc/nftables.conf", rules)).expect("a private /etc can be written");
    lab.host.run("nft -f /etc/nftables.conf");
}

pub struct Debian;

impl Neighbour for Debian {
    fn start(lab: &Lab) -> Self {
        load(lab, DEBIAN);
        Self
    }

    fn reload(&mut self, lab: &Lab) {
        load(lab, DEBIAN);
    }

    /// As the service does when it stops.
    fn remove(self, lab: &Lab) {
        lab.host.run("nft flush ruleset");
    }

    fn assert_goes_on(&self, lab: &Lab, _: &Guest, what: &str) {
        assert!(lab.host.run("nft list tables").contains("table inet filter\n"), "{what}: its table");
    }
}

pub struct Workstation;

impl Neighbour for Workstation {
    fn start(lab: &Lab) -> Self {
        load(lab, WORKSTATION);
        Self
    }

    fn reload(&mut self, lab: &Lab) {
        load(lab, WORKSTATION);
    }

    fn remove(self, lab: &Lab) {
        lab.host.run("nft flush ruleset");
    }

    /// The one service is open for whom it is, and for no guest.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        let mut service = Listener::on(&lab.host);
        lab.outside.send("192.168.1.230", "from outside");
        assert!(within(Duration::from_secs(3), || service.has_heard("from outside")), "{what}: its service");
        guest.send("10.0.100.3", "from a guest");
        assert!(!within(Duration::from_millis(300), || service.has_heard("from a guest")), "{what}: a guest");
    }

    fn closes(mode: &str) -> Option<&'static str> {
        matches!(mode, "routed" | "nat").then_some("named by `check`, with the commands")
    }
}

/// What systemd runs behind the service has kvmnet's tables back, and says what the service's rules drop.
#[test]
fn a_ruleset_that_is_loaded_anew() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    load(&lab, WORKSTATION);
    let apply = || Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run();
    let said = apply();
    let line = "chain inet filter forward: its policy drops what the guests of network default send out, and what comes \
                back; what opens it: nft insert rule inet filter forward iifname br0 accept; nft insert rule inet \
                filter forward oifname br0 ct state established,related accept";
    assert!(said.status == 0 && said.err.contains(line), "{said:?}");
    assert!(lab.host.run("nft list tables").contains("kvmnet-br0"));
    assert_eq!(apply().ok(), "", "nothing is to be done");
    lab.detach(one);
}

mod debian {
    use super::{Debian, cells};
    cells!(Debian, "nftables.service, Debian's file");
}

mod workstation {
    use super::{Workstation, cells};
    cells!(Workstation, "nftables.service, one that drops");
}

#[test]
fn what_was_loaded_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<Workstation>();
}
