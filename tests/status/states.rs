//! Networks that are not as they should be, or not at all.

use std::fs;

use serde_json::json;

use crate::kit::{look, look_with, texts};
use crate::lab::{Cli, Lab, Network};

fn two_networks() -> Lab {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ISOLATED.lab_table()));
    lab
}

/// Each network has its guests, and one that is asked for is shown alone.
#[test]
fn two_networks_side_by_side() {
    let lab = two_networks();
    let before = look(&lab);
    before.says("No network is up.");
    before.says("default: nat on br0 with 10.0.100.3/24, fd00:100::3/64, not up");
    before.says("lab: isolated on br-lab, not up");
    let (_one, _other) = (lab.attach_in_lab(1), lab.attach(1));
    let seen = look(&lab);
    assert_eq!(seen.data["networks"].as_array().unwrap().len(), 2);
    for (name, bridge, mode, tap) in
        [("default", "br0", "nat", "vif0.0"), ("lab", "br-lab", "isolated", "lab0.0")]
    {
        let network = seen.network(name);
        assert_eq!([&network["bridge"], &network["mode"]], [bridge, mode]);
        assert_eq!(network["guests"].as_array().unwrap().len(), 1);
        assert_eq!(seen.guest(tap)["bridge"], bridge);
    }
    let default = seen.text.find("default: nat, up").unwrap();
    assert!(
        default < seen.text.find("lab: isolated, up").unwrap(),
        "in the order of the file:\n{}",
        seen.text
    );
    let alone = Cli::new(&lab.host, &["status", "lab"]).run().ok();
    assert!(alone.contains("lab0.0") && !alone.contains("default") && !alone.contains("vif0.0"), "{alone}");
}

/// What the file says now is compared with what stands.
#[test]
fn a_configuration_that_changed_since() {
    let lab = two_networks();
    let (_one, _other) = (lab.attach(1), lab.attach_in_lab(1));
    lab.write_config(&Network::HOST_ONLY.config());
    let seen = look(&lab);
    assert_eq!(seen.network("default")["configuration"], "differs");
    assert_eq!(seen.network("default")["mode"], "nat", "what stands is shown, not what is configured");
    assert_eq!(seen.network("lab")["configuration"], "absent");
    seen.says("note not as configured: the configuration was changed since");
    seen.says("note no longer in the configuration");
}

/// A network that is kept, without guests, is nothing to complain of.
#[test]
fn a_network_that_is_kept() {
    let lab = Lab::new(Network { keys: "keep = true\n", ..Network::HOST_ONLY });
    let one = lab.attach(1);
    lab.detach(one);
    let seen = look(&lab);
    assert_eq!(
        (&seen.network("default")["state"], &seen.network("default")["keep"]),
        (&json!("up"), &json!(true))
    );
    assert_eq!(seen.network("default")["problems"], json!([]));
    seen.says("keep it stays when its last guest leaves");
    seen.says("guests 0");
}

/// Nor is one that somebody brought up with `kvmnet up`.
#[test]
fn a_network_that_was_brought_up_without_guests() {
    let lab = Lab::new(Network::NAT);
    Cli::new(&lab.host, &["up", "default"]).run().ok();
    let seen = look(&lab);
    let network = seen.network("default");
    assert_eq!((&network["state"], &network["problems"]), (&json!("up"), &json!([])));
}

/// Whatever somebody takes away from under a network is missed.
#[test]
fn what_is_missing_is_said() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    lab.host.run("nft flush ruleset");
    lab.host.ip("addr del 10.0.100.3/24 dev br0");
    lab.host.ip("link set br0 down");
    let seen = look(&lab);
    assert_eq!(seen.network("default")["state"], "down");
    let problems = texts(&seen.network("default")["problems"]);
    for words in
        ["bridge br0 is switched off", "table inet kvmnet-br0 is gone", "10.0.100.3/24 is gone from br0"]
    {
        assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
    }
    assert_eq!(seen.change("10.0.100.3/24"), [None, None]);
    assert_eq!(seen.network("default")["uplinks"], json!(null), "the rules told them");
    drop(one);
    look(&lab).says("problem no guest is on it; `kvmnet gc` or the next hook removes it");
}

/// The bridge is deleted: its table still tells what the network was.
#[test]
fn remains_of_a_network() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.host.ip("link del br0");
    let seen = look(&lab);
    let network = seen.network("default");
    assert_eq!((&network["state"], &network["bridge_made"]), (&json!("remains"), &json!(null)));
    assert_eq!(seen.change("net/ipv4/conf/eth3/forwarding"), [Some("0"), Some("1")]);
    assert_eq!(seen.data["strays"][0]["tap"], "vif0.0");
    seen.says("default: nat, leftovers only");
    seen.says("problem bridge br0 is gone; the next hook cleans up");
}

/// A table of somebody's with the name of one of kvmnet's, and nothing in it.
#[test]
fn a_table_without_a_record() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("nft add table inet kvmnet-br7");
    let seen = look(&lab);
    let network = seen.network("br7");
    assert_eq!((&network["mode"], &network["configuration"]), (&json!(null), &json!("unknown")));
    seen.says("problem kvmnet-br7 has no record of what it is for; the next hook removes it");
}

/// Without a file what is built in would serve.
#[test]
fn without_a_configuration() {
    let lab = Lab::new(Network::NAT);
    lab.host.enter(|| fs::remove_file("/etc/kvmnet.conf")).unwrap();
    let seen = look(&lab);
    assert_eq!(seen.data["networks"].as_array().unwrap().len(), 1);
    assert_eq!(seen.data["notes"], json!([]));
    seen.says("No network is up. default: nat on br0 with any free subnet, not up");
}

/// A file with an error is no reason not to show what is; it is said, and who tells more.
#[test]
fn with_a_broken_configuration() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    lab.write_config("mode = \"natt\"\nuplnk = \"eth3\"\n");
    let seen = look(&lab);
    assert_eq!(seen.network("default")["state"], "up");
    assert_eq!(seen.network("default")["configuration"], "unknown");
    let notes = texts(&seen.data["notes"]);
    assert!(
        matches!(notes[..], [note] if note.contains("`kvmnet check`") && note.contains(":1:")),
        "{notes:?}"
    );
    seen.says("note: the configuration has errors");
    lab.write_config("mode = [");
    assert_eq!(texts(&look(&lab).data["notes"]).len(), 1);
    // Likewise a variable that nobody knows.
    lab.write_config(&Network::NAT.config());
    let seen = look_with(&lab, |cli| cli.env("KVMNET_MDOE", "nat"));
    assert!(texts(&seen.data["notes"])[0].contains("KVMNET_MDOE"), "{}", seen.text);
}
