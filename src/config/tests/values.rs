//! Each key's values.

use std::net::IpAddr;

use super::{check, complaints, default, name, networks};
use crate::config::Environment;
use crate::config::File;
use crate::model::{Mode, Network, Origin, Uplink, Veth};

#[test]
fn nothing_is_the_default() {
    let expected = Network {
        name: "default".to_owned(),
        mode: Mode::Nat,
        bridge: name("br0"),
        auto_address: true,
        uplink: Uplink::DefaultRoute,
        nat_source: None,
        veth: None,
        keep: false,
        confirm: true,
        take_managed: false,
        domain: "kvm".to_owned(),
        origins: Vec::new(),
        overridden: false,
        digest: 0xaa7c_af22,
        ..Network::default()
    };
    for text in ["", "\n", "# nothing\r\n", "\u{feff}", "\u{feff}# nothing", "[network]"] {
        assert_eq!(networks(text), Ok(vec![expected.clone()]), "for {text:?}");
    }
    assert_eq!(File::built_in("x").network("default", &Environment::default()), Ok(expected));
}

#[test]
fn every_key_arrives() {
    let text = r#"
mode    = "nat"
bridge  = "br7"
address = ["10.7.0.1/24", "2001:db8:7::1/64"]
uplink  = ["eth3", "wlan0"]
nat_source = "192.168.1.230"
veth    = "veth1"
keep    = true
"#;
    let place = |line, column| Origin::File { path: super::PATH.to_owned(), line, column };
    let network = default(text, &[]).unwrap();
    let expected = Network {
        name: "default".to_owned(),
        mode: Mode::Nat,
        bridge: name("br7"),
        addresses: vec!["10.7.0.1/24".parse().unwrap(), "2001:db8:7::1/64".parse().unwrap()],
        uplink: Uplink::Named(vec![name("eth3"), name("wlan0")]),
        nat_source: Some(IpAddr::from([192, 168, 1, 230])),
        veth: Some(Veth { outer: name("veth1.0"), inner: name("veth1.1") }),
        keep: true,
        confirm: true,
        take_managed: false,
        domain: "kvm".to_owned(),
        digest: network.digest,
        origins: vec![
            ("mode", place(2, 11)),
            ("bridge", place(3, 11)),
            ("address", place(4, 11)),
            ("uplink", place(5, 11)),
            ("nat_source", place(6, 14)),
            ("veth", place(7, 11)),
            ("keep", place(8, 11)),
        ],
        overridden: false,
        ..Network::default()
    };
    assert_eq!(network, expected);
    assert_eq!(default(&text.replace('\n', "\r\n"), &[]), Ok(expected));
}

#[test]
fn every_mode_has_its_word() {
    for mode in Mode::ALL {
        let network = default(&format!("mode = '{mode}'\nuplink = 'eth0'"), &[]);
        assert_eq!(network.map(|network| network.mode), Ok(mode));
    }
}

#[test]
fn wrong_modes() {
    let rows = [
        ("natt", Some("nat")),
        ("NAT", Some("nat")),
        ("Nat ", Some("nat")),
        ("masquerade", Some("nat")),
        ("bridge", Some("bridged")),
        ("Bridged", Some("bridged")),
        ("macvtap", Some("bridged")),
        ("hostonly", Some("host-only")),
        ("host_only", Some("host-only")),
        ("host", Some("host-only")),
        ("route", Some("routed")),
        ("router", Some("routed")),
        ("private", Some("isolated")),
        ("Internal", Some("isolated")),
        ("isolate", Some("isolated")),
        ("", None),
        ("xyz", None),
        ("a", None),
    ];
    for (word, meant) in rows {
        let hint = meant.map(|meant| format!(" | did you mean \"{meant}\"?")).unwrap_or_default();
        let problem = format!("unknown mode {word:?} (isolated, host-only, routed, nat, bridged){hint}");
        assert_eq!(complaints(networks(&format!("mode = '{word}'"))), [format!("@1:8: mode: {problem}")]);
        if !word.is_empty() {
            assert_eq!(
                complaints(default("", &[("KVMNET_MODE", word)])),
                [format!("KVMNET_MODE: {problem}")]
            );
        }
    }
}

