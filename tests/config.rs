//! `kvmnet config`: what holds and where it comes from, and a file for the machine at hand that works on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Guest, Lab, Network, Place, Said, Snapshot, eventually};

/// The configuration is wrong.
const USAGE: i32 = 2;
/// A user without any rights.
const NOBODY: u32 = 65534;

fn show(lab: &Lab, arguments: &[&str]) -> Said {
    Cli::new(&lab.host, &[&["config", "show"], arguments].concat()).user(NOBODY).run()
}

#[test]
fn what_is_shown_can_be_pasted() {
    for network in
        [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT_SOURCE, Network::BRIDGED]
    {
        let lab = Lab::new(network);
        let two = network.config() + &Network::HOST_ONLY.lab_table();
        lab.write_config(&two);
        let one = lab.attach(1);
        lab.settle();
        let before = Snapshot::of(&lab.host);
        let shown = show(&lab, &[]).ok();
        assert!(
            shown.contains("# /etc/kvmnet.conf:1\n") && shown.contains("# built-in default\n"),
            "{shown}"
        );
        assert!(shown.contains("\n[network.lab]\n"), "{shown}");
        lab.write_config(&shown);
        lab.ifup(&one).ok();
        lab.assert_as_before("the same configuration, written otherwise", &before);
    }
}

#[test]
fn one_network_and_its_overrides() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(Network::NAT.config() + &Network::HOST_ONLY.lab_table()));
    let shown = Cli::new(&lab.host, &["config", "show", "lab"]).env("KVMNET_MODE", "isolated").run().ok();
    assert!(shown.starts_with("[network.lab]\n") && !shown.contains("\"br0\""), "{shown}");
    let mode = shown.lines().find(|line| line.starts_with("mode")).unwrap();
    assert!(mode.contains("\"isolated\"") && mode.ends_with("# KVMNET_MODE"), "{mode}");
    let data = show(&lab, &["--json"]).ok();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["file"], "/etc/kvmnet.conf");
    assert_eq!(data["networks"][1]["name"], "lab");
    let bridge = serde_json::json!({ "value": "br-lab", "origin": "/etc/kvmnet.conf:9", "used": true });
    assert_eq!(data["networks"][1]["values"]["bridge"], bridge);
}

#[test]
fn no_file() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("rm /etc/kvmnet.conf");
    let shown = show(&lab, &[]).ok();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.join(" ").contains("address = \"auto\" # built-in default"), "{shown}");
    let said = show(&lab, &["lab"]).complains(USAGE);
    assert!(said.contains("\"lab\"") && said.contains("there is no file /etc/kvmnet.conf"), "{said}");
    let missing = Cli::new(&lab.host, &["config", "show"]).env("KVMNET_CONFIG", "/etc/none").run();
    assert!(missing.complains(USAGE).contains("/etc/none"));
}

#[test]
fn a_network_that_is_not_there() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(Network::NAT.config() + &Network::HOST_ONLY.lab_table()));
    let said = show(&lab, &["lob"]).complains(USAGE);
    assert!(said.contains("no network \"lob\"") && said.contains("hint: did you mean \"lab\"?"), "{said}");
    let by_variable = Cli::new(&lab.host, &["config", "show"]).env("KVMNET_NETWORK", "lob").run();
    assert!(by_variable.complains(USAGE).starts_with("kvmnet: KVMNET_NETWORK: no network \"lob\""));
}

#[test]
fn everything_that_is_wrong() {
    let lab = Lab::new(Network::NAT);
    lab.write_config("mode = \"natt\"\nuplnk = \"eth3\"\nkeep = \"maybe\"\n");
    let said = Cli::new(&lab.host, &["config", "show"]).env("KVMNET_MDOE", "nat").run();
    assert_eq!((said.status, said.out.as_str()), (USAGE, ""));
    let lines: Vec<&str> = said.err.lines().filter(|line| !line.starts_with("hint: ")).collect();
    let places = ["kvmnet: KVMNET_MDOE: ", "/etc/kvmnet.conf:1:8: ", "/etc/kvmnet.conf:2:1: "];
    assert_eq!(lines.len(), 4, "{}", said.err);
    for (line, place) in lines.iter().zip(places) {
        assert!(line.starts_with(place), "{line} must begin with {place}");
    }
}

#[test]
fn a_file_that_others_may_write() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("chmod 666 /etc/kvmnet.conf");
    let said = show(&lab, &[]).complains(USAGE);
    assert!(said.contains("hint: chmod go-w /etc/kvmnet.conf"), "{said}");
}

/// Has `kvmnet config init` make the host's configuration; returns it. To ask needs no rights.
fn init(lab: &Lab) -> String {
    let file = Cli::new(&lab.host, &["config", "init"]).user(NOBODY).run().ok();
    lab.write_config(&file);
    let shown = show(lab, &[]).ok();
    assert!(shown.contains("# /etc/kvmnet.conf:"), "the file has no error: {shown}");
    file
}

/// A guest on the network of the file, in this subnet.
fn start(lab: &Lab, subnet: &str) -> Guest {
    let gateway4 = format!("{subnet}.3");
    let guest = lab.boot_at(&Place { v4: format!("{subnet}.1"), gateway4, ..lab.network.guest(1) });
    lab.ifup(&guest).ok();
    guest
}

