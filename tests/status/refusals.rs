//! What it cannot do, or not without rights; and that the data are as documented.

use serde_json::{Value, json};

use crate::kit::{look, look_with, texts};
use crate::lab::{Cli, Lab, Network};
use crate::qemu::Empty;
use crate::schema;

/// Somebody without any rights.
const NOBODY: u32 = 65534;

/// Without rights it shows what everybody may see, and says what is missing.
#[test]
fn without_rights() {
    let lab = Lab::new(Network::NAT);
    let one = Empty::run(&lab, "-name web -netdev tap,id=n0,ifname=vif0.0");
    let seen = look_with(&lab, |cli| cli.user(NOBODY));
    let network = seen.network("default");
    assert_eq!([&network["state"], &network["mode"], &network["configuration"]], ["up", "nat", "same"]);
    assert_eq!([&network["uplinks"], &network["nat"]], [&json!(null); 2], "the rules tell them");
    assert_eq!(seen.change("net/ipv4/conf/eth3/forwarding"), [Some("0"), Some("1")]);
    assert_eq!(network["problems"], json!([]), "a table that cannot be seen is not missed");
    let guest = seen.guest("vif0.0");
    assert_eq!((&guest["link"], &guest["vm"], &guest["processes"]), (&json!("up"), &json!(null), &json!([])));
    let notes = texts(&seen.data["notes"]);
    assert!(notes.len() == 2 && notes.iter().all(|note| note.starts_with("not root: ")), "{notes:?}");
    seen.says("note: not root: nftables cannot be read");
    seen.says("note: not root: the files of other users' processes cannot be seen");
    assert_eq!(look(&lab).data["notes"], json!([]), "root sees it all");
    one.stop();
}

#[test]
fn a_network_that_nobody_knows() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ISOLATED.lab_table()));
    let status = |name: &str| Cli::new(&lab.host, &["status", name]).run();
    assert_eq!(
        status("labb").complains(2),
        "kvmnet: no network is called \"labb\"\nhint: did you mean \"lab\"?\n"
    );
    assert!(status("x").complains(2).contains("hint: the networks are: default, lab\n"));
    assert!(!status("a\u{1b}[31m").complains(2).contains('\u{1b}'));
    let one = lab.attach_in_lab(1);
    // Of one that stands it is not asked whether the file still has it.
    lab.write_config(&Network::NAT.config());
    assert!(status("lab").ok().starts_with("lab: isolated, up"));
    assert!(status("labb").complains(2).contains("did you mean \"lab\"?"));
    // Where the file is broken the network may be in it.
    lab.write_config("mode = \"natt\"\n");
    assert!(status("labb").complains(2).contains("/etc/kvmnet.conf:1:"));
    assert!(status("lab").ok().starts_with("lab: isolated, up"));
    drop(one);
}

/// A file that others may write is not relied on, and that is said.
#[test]
fn a_file_of_anybodys() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("chmod 666 /etc/kvmnet.conf");
    let seen = look(&lab);
    assert_eq!(seen.data["networks"], json!([]));
    seen.says("No network is up.");
    assert!(
        texts(&seen.data["notes"])[0].contains("users other than its owner can write to it"),
        "{}",
        seen.text
    );
}

/// A program that reads the data relies on their form: every field is there, and no other.
#[test]
fn the_schema_refuses_what_is_not_documented() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    let good = look(&lab).data;
    let schema = schema::documented();
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut data = good.clone();
        change(&mut data);
        schema::errors(&schema, &data)
    };
    assert_eq!(wrong(&|_| {}), [] as [&str; 0]);
    for (change, complaint) in [
        (
            &(|data: &mut Value| data["surprise"] = json!(1)) as &dyn Fn(&mut Value),
            "surprise is not documented",
        ),
        (&|data| data["version"] = json!(2), "$.version: 2 is none of [1]"),
        (&|data| data["networks"][0]["mode"] = json!("natt"), "$.networks[0].mode: \"natt\" is none of"),
        (&|data| data["networks"][0]["keep"] = json!("no"), "$.networks[0].keep: \"no\" is not of type"),
        (&|data| drop(data["networks"][0].as_object_mut().unwrap().remove("door")), "\"door\" is missing"),
        (
            &|data| data["networks"][0]["guests"][0]["macs"] = json!([7]),
            "guests[0].macs[0]: 7 is not of type",
        ),
        (&|data| data["networks"][0]["guests"][0]["tap"] = json!(null), "guests[0].tap: null is not of type"),
    ] {
        let errors = wrong(change);
        assert!(matches!(&errors[..], [error] if error.contains(complaint)), "{complaint}: {errors:?}");
    }
}

/// The documentation explains every field of the schema.
#[test]
fn every_field_is_explained() {
    let page = include_str!("../../docs/status.md");
    let schema = schema::documented();
    let definitions = schema["$defs"].as_object().unwrap().values();
    for properties in
        definitions.chain([&schema]).filter_map(|definition| definition["properties"].as_object())
    {
        for (name, rule) in properties {
            assert!(page.contains(&format!("`{name}`")), "docs/status.md explains {name}");
            assert!(rule["$ref"].is_string() || rule["description"].is_string(), "{name} is described");
        }
    }
}