#[test]
fn wrong_types() {
    check(&[
        ("keep = 1", &["@1:8: keep: expected true or false, found 1 | write keep = true"]),
        ("keep = 'no'", &["@1:8: keep: expected true or false, found \"no\" | write keep = false"]),
        ("keep = 'true'", &["@1:8: keep: expected true or false, found \"true\" | leave the quotes out"]),
        ("keep = 'si'", &["@1:8: keep: expected true or false, found \"si\""]),
        ("keep = [true]", &["@1:8: keep: expected true or false, found a list"]),
        ("address = 5", &["@1:11: address: expected a text in quotes, found 5 | put it in quotes: \"5\""]),
        ("address = [5]", &["@1:12: address: expected a text in quotes, found 5 | put it in quotes: \"5\""]),
        ("address = [['10.1.0.1/24']]", &["@1:12: address: expected a text in quotes, found a list"]),
        ("address = {}", &["@1:11: address: expected a text in quotes, found a table"]),
        ("mode = true", &["@1:8: mode: expected a text in quotes, found true"]),
        ("mode = ['nat']", &["@1:8: mode: expected a text in quotes, found a list"]),
        ("[mode]", &["@1:1: mode: expected a text in quotes, found a table"]),
        ("[[mode]]", &["@1:1: mode: expected a text in quotes, found a list"]),
        ("mode.nat = 1", &["@1:1: mode: expected a text in quotes, found a table"]),
        (
            "bridge = 2024-01-01",
            &[
                "@1:10: bridge: expected a text in quotes, found 2024-01-01 | put it in quotes: \"2024-01-01\"",
            ],
        ),
        (
            "veth = 99999999999999999999999",
            &[
                "@1:8: veth: expected a text in quotes, found 99999999999999999999999 | put it in quotes: \"99999999999999999999999\"",
            ],
        ),
        (
            "nat_source = -inf",
            &["@1:14: nat_source: expected a text in quotes, found -inf | put it in quotes: \"-inf\""],
        ),
    ]);
}

#[test]
fn interface_names() {
    check(&[
        ("bridge = 'fifteen-bytes-x'", &[]),
        (
            "bridge = 'sixteen-bytes-xx'",
            &["@1:10: bridge: \"sixteen-bytes-xx\" is 16 bytes long, an interface name has at most 15"],
        ),
        ("bridge = ''", &["@1:10: bridge: an interface name cannot be empty"]),
        ("bridge = 'a/b'", &["@1:10: bridge: \"a/b\" is not an interface name: '/' is not allowed in one"]),
        ("bridge = '..'", &["@1:10: bridge: \"..\" is not an interface name"]),
        ("bridge = 'br%d'", &["@1:10: bridge: \"br%d\" is a name that the kernel keeps for itself"]),
        ("bridge = 'all'", &["@1:10: bridge: \"all\" is a name that the kernel keeps for itself"]),
        ("bridge = 'lo'", &["@1:10: bridge: \"lo\" is a name that the kernel keeps for itself"]),
        ("veth = 'thirteen-byte'", &[]),
        (
            "veth = 'fourteen-bytes'",
            &[
                "@1:8: veth: \"fourteen-bytes.0\" is 16 bytes long, an interface name has at most 15 | a name for two ends, .0 and .1, has at most 13 bytes",
            ],
        ),
        ("veth = ''", &["@1:8: veth: an interface name cannot be empty"]),
        ("veth = '.'", &["@1:8: veth: \".\" is not an interface name"]),
    ]);
}

#[test]
fn control_characters_are_shown_not_obeyed() {
    let text = "bridge = \"\\u001b[31m\"\n\"x\\u001b\\n\\u202e\" = 1";
    assert_eq!(
        complaints(networks(text))[0],
        "@1:10: bridge: \"\\u{1b}[31m\" is not an interface name: '\\u{1b}' is not allowed in one"
    );
    for line in complaints(networks(text)) {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    let wrong_path = File::parse("/tmp/\u{1b}[2J\n", "x=1").unwrap_err();
    assert!(wrong_path.iter().all(|error| !error.to_string().contains(char::is_control)));
}

#[test]
fn an_absurd_value_is_cut() {
    let lines = complaints(networks(&format!("mode = '{0}'\nbridge = '{0}'\n{0} = 1", "x".repeat(100_000))));
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.len() < 1000), "{lines:?}");
}

