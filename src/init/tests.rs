//! What is found on a machine, and the lines of the file that follow from it.

#![allow(clippy::unwrap_used, clippy::panic)]

use ipnet::IpNet;

use super::document::Document;
use super::text;
use crate::config::File;
use crate::config::key::{KEYS, taps};
use crate::model::facts::Way;
use crate::model::link::GROUP;
use crate::model::route::{LOCAL, UNICAST};
use crate::model::{Address, AddressManager, Link, Question};
use crate::observed::Observed;
use crate::plan::tests::world::link;
use crate::reader::HostSnapshot;

/// eth3 is 2 and has the default route.
fn machine() -> HostSnapshot {
    let mut observed = Observed::default();
    observed.facts.asked.extend([Question::Links, Question::Addresses(0)]);
    observed.facts.links.push(Link { up: true, ..link(2, "eth3", None) });
    observed.facts.addresses.push((2, Address::plain("192.168.1.230/24".parse().unwrap())));
    let uplink = observed.facts.links.first().cloned();
    let mut machine = HostSnapshot { observed, uplink };
    machine.route("default", 2);
    machine.route("192.168.1.0/24", 2);
    machine
}

impl HostSnapshot {
    fn way(&mut self, to: Option<IpNet>, kind: u8, device: u32) {
        let way = Way {
            destination: to,
            v6: false,
            table: 254,
            kind,
            metric: 0,
            devices: vec![device],
            nexthop: None,
            protocol: 3,
        };
        self.observed.facts.ways.push(way);
    }

    fn route(&mut self, to: &str, device: u32) {
        self.way(to.parse().ok(), UNICAST, device);
    }

    fn add(&mut self, link: Link) {
        self.observed.facts.links.push(link);
    }

    /// A network of kvmnet's that stands.
    fn stand(&mut self, index: u32, bridge: &str, record: &str) {
        self.add(Link { alias: record.to_owned(), group: GROUP, ..link(index, bridge, Some("bridge")) });
        self.observed.work_out();
    }
}

fn file(machine: &HostSnapshot) -> String {
    text(machine, [1, 2, 3, 4, 5])
}

