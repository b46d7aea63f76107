//! Each mode, with a guest on it that has talked.

use serde_json::{Value, json};

use crate::kit::{Seen, look, look_until, texts};
use crate::lab::{Guest, Lab, Network};

/// A lab with one guest, which the bridge and, where they can meet, the host have seen.
fn seen(network: Network) -> (Lab, Guest, Seen) {
    let lab = Lab::new(network);
    let one = lab.attach(1);
    lab.settle();
    let place = network.guest(1);
    let meets = network.mode != "isolated";
    let seen = look_until("the guest is seen", &lab, |seen| {
        // Whoever answers, the guest has sent something; and the host asks for the guest before it answers.
        one.pings_each(&[place.gateway4.clone(), place.gateway6.clone()]);
        if network.mode == "bridged" {
            lab.host.pings_each(&[place.v4.clone(), place.v6.clone()]);
        }
        let guest = seen.guest(&place.tap);
        let met = texts(&guest["addresses"]);
        guest["macs"] == json!([place.mac])
            && (!meets || met.contains(&place.v4.as_str()) && met.contains(&place.v6.as_str()))
    });
    seen.says(&if meets { format!("{}, {}", place.mac, place.v4) } else { place.mac });
    assert_eq!(seen.guest(&place.tap)["link"], "up");
    assert_eq!(seen.network("default")["mode"], network.mode);
    assert_eq!(seen.network("default")["state"], "up");
    assert_eq!(seen.network("default")["bridge_made"], true);
    assert_eq!(seen.network("default")["configuration"], "same");
    assert_eq!(seen.network("default")["problems"], json!([]), "{}", seen.text);
    seen.says(&format!("default: {}, up bridge br0, made by kvmnet", network.mode));
    (lab, one, seen)
}

const NO_FORWARDING: [bool; 2] = [false, false];

fn forwarding(network: &Value) -> [bool; 2] {
    ["ipv4", "ipv6"].map(|family| network["forwarding"][family].as_bool().unwrap())
}

#[test]
fn isolated() {
    let (_lab, _one, seen) = seen(Network::ISOLATED);
    let network = seen.network("default");
    assert_eq!([&network["addresses"], &network["uplinks"], &network["nat"]], [&json!([]); 3]);
    assert_eq!(forwarding(network), NO_FORWARDING);
    assert_eq!(seen.guest("vif0.0")["addresses"], json!([]), "they never met");
    assert_eq!(seen.change("netdev kvmnet-br0"), [None, Some("netdev kvmnet-br0")]);
    seen.says("changed made br0, table inet kvmnet-br0, table netdev kvmnet-br0");
}

#[test]
fn host_only_by_a_veth_pair() {
    let (_lab, _one, seen) = seen(Network::HOST_ONLY_VETH);
    let network = seen.network("default");
    assert_eq!(network["door"], "veth1.1");
    assert_eq!(texts(&network["addresses"]), ["10.0.100.3/24", "fd00:100::3/64"]);
    assert_eq!([&network["uplinks"], &network["nat"], &network["other_ports"]], [&json!([]); 3]);
    assert_eq!(forwarding(network), NO_FORWARDING);
    seen.says("host 10.0.100.3/24, fd00:100::3/64 on veth1.1");
    seen.says("made br0, veth1.0, veth1.1, table inet kvmnet-br0, table netdev kvmnet-br0");
}

#[test]
fn routed() {
    let (lab, _one, seen) = seen(Network::ROUTED);
    let network = seen.network("default");
    assert_eq!((&network["uplinks"], &network["uplinks_by"]), (&json!(["eth3"]), &json!("name")));
    assert_eq!(network["nat"], json!([]));
    assert_eq!(forwarding(network), [true, true]);
    let setting = "net/ipv4/conf/eth3/forwarding";
    assert_eq!(seen.change(setting), [Some("0"), Some("1")], "the former and the present value");
    seen.says("uplink eth3 forwarding IPv4 and IPv6");
    seen.says(&format!("set {setting} from 0 to 1"));
    // Somebody else decides otherwise.
    lab.host.sysctl("ipv4/conf/eth3/forwarding", "0");
    let after = look(&lab);
    assert_eq!(after.change(setting), [Some("0"), Some("0")]);
    after.says(&format!("set {setting} to 0, as it was before"));
}

#[test]
fn nat_by_the_default_route() {
    let (_lab, _one, seen) = seen(Network { uplink: "", ..Network::NAT });
    let network = seen.network("default");
    assert_eq!((&network["uplinks"], &network["uplinks_by"]), (&json!(["eth3"]), &json!("default-route")));
    assert_eq!(network["nat"], json!([{ "kind": "masquerade", "to": null }]));
    seen.says("uplink eth3, by the default route");
    seen.says("NAT masquerade");
}

#[test]
fn nat_as_somebody() {
    let (_lab, _one, seen) = seen(Network::NAT_SOURCE);
    let network = seen.network("default");
    assert_eq!((&network["uplinks"], &network["uplinks_by"]), (&json!(["eth3"]), &json!("name")));
    let nat = json!([{ "kind": "snat", "to": "192.168.1.230" }, { "kind": "masquerade", "to": null }]);
    assert_eq!(network["nat"], nat, "IPv6 has no such address");
    seen.says("NAT as 192.168.1.230, else masquerade");
}

#[test]
fn bridged() {
    let (lab, _one, seen) = seen(Network::BRIDGED);
    let network = seen.network("default");
    assert_eq!((&network["uplinks"], &network["uplinks_by"]), (&json!(["eth3"]), &json!("port")));
    assert!(texts(&network["addresses"]).contains(&"192.168.1.230/24"), "{network}");
    assert_eq!(network["other_ports"], json!([]), "the NIC is kvmnet's doing");
    assert_eq!(seen.change("192.168.1.230/24"), [Some("eth3"), Some("br0")]);
    assert_eq!(seen.change("fd00:1::230/64"), [Some("eth3"), Some("br0")]);
    assert_eq!(seen.change("eth3"), [None, Some("br0")]);
    seen.says("uplink eth3, a port of the bridge");
    seen.says("moved 192.168.1.230/24,");
    lab.host.ip("link set eth3 nomaster");
    look(&lab).says("made eth3 a port; it no longer is");
}

/// A bridge that was there before is told from one that was made, with what was changed of it.
#[test]
fn a_bridge_that_was_there() {
    let lab = Lab::new(Network::HOST_ONLY);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set br0 alias uplink-of-floor-3");
    lab.host.ip("link set br0 up");
    let _one = lab.attach(1);
    let seen = look(&lab);
    assert_eq!(seen.network("default")["bridge_made"], false);
    seen.says("bridge br0, was there before");
    assert_eq!(seen.change("alias of br0")[0], Some("uplink-of-floor-3"));
    assert_eq!(seen.change("10.0.100.3/24"), [None, Some("10.0.100.3/24")]);
    let links = seen.network("default")["changes"].as_array().unwrap();
    assert!(!links.iter().any(|change| change["kind"] == "link"), "no link was made: {links:#?}");
}

/// Where the routes say, forwarding is set for interfaces to come as well.
#[test]
fn what_was_set_everywhere() {
    let lab = Lab::new(Network::NAT_BY_ROUTES);
    let _one = lab.attach(1);
    let seen = look(&lab);
    assert_eq!(seen.change("net/ipv4/conf/default/forwarding"), [Some("0"), Some("1")]);
    assert!(!seen.text.contains("is gone"), "of IPv6, too: {}", seen.text);
}