/// A guest with an address of the LAN.
fn on_the_lan(lab: &Lab) -> Guest {
    let guest = lab.boot_at(&Network::BRIDGED.guest(1));
    lab.ifup(&guest).ok();
    guest
}

/// Checks the lines in force, and that a guest reaches the outside through what they say.
#[track_caller]
fn works(lab: &Lab, keys: [&str; 3], subnet: &str) -> String {
    let before = Snapshot::of(&lab.host);
    let file = init(lab);
    for key in keys {
        assert!(file.lines().any(|line| line == key), "{key} must be a line of\n{file}");
    }
    let guest = start(lab, subnet);
    eventually("the guest is out", || guest.pings("192.168.1.25"));
    lab.detach(guest);
    lab.assert_as_before("the guest's network is gone", &before);
    file
}

#[test]
fn a_file_for_this_machine() {
    let lab = Lab::new(Network::NAT);
    let file =
        works(&lab, ["bridge = \"br0\"", "address = \"10.0.100.3/24\"", "uplink = \"eth3\""], "10.0.100");
    assert!(!file.contains("# Here: "), "{file}");
    // One word, and it is another mode.
    lab.write_config(&file.replace("\nmode = \"nat\"\n", "\nmode = \"bridged\"\n"));
    let guest = on_the_lan(&lab);
    eventually("the guest is on the LAN", || guest.pings("192.168.1.25"));
}

#[test]
fn the_file_of_a_machine_that_uses_kvmnet() {
    let lab = Lab::new(Network::NAT);
    let _guest = lab.attach(1);
    let file = init(&lab);
    assert!(
        file.contains("\nbridge = \"br0\"\n") && file.contains("\naddress = \"10.0.100.3/24\"\n"),
        "{file}"
    );
    // In bridged mode it is the bridge that has the default route; the NIC is behind it.
    let lab = Lab::new(Network::BRIDGED);
    let _guest = lab.attach(1);
    let file = init(&lab);
    assert!(file.contains("\nuplink = \"eth3\"\n") && !file.contains("# Here: "), "{file}");
}

#[test]
fn a_machine_with_a_route_in_the_way() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("route add 10.0.100.0/24 via 192.168.1.25");
    let file =
        works(&lab, ["bridge = \"br0\"", "address = \"10.0.101.3/24\"", "uplink = \"eth3\""], "10.0.101");
    assert!(
        file.contains("# Here: 10.0.100.0/24 is taken: there is a route 10.0.100.0/24 over eth3."),
        "{file}"
    );
}

#[test]
fn a_machine_with_an_address_in_the_way() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("addr add 10.0.100.77/24 dev eth4 noprefixroute");
    let file =
        works(&lab, ["bridge = \"br0\"", "address = \"10.0.101.3/24\"", "uplink = \"eth3\""], "10.0.101");
    assert!(file.contains("# Here: 10.0.100.0/24 is taken: 10.0.100.77 is an address of eth4."), "{file}");
}

#[test]
fn a_machine_with_a_vpn() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add dev tun0 mode tun");
    lab.host.ip("addr add 10.8.0.2/32 dev tun0");
    lab.host.ip("link set tun0 up");
    lab.host.ip("route add 10.0.0.0/8 dev tun0");
    let file =
        works(&lab, ["bridge = \"br0\"", "address = \"172.31.100.3/24\"", "uplink = \"eth3\""], "172.31.100");
    assert!(file.contains("is taken: there is a route 10.0.0.0/8 over tun0."), "{file}");
}

#[test]
fn a_machine_with_another_br0() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set br0 addrgenmode none");
    lab.host.ip("addr add 10.55.0.1/24 dev br0");
    lab.host.ip("link set br0 up");
    works(&lab, ["bridge = \"kvmbr0\"", "address = \"10.0.100.3/24\"", "uplink = \"eth3\""], "10.0.100");
}

#[test]
fn a_machine_whose_lan_is_a_bridge() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set eth3 master br0");
    lab.host.ip("addr flush dev eth3");
    lab.host.ip("addr add 192.168.1.230/24 dev br0");
    lab.host.ip("link set br0 up");
    lab.host.ip("route add default via 192.168.1.25");
    lab.settle();
    let keys = ["bridge = \"kvmbr0\"", "address = \"10.0.100.3/24\"", "uplink = \"br0\""];
    let file = works(&lab, keys, "10.0.100");
    // What the file says of bridged is true.
    assert!(file.contains("mode = \"bridged\", bridge = \"br0\""), "{file}");
    lab.write_config("mode = \"bridged\"\nbridge = \"br0\"\nuplink = \"auto\"\n");
    let guest = on_the_lan(&lab);
    eventually("the guest is on the LAN", || guest.pings("192.168.1.25"));
}

#[test]
fn a_machine_without_a_way_out() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("route del default");
    lab.host.ip("-6 route del default");
    let keys = ["mode = \"nat\"", "address = \"10.0.100.3/24\"", "#uplink = \"eth3\""];
    let file = init(&lab);
    for key in keys {
        assert!(file.lines().any(|line| line == key), "{key} must be a line of\n{file}");
    }
    let guest = start(&lab, "10.0.100");
    eventually("the guest reaches the host", || guest.pings("10.0.100.3"));
}
