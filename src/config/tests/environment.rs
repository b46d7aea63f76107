use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{complaints, default, environment, name, networks};
use crate::config::key::KEYS;
use crate::config::{Environment, File, open};
use crate::model::{Mode, Origin, Uplink};

const ALL: [(&str, &str); 7] = [
    ("KVMNET_MODE", "nat"),
    ("KVMNET_BRIDGE", "br7"),
    ("KVMNET_ADDRESS", "10.7.0.1/24 , fd07::1/64"),
    ("KVMNET_UPLINK", "eth3  eth4,eth5"),
    ("KVMNET_NAT_SOURCE", "192.0.2.1"),
    ("KVMNET_VETH", "veth7"),
    ("KVMNET_KEEP", "yes"),
];

#[test]
fn every_key_can_be_overridden() {
    let file = "mode='routed'\nbridge='b'\naddress='10.1.0.1/24'\nuplink='e'\nnat_source='1.1.1.1'\nveth='v'\nkeep=false";
    let expected = networks(
        "mode='nat'\nbridge='br7'\naddress=['10.7.0.1/24','fd07::1/64']\nuplink=['eth3','eth4','eth5']\nnat_source='192.0.2.1'\nveth='veth7'\nkeep=true",
    );
    let mut expected = expected.unwrap().remove(0);
    for ((_, origin), (name, _)) in expected.origins.iter_mut().zip(ALL) {
        *origin = Origin::Environment(name.to_owned());
    }
    expected.overridden = true;
    expected.variable = Some("KVMNET_MODE".to_owned());
    assert_eq!(default(file, &ALL), Ok(expected.clone()));
    assert_eq!(default("", &ALL), Ok(expected.clone()));
}

#[test]
fn only_what_is_overridden_changes() {
    let network = default("keep=true\nbridge='b'", &[("KVMNET_MODE", "isolated")]).unwrap();
    assert_eq!((network.mode, network.bridge.as_str(), network.keep), (Mode::Isolated, "b", true));
    assert!(network.overridden);
    assert!(!default("mode='nat'", &[("KVMNET_MODE", "nat")]).unwrap().overridden, "the file says so, too");
    assert_eq!(network.origin("mode"), &Origin::Environment("KVMNET_MODE".to_owned()));
    assert_eq!(network.origin("bridge").to_string(), "/etc/kvmnet.conf:2");
    assert_eq!(network.origin("address"), &Origin::Default);
}

#[test]
fn an_empty_value_is_none() {
    let names = ["MODE", "BRIDGE", "ADDRESS", "UPLINK", "NAT_SOURCE", "VETH", "KEEP", "NETWORK", "CONFIG"];
    let empty = Environment::new(names.map(|name| (format!("KVMNET_{name}"), "")));
    let file = File::parse(super::PATH, "").unwrap();
    assert_eq!(file.network("default", &empty), file.network("default", &Environment::default()));
    assert_eq!(file.choose(None, &empty, &name("vif0.0")), Ok("default"));
    assert_eq!(
        default("", &[("KVMNET_UPLINK", " , ")]).map(|network| network.uplink),
        Ok(Uplink::DefaultRoute)
    );
}

#[test]
fn words_for_keep() {
    for (word, expected) in
        [("true", true), ("1", true), ("yes", true), ("false", false), ("0", false), ("no", false)]
    {
        let keep = default("", &[("KVMNET_KEEP", word)]).map(|network| network.keep);
        assert_eq!(keep, Ok(expected), "{word}");
    }
    assert_eq!(
        complaints(default("", &[("KVMNET_KEEP", "maybe")])),
        ["KVMNET_KEEP: expected true or false, found \"maybe\"",]
    );
}

#[test]
fn a_variable_that_is_none_of_ours() {
    let words: Vec<String> = KEYS.iter().filter_map(|key| key.variable()).collect();
    let all =
        format!("unknown variable | KVMNET_ is followed by one of {}, CONFIG, NETWORK", words.join(", "));
    let rows = [
        ("KVMNET_MDOE", "KVMNET_MDOE: unknown variable | did you mean KVMNET_MODE?"),
        ("KVMNET_mode", "KVMNET_mode: unknown variable | did you mean KVMNET_MODE?"),
        ("KVMNET_NETWORKS", "KVMNET_NETWORKS: unknown variable | did you mean KVMNET_NETWORK?"),
        ("KVMNET_TAPS", "KVMNET_TAPS: unknown variable | KVMNET_NETWORK=NAME chooses a network"),
        ("KVMNET_XYZ", &format!("KVMNET_XYZ: {all}")),
        ("KVMNET_\u{1b}", &format!("KVMNET_\\u{{1b}}: {all}")),
    ];
    for (name, expected) in rows {
        assert_eq!(complaints(default("", &[(name, "")])), [expected]);
    }
    for name in ["KVMNETMODE", "kvmnet_mode", "XKVMNET_MODE", "PATH", ""] {
        assert_eq!(environment(&[(name, "x")]), Environment::default());
    }
}

#[test]
fn values_that_are_no_text() {
    let bytes = OsString::from_vec(vec![b'a', 0xff]);
    for name in ["KVMNET_MODE", "KVMNET_CONFIG", "KVMNET_NETWORK", "KVMNET_OTHER"] {
        let environment = Environment::new([(OsString::from(name), bytes.clone())]);
        assert_eq!(complaints(open(&environment)), [format!("{name}: the value is not UTF-8")]);
    }
    let odd_name = OsString::from_vec(b"KVMNET_\xff".to_vec());
    assert_eq!(complaints(open(&Environment::new([(odd_name, "x")]))).len(), 1);
}

#[test]
fn all_wrong_variables_are_named() {
    let wrong =
        [("KVMNET_VETH", "a b"), ("KVMNET_ADDRESS", "10.0.0.1 10.0.0.2"), ("KVMNET_UPLINK", "auto,eth0")];
    assert_eq!(
        complaints(default("", &wrong)),
        [
            "KVMNET_ADDRESS: \"10.0.0.1\" has no prefix | did you mean \"10.0.0.1/24\"?",
            "KVMNET_ADDRESS: \"10.0.0.2\" has no prefix | did you mean \"10.0.0.2/24\"?",
            "KVMNET_UPLINK: \"auto\" cannot stand beside other names | write uplink = \"auto\" alone, or the names alone",
            "KVMNET_VETH: \"a b\" is not an interface name: ' ' is not allowed in one",
        ]
    );
}

#[test]
fn the_first_of_two_counts() {
    let twice = [("KVMNET_MODE", "isolated"), ("KVMNET_MODE", "bogus")];
    assert_eq!(default("", &twice).map(|network| network.mode), Ok(Mode::Isolated));
}

#[test]
fn an_override_can_complete_a_network_or_clash() {
    let file = File::parse(super::PATH, "[network.lab]\nkeep=true").unwrap();
    let complete = environment(&[("KVMNET_BRIDGE", "b"), ("KVMNET_ADDRESS", "10.1.0.1/24")]);
    assert_eq!(file.network("lab", &complete).map(|network| network.bridge), Ok(name("b")));
    // The network lab is still incomplete for everybody else.
    assert_eq!(complaints(file.network("default", &complete)).len(), 2);
    let lab = "[network.lab]\nmode='isolated'\nbridge='br-lab'";
    assert_eq!(
        complaints(default(lab, &[("KVMNET_BRIDGE", "br-lab")])),
        [
            "@3:8: bridge: \"br-lab\" belongs to the network \"default\" (KVMNET_BRIDGE) | each network has its own",
        ]
    );
}