#[test]
fn uplinks() {
    let uplink = |text: &str| default(&format!("uplink = {text}"), &[]).map(|network| network.uplink);
    assert_eq!(uplink("'auto'"), Ok(Uplink::DefaultRoute));
    assert_eq!(uplink("['auto']"), Ok(Uplink::DefaultRoute));
    assert_eq!(uplink("'eth0'"), Ok(Uplink::Named(vec![name("eth0")])));
    assert_eq!(uplink("['eth0', 'eth1',]"), Ok(Uplink::Named(vec![name("eth0"), name("eth1")])));
    let alone = "write uplink = \"auto\" alone, or the names alone";
    check(&[
        (
            "uplink = []",
            &["@1:10: uplink: the list is empty | leave the key out where there is nothing to say"],
        ),
        (
            "uplink = ['eth0', 'auto']",
            &[&format!("@1:19: uplink: \"auto\" cannot stand beside other names | {alone}")],
        ),
        ("uplink = ['eth0', 'eth0']", &["@1:19: uplink: duplicate interface \"eth0\""]),
        ("uplink = ['eth0', '']", &["@1:19: uplink: an interface name cannot be empty"]),
    ]);
}

#[test]
fn addresses_of_a_host() {
    for good in ["10.0.100.3/24", "10.0.0.0/31", "10.0.0.1/31", "10.0.0.1/30", "10.0.0.0/31", "192.0.2.1/1"] {
        assert_eq!(complaints(networks(&format!("address = '{good}'"))), [""; 0], "{good}");
    }
    for good in ["fd00::1/64", "2001:db8::1/127", "2001:db8::/127", "2001:db8::ffff:ffff:ffff:ffff/64"] {
        assert_eq!(
            complaints(networks(&format!("address = ['10.0.100.3/24', '{good}']"))),
            [""; 0],
            "{good}"
        );
    }
    let like = "an address of the host with its prefix, like \"10.0.100.3/24\"";
    let within = "write an address of the host in it";
    let rows = [
        ("", format!("\"\" is not an address | {like}")),
        ("x", format!("\"x\" is not an address | {like}")),
        ("/24", format!("\"/24\" is not an address | {like}")),
        (" 10.0.0.1/24", format!("\" 10.0.0.1/24\" is not an address | {like}")),
        ("010.0.0.1/24", format!("\"010.0.0.1/24\" is not an address | {like}")),
        ("10.0.0/24", format!("\"10.0.0/24\" is not an address | {like}")),
        ("fd00::1%eth0/64", format!("\"fd00::1%eth0/64\" is not an address | {like}")),
        ("10.0.0.1", "\"10.0.0.1\" has no prefix | did you mean \"10.0.0.1/24\"?".to_owned()),
        ("fd00::1", "\"fd00::1\" has no prefix | did you mean \"fd00::1/64\"?".to_owned()),
        ("10.0.0.1/", "\"\" is not a prefix of an address | like \"10.0.0.1/24\"".to_owned()),
        ("10.0.0.1/33", "\"33\" is not a prefix of an address | like \"10.0.0.1/24\"".to_owned()),
        ("10.0.0.1/024", "\"024\" is not a prefix of an address | like \"10.0.0.1/24\"".to_owned()),
        ("10.0.0.1/+24", "\"+24\" is not a prefix of an address | like \"10.0.0.1/24\"".to_owned()),
        ("fd00::1/129", "\"129\" is not a prefix of an address | like \"fd00::1/64\"".to_owned()),
        (
            "10.0.0.1/255.255.240.0",
            "\"255.255.240.0\" is not a prefix of an address | did you mean \"10.0.0.1/20\"?".to_owned(),
        ),
        (
            "10.0.0.1/255.0.255.0",
            "\"255.0.255.0\" is not a prefix of an address | like \"10.0.0.1/24\"".to_owned(),
        ),
        ("10.0.0.1/0", "the subnet of \"10.0.0.1/0\" is the whole Internet".to_owned()),
        ("fd00::1/0", "the subnet of \"fd00::1/0\" is the whole Internet".to_owned()),
        (
            "10.0.0.1/32",
            "\"10.0.0.1/32\" leaves no room for a guest | did you mean \"10.0.0.1/24\"?".to_owned(),
        ),
        (
            "fd00::1/128",
            "\"fd00::1/128\" leaves no room for a guest | did you mean \"fd00::1/64\"?".to_owned(),
        ),
        ("10.0.0.0/24", format!("\"10.0.0.0/24\" is the address of the subnet itself | {within}")),
        ("10.0.0.4/30", format!("\"10.0.0.4/30\" is the address of the subnet itself | {within}")),
        ("fd00::/64", format!("\"fd00::/64\" is the address of the subnet itself | {within}")),
        ("10.0.0.255/24", format!("\"10.0.0.255/24\" is the broadcast address of its subnet | {within}")),
        ("10.0.0.7/30", format!("\"10.0.0.7/30\" is the broadcast address of its subnet | {within}")),
        ("0.0.0.0/8", "0.0.0.0 is an address of \"this network\", which no host can have".to_owned()),
        ("0.1.2.3/8", "0.1.2.3 is an address of \"this network\", which no host can have".to_owned()),
        ("127.0.0.1/8", "127.0.0.1 is a loopback address, which no host can have".to_owned()),
        ("224.0.0.1/24", "224.0.0.1 is a multicast address, which no host can have".to_owned()),
        ("255.255.255.255/24", "255.255.255.255 is the broadcast address, which no host can have".to_owned()),
        ("::/64", ":: is the unspecified address, which no host can have".to_owned()),
        ("::1/64", "::1 is a loopback address, which no host can have".to_owned()),
        ("ff02::1/64", "ff02::1 is a multicast address, which no host can have".to_owned()),
        (
            "::ffff:10.0.0.1/120",
            "::ffff:10.0.0.1 is an IPv4 address in IPv6 form, which no host can have".to_owned(),
        ),
        (
            "fe80::1/64",
            "fe80::1 is a link-local address | leave it out: an interface has one by itself".to_owned(),
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(
            complaints(networks(&format!("address = '{text}'"))),
            [format!("@1:11: address: {expected}")]
        );
    }
}

#[test]
fn addresses_of_one_network_are_apart() {
    check(&[
        ("address = ['10.1.0.1/24', '10.2.0.1/24', 'fd00::1/64', 'fd00:0:0:1::1/64']", &[]),
        ("address = ['10.1.0.1/24', '10.1.0.1/24']", &["@1:27: address: duplicate address \"10.1.0.1/24\""]),
        (
            "address = ['10.1.0.1/24', '10.1.0.2/24']",
            &["@1:27: address: the subnet of \"10.1.0.2/24\" overlaps that of \"10.1.0.1/24\""],
        ),
        (
            "address = [\n'10.1.0.1/16',\n'10.1.7.2/24']",
            &["@3:1: address: the subnet of \"10.1.7.2/24\" overlaps that of \"10.1.0.1/16\""],
        ),
        (
            "address = []",
            &["@1:11: address: the list is empty | leave the key out where there is nothing to say"],
        ),
    ]);
}

#[test]
fn nat_sources() {
    let like = "one of the uplink's addresses, like \"192.168.1.230\"";
    check(&[
        ("nat_source = '192.168.1.230'", &[]),
        ("nat_source = 'x'", &[&format!("@1:14: nat_source: \"x\" is not an address | {like}")]),
        ("nat_source = ''", &[&format!("@1:14: nat_source: \"\" is not an address | {like}")]),
        (
            "nat_source = '192.168.1.230/24'",
            &[
                "@1:14: nat_source: \"192.168.1.230/24\" is not an address | an address without a prefix: \"192.168.1.230\"",
            ],
        ),
        (
            "nat_source = '127.0.0.1'",
            &["@1:14: nat_source: 127.0.0.1 is a loopback address, which no host can have"],
        ),
        (
            "nat_source = '0.0.0.0'",
            &["@1:14: nat_source: 0.0.0.0 is an address of \"this network\", which no host can have"],
        ),
        (
            "nat_source = '239.0.0.1'",
            &["@1:14: nat_source: 239.0.0.1 is a multicast address, which no host can have"],
        ),
        ("nat_source = '::'", &["@1:14: nat_source: :: is the unspecified address, which no host can have"]),
        (
            "nat_source = '2001:db8::9'\naddress = '10.1.0.1/24'",
            &["@1:14: nat_source: 2001:db8::9 is IPv6, and no address of this network is"],
        ),
        ("nat_source = '2001:db8::9'", &[]),
        ("nat_source = '2001:db8::9'\naddress = ['10.1.0.1/24', 'fd00::1/64']", &[]),
        (
            "nat_source = '192.0.2.1'\naddress = 'fd00::1/64'",
            &["@1:14: nat_source: 192.0.2.1 is IPv4, and no address of this network is"],
        ),
    ]);
}