/// The lines that are in force.
fn keys(file: &str) -> Vec<&str> {
    file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

/// What is said of the machine, without line breaks.
fn remarks(file: &str) -> Vec<String> {
    let flat = file.replace("\n#     ", " ");
    flat.lines().filter_map(|line| line.strip_prefix("# Here: ")).map(str::to_owned).collect()
}

/// Checks what is in force and what is said, and that the file has no error.
fn check(machine: &HostSnapshot, expected_keys: [&str; 4], expected_remarks: &[&str]) {
    let file = file(machine);
    let unset: Vec<&str> = expected_keys.into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(keys(&file), unset, "{file}");
    assert_eq!(remarks(&file), expected_remarks);
    File::parse("/f", &file).unwrap().networks().unwrap();
    assert!(file.lines().all(|line| line.chars().count() <= 120), "{file}");
}

const NAT: &str = "mode = \"nat\"";
const BR0: &str = "bridge = \"br0\"";
const TEN: &str = "address = \"10.0.100.3/24\"";
const ETH3: &str = "uplink = \"eth3\"";

#[test]
fn a_plain_machine() {
    check(&machine(), [NAT, BR0, TEN, ETH3], &[]);
    let file = file(&machine());
    assert!(file.contains("[\"10.0.100.3/24\", \"fd01:203:405:100::3/64\"]"));
    assert!(file.contains("\n#nat_source = \"192.168.1.230\"\n"));
    assert!(file.contains("Made for this machine") && !file.contains("Every line is a comment"));
}

#[test]
fn no_way_out() {
    let mut machine = machine();
    machine.uplink = None;
    machine.observed.facts.ways.clear();
    check(&machine, [NAT, BR0, TEN, ""], &["nothing carries a default route now."]);
}

#[test]
fn a_subnet_that_is_taken() {
    let address = |subnet: &str| format!("address = \"{subnet}.3/24\"");
    let row = |routes: &[&str], free: &str, why: &str| {
        let mut machine = machine();
        machine.add(link(7, "tun0", Some("tun")));
        routes.iter().for_each(|route| machine.route(route, 7));
        check(&machine, [NAT, BR0, &address(free), ETH3], &[&format!("10.0.100.0/24 is taken: {why}.")]);
    };
    row(&["10.0.100.0/24"], "10.0.101", "there is a route 10.0.100.0/24 over tun0");
    row(&["10.0.100.128/25"], "10.0.101", "there is a route 10.0.100.128/25 over tun0");
    row(&["10.0.0.0/16"], "10.1.100", "there is a route 10.0.0.0/16 over tun0");
    row(&["10.0.0.0/8"], "172.31.100", "there is a route 10.0.0.0/8 over tun0");
    row(&["10.0.0.0/8", "172.16.0.0/12"], "192.168.255", "there is a route 10.0.0.0/8 over tun0");
    // Half the world is a default route in all but name.
    let mut machine = machine();
    ["0.0.0.0/1", "128.0.0.0/1"].iter().for_each(|route| machine.route(route, 2));
    check(&machine, [NAT, BR0, TEN, ETH3], &[]);
    machine.way("10.0.100.77/32".parse().ok(), LOCAL, 2);
    let remark = "10.0.100.0/24 is taken: 10.0.100.77 is an address of eth3.";
    check(&machine, [NAT, BR0, &address("10.0.101"), ETH3], &[remark]);
}

#[test]
fn nothing_private_is_free() {
    let mut machine = machine();
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"]
        .iter()
        .for_each(|route| machine.route(route, 2));
    let remarks = [
        "no private subnet is free, which leaves the modes without an address.",
        "10.0.100.0/24 is taken: there is a route 10.0.0.0/8 over eth3.",
    ];
    check(&machine, ["mode = \"isolated\"", BR0, "", ETH3], &remarks);
}

#[test]
fn a_bridge_that_is_taken() {
    let mut machine = machine();
    machine.add(link(5, "br0", Some("bridge")));
    check(&machine, [NAT, "bridge = \"kvmbr0\"", TEN, ETH3], &["already in use: br0."]);
    machine.add(link(6, "kvmbr0", None));
    check(&machine, [NAT, "bridge = \"kvmbr1\"", TEN, ETH3], &["already in use: br0, kvmbr0."]);
}

#[test]
fn the_network_stands_already() {
    let mut machine = machine();
    machine.stand(5, "br0", "kvmnet:nat default 0 made addr=10.0.100.3/24");
    machine.route("10.0.100.0/24", 5);
    machine.way("10.0.100.3/32".parse().ok(), LOCAL, 5);
    check(&machine, [NAT, BR0, TEN, ETH3], &[]);
    // Another one of kvmnet's is as foreign as any.
    machine.stand(6, "br-lab", "kvmnet:nat lab 0 made addr=10.0.101.3/24");
    machine.route("10.0.101.0/24", 6);
    machine.route("10.0.100.0/25", 2);
    let remark = "10.0.100.0/24 is taken: there is a route 10.0.100.0/25 over eth3.";
    check(&machine, [NAT, BR0, "address = \"10.0.102.3/24\"", ETH3], &[remark]);
}

#[test]
fn an_uplink_that_cannot_be_bridged() {
    let mut wifi = machine();
    wifi.observed.stations.extend(wifi.uplink.iter().map(|uplink| uplink.index));
    let remark = "bridged would be refused: eth3 cannot be bridged: it is a Wi-Fi station, which sends frames with no MAC \
                  but its own; use mode = \"nat\", or mode = \"routed\", which need no bridge over the uplink.";
    check(&wifi, [NAT, BR0, TEN, ETH3], &[remark]);

    let mut managed = machine();
    managed.observed.owner = Some(AddressManager::Dhclient);
    let file = file(&managed);
    let expected = "bridged would be refused: dhclient keeps the addresses of eth3 and would not know of a takeover; \
                    on the console";
    assert!(remarks(&file)[0].starts_with(expected), "{file}");

    let mut vpn = machine();
    vpn.uplink = Some(Link { hardware: 65534, ..link(2, "eth3", None) });
    let remark = "bridged would be refused: eth3 cannot be bridged: it carries no Ethernet frames; use mode = \"nat\", \
                  or mode = \"routed\", which need no bridge over the uplink.";
    check(&vpn, [NAT, BR0, TEN, ETH3], &[remark]);

    let mut lan = machine();
    lan.add(link(5, "br0", Some("bridge")));
    lan.uplink = Some(link(5, "br0", Some("bridge")));
    lan.observed.facts.ways.clear();
    lan.route("default", 5);
    let remark = "br0 is a bridge with the default route. Guests are on its LAN with mode = \"bridged\", \
                  bridge = \"br0\", uplink = \"auto\".";
    let keys = [NAT, "bridge = \"kvmbr0\"", TEN, "uplink = \"br0\""];
    check(&lan, keys, &["already in use: br0.", remark]);
}

#[test]
fn two_ways_out() {
    let mut machine = machine();
    machine.add(link(7, "wg0", None));
    machine.route("default", 7);
    check(&machine, [NAT, BR0, TEN, ETH3], &["wg0 carries a default route, too."]);
}

#[test]
fn the_example_has_every_key() {
    let mut document = Document::example();
    let example = document.to_string();
    assert!(keys(&example).is_empty(), "without an edit it says what no file would say");
    for &key in KEYS {
        assert!(example.contains(&format!("\n#{} = ", key.word)), "{key:?}");
        if *key != taps::KEY {
            document.set(key.word, "0");
        }
    }
    assert_eq!(keys(&document.to_string()).len(), KEYS.len() - 1);
    // The values that it shows of these are the built-in ones.
    let shown = |key: &str| {
        let found = example.lines().find_map(|line| line.strip_prefix(&format!("#{key} = ")));
        format!("{key} = {}\n", found.unwrap())
    };
    let keys = ["mode", "bridge", "address", "keep", "confirm", "uplink_managed"];
    let mut network = File::parse("/f", keys.map(shown).concat()).unwrap().networks().unwrap().remove(0);
    network.origins.clear();
    assert_eq!(network, File::built_in("/f").networks().unwrap().remove(0));
}
