//! The rules of Docker with its nftables backend (Docker 29), which no Debian has yet: written here as Docker's documentation shows
//! them for a new daemon. There is no DOCKER-USER; its owner has a table beside it.

use std::fs;

use crate::container::Container;
use crate::lab::{Guest, Lab};
use crate::matrix::cells;
use crate::neighbour::Neighbour;

pub struct DockerNft(Container);

/// In each family, but for the subnet.
const RULES: &str = "table FAMILY docker-bridges
delete table FAMILY docker-bridges
table FAMILY docker-bridges {
    map filter-forward-in-jumps { type ifname : verdict; elements = { docker0 : jump filter-forward-in__docker0 }; }
    map filter-forward-out-jumps { type ifname : verdict; elements = { docker0 : jump filter-forward-out__docker0 }; }
    map nat-postrouting-out-jumps { type ifname : verdict; elements = { docker0 : jump nat-postrouting-out__docker0 }; }
    chain filter-FORWARD {
        type filter hook forward priority filter; policy accept;
        oifname vmap @filter-forward-in-jumps
        iifname vmap @filter-forward-out-jumps
    }
    chain nat-POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        iifname vmap @nat-postrouting-out-jumps
    }
    chain filter-forward-in__docker0 {
        ct state established,related counter accept
        iifname docker0 counter accept comment \"ICC\"
        counter drop comment \"UNPUBLISHED PORT DROP\"
    }
    chain filter-forward-out__docker0 {
        ct state established,related counter accept
        counter accept comment \"OUTGOING\"
    }
    chain nat-postrouting-out__docker0 {
        oifname != docker0 FAMILY saddr SUBNET counter masquerade comment \"MASQUERADE\"
    }
}
";

/// What its owner has in the place of DOCKER-USER: one address that nobody gets to through this host.
const OWNERS: &str = "table ip my-table
delete table ip my-table
table ip my-table {
    chain my-filter-forward {
        type filter hook forward priority filter - 1; policy accept;
        ip daddr 198.51.100.7 counter drop
    }
}
";

fn load(lab: &Lab) {
    let of = |family: &str, subnet: &str| RULES.replace("FAMILY", family).replace("SUBNET", subnet);
    let rules = of("ip", "172.17.0.0/16") + &of("ip6", "fd00:d0c::/64") + OWNERS;
    lab.host.enter(|| fs::write("/run/lab/docker.nft", rules)).expect("a private file can be written");
    lab.host.run("nft -f /run/lab/docker.nft");
}

impl Neighbour for DockerNft {
    /// With this backend it leaves it to the host's owner to make the host a router.
    fn start(lab: &Lab) -> Self {
        lab.host_forwards_for_others();
        lab.host.ip("link add docker0 type bridge");
        lab.host.ip("addr add 172.17.0.1/16 dev docker0");
        lab.host.ip("link set docker0 up");
        load(lab);
        Self(Container::start(lab))
    }

    fn reload(&mut self, lab: &Lab) {
        load(lab);
    }

    fn remove(self, lab: &Lab) {
        for table in ["ip docker-bridges", "ip6 docker-bridges", "ip my-table"] {
            lab.host.run(&format!("nft delete table {table}"));
        }
    }

    /// A container gets out, nothing gets to it, and its owner's word holds for guests as well.
    fn assert_goes_on(&self, lab: &Lab, guest: &Guest, what: &str) {
        self.0.assert_gets_out(what);
        self.0.assert_is_closed(lab, what);
        if matches!(lab.network.mode, "routed" | "nat") {
            assert!(!guest.pings("198.51.100.7"), "{what}: its owner has closed this");
        }
    }
}

cells!(DockerNft, "Docker's nftables rules, from its documentation");

#[test]
fn it_goes_before_the_guest() {
    crate::neighbour::goes_before_the_guest::<DockerNft>();
}
