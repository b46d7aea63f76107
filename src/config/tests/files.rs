//! Named networks, and which one a tap gets.

use super::{PATH, check, complaints, environment, name, networks, taps};
use crate::config::{Environment, File};
use crate::model::Mode;

#[test]
fn all_ways_to_write_a_table_are_one() {
    let expected = networks("[network.lab]\nmode='isolated'\nbridge='br-lab'\ntaps='lab*'").unwrap();
    assert_eq!(expected.len(), 2);
    let rows = [
        "network.lab.mode='isolated'\nnetwork.lab.bridge='br-lab'\nnetwork.lab.taps=['lab*']",
        "network.lab={mode='isolated',bridge='br-lab',taps='lab*'}",
        "network={lab={mode='isolated',bridge='br-lab',taps='lab*'}}",
        "[network]\nlab.mode='isolated'\nlab.bridge='br-lab'\nlab.taps='lab*'",
        "[ network . \"lab\" ]\r\nmode='isolated'\r\nbridge=\"\"\"br-lab\"\"\"\r\ntaps='lab*'",
    ];
    for text in rows {
        let mut networks = networks(text).unwrap();
        assert_eq!(networks.iter().map(|network| network.origins.len()).sum::<usize>(), 3);
        // The lines differ.
        networks.iter_mut().zip(&expected).for_each(|(one, other)| one.origins = other.origins.clone());
        assert_eq!(networks, expected, "for {text:?}");
    }
}

#[test]
fn names_of_networks() {
    let rule = "1 to 32 letters, digits, \"-\", \"_\" and \".\"";
    let long = "x".repeat(33);
    for good in ["lab", "LAB-1_x.y", &"x".repeat(32), "0"] {
        let text = format!("[network.\"{good}\"]\nmode='isolated'\nbridge='b'");
        assert_eq!(complaints(networks(&text)), [""; 0], "{good}");
    }
    for (bad, shown) in
        [("", ""), ("a b", "a b"), ("a/b", "a/b"), ("é", "é"), ("a\\u001b", "a\\u{1b}"), (&long, &long)]
    {
        let text = format!("[network.\"{bad}\"]\nmode='isolated'\nbridge='b'");
        assert_eq!(
            complaints(networks(&text)),
            [format!("@1:10: \"{shown}\" is not a name for a network | {rule}")]
        );
    }
    check(&[(
        "[network.default]\nmode='nat'",
        &[
            "@1:10: the network \"default\" is the top level of the file | write its keys at the top, above the first [network.NAME]",
        ],
    )]);
}

#[test]
fn tables_in_the_wrong_place() {
    let write = "write [network.NAME], and the keys of the network below";
    check(&[
        ("network = 3", &[&format!("@1:11: network: expected tables with names | {write}")]),
        ("[[network]]", &[&format!("@1:1: network: expected tables with names | {write}")]),
        ("[network]\nmode = 'nat'", &[&format!("@2:1: network.mode: expected a table | {write}")]),
        ("[[network.lab]]", &[&format!("@1:11: network.lab: expected a table | {write}")]),
        (
            "taps = 'x'",
            &[
                "@1:1: \"taps\" is not allowed at the top level | write it under [network.NAME]: the top level gets the taps that are left",
            ],
        ),
    ]);
}

const THREE: &str = "
[network.zoo]
mode = 'isolated'
bridge = 'br-zoo'
taps = ['vif7.*', 'zoo?']
[network.lab]
mode = 'isolated'
bridge = 'br-lab'
taps = ['vif*', 'lab[0-9]']
[network.web]
mode = 'isolated'
bridge = 'br-web'
";

#[test]
fn a_tap_gets_the_first_network_that_fits() {
    let file = File::parse(PATH, THREE).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["default", "zoo", "lab", "web"]);
    assert_eq!(taps(&file, "lab"), ["vif*", "lab[0-9]"]);
    let rows: [(&str, Option<&str>, &str, &str); 10] = [
        ("vif7.0", None, "", "zoo"),
        ("vif0.0", None, "", "lab"),
        ("zoo1", None, "", "zoo"),
        ("lab5", None, "", "lab"),
        ("labx", None, "", "default"),
        ("tap0", None, "", "default"),
        ("vif0.0", None, "web", "web"),
        ("vif0.0", None, "default", "default"),
        ("vif0.0", Some("zoo"), "web", "zoo"),
        ("vif0.0", Some("default"), "web", "default"),
    ];
    for (tap, hook, variable, expected) in rows {
        let environment = environment(&[("KVMNET_NETWORK", variable)]);
        assert_eq!(file.choose(hook, &environment, &name(tap)), Ok(expected), "{tap} {hook:?} {variable}");
    }
}

#[test]
fn a_network_that_is_not_there() {
    let file = File::parse(PATH, THREE).unwrap();
    let none = Environment::default();
    let rows = [
        (
            file.choose(Some("labb"), &none, &name("x")),
            "the hook's name: no network \"labb\" in /etc/kvmnet.conf | did you mean \"lab\"?",
        ),
        (
            file.choose(None, &environment(&[("KVMNET_NETWORK", "xxxxx")]), &name("x")),
            "KVMNET_NETWORK: no network \"xxxxx\" in /etc/kvmnet.conf | its networks are: default, zoo, lab, web",
        ),
        (
            file.network("Zoo", &none).map(|_| ""),
            "/etc/kvmnet.conf: no network \"Zoo\" | did you mean \"zoo\"?",
        ),
        (
            File::built_in(PATH).choose(Some("lab"), &none, &name("x")).map(|_| ""),
            "the hook's name: no network \"lab\": there is no file /etc/kvmnet.conf",
        ),
    ];
    for (result, expected) in rows {
        assert_eq!(complaints(result).concat().replace('@', "/etc/kvmnet.conf:"), expected);
    }
}

#[test]
fn a_named_network_inherits_nothing() {
    let text = "mode='routed'\nuplink='eth0'\nkeep=true\n[network.lab]\nbridge='b'\naddress='10.1.0.1/24'";
    let networks = networks(text).unwrap();
    let lab = networks.iter().find(|network| network.name == "lab").unwrap();
    assert_eq!((lab.mode, lab.keep, &lab.uplink), (Mode::Nat, false, &crate::model::Uplink::DefaultRoute));
    check(&[
        (
            "[network.lab]",
            &[
                "@1:10: the network \"lab\" has no bridge | write bridge = \"br-lab\" under [network.lab]",
                "@1:10: the network \"lab\" has no address, which its mode needs | write address = \"auto\", or one like \"10.0.101.3/24\", under [network.lab]",
            ],
        ),
        (
            "[network.lab]\nmode='isolated'",
            &["@1:10: the network \"lab\" has no bridge | write bridge = \"br-lab\" under [network.lab]"],
        ),
        (
            "network.thirteen-bytes.mode='isolated'",
            &[
                "@1:9: the network \"thirteen-bytes\" has no bridge | write bridge = \"br1\" under [network.thirteen-bytes]",
            ],
        ),
    ]);
}
