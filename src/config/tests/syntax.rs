//! Texts that are not TOML, and keys that do not exist.

use super::{check, complaints, networks};
use crate::config::File;
use crate::config::key::KEYS;

#[test]
fn a_value_without_quotes() {
    check(&[
        ("mode = nat", &["@1:8: mode: expected a text in quotes, found nat | write mode = \"nat\""]),
        (
            "# é\n  mode = nat # ü\n\nbridge = br-lab",
            &[
                "@2:10: mode: expected a text in quotes, found nat | write mode = \"nat\"",
                "@4:10: bridge: expected a text in quotes, found br-lab | write bridge = \"br-lab\"",
            ],
        ),
        (
            "mode = \u{201c}nat\u{201d}",
            &["@1:8: mode: expected a text in quotes, found \u{201c}nat\u{201d} | write mode = \"nat\""],
        ),
        (
            "address = 10.0.100.3/24\r\n",
            &[
                "@1:11: address: expected a text in quotes, found 10.0.100.3/24 | write address = \"10.0.100.3/24\"",
            ],
        ),
        (
            "address = fd00::1/64",
            &["@1:11: address: expected a text in quotes, found fd00::1/64 | write address = \"fd00::1/64\""],
        ),
        (
            "nat_source = 192.168.1.1",
            &[
                "@1:14: nat_source: expected a text in quotes, found 192.168.1.1 | write nat_source = \"192.168.1.1\"",
            ],
        ),
        (
            "uplink = eth0, eth1",
            &[
                "@1:10: uplink: expected a text in quotes, found eth0, eth1 | write uplink = [\"eth0\", \"eth1\"]",
            ],
        ),
        (
            "network.lab.taps = [lab*, \"vif*\"]",
            &[
                "@1:20: taps: expected a text in quotes, found [lab*, \"vif*\"] | write taps = [\"lab*\", \"vif*\"]",
            ],
        ),
        ("mode =", &["@1:7: mode: expected a text in quotes, found nothing"]),
        ("keep = yes", &["@1:8: keep: expected true or false, found yes | write keep = true"]),
        ("keep = Off", &["@1:8: keep: expected true or false, found Off | write keep = false"]),
        ("keep = 07", &["@1:8: keep: expected true or false, found 07"]),
        ("keep =", &["@1:7: keep: expected true or false, found nothing"]),
        ("mode: \"nat\"", &["@1:7: mode: expected = behind the key, found : | write mode = \"nat\""]),
        ("mode: nat", &["@1:7: mode: expected = behind the key, found : | write mode = \"nat\""]),
        ("keep: no", &["@1:7: keep: expected = behind the key, found : | write keep = false"]),
        ("mdoe = nat", &["@1:1: unknown key \"mdoe\" | did you mean \"mode\"?"]),
    ]);
}

#[test]
fn no_toml() {
    check(&[
        ("mode = \"nat", &["@1:8: mode: the text has no closing quote | write mode = \"nat\""]),
        ("bridge = 'br0\n", &["@1:10: bridge: the text has no closing quote | write bridge = 'br0'"]),
        ("// nat", &["@1:1: a line cannot begin with // | a comment begins with #"]),
        ("\n  ; nat", &["@2:3: a line cannot begin with ; | a comment begins with #"]),
        ("mode", &["@1:5: not valid TOML: key with no value, expected `=`"]),
        (
            "= 3",
            &["@1:1: not valid TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"],
        ),
        ("[network.lab", &["@1:13: not valid TOML: unclosed table, expected `]`"]),
        (
            "bridge = \"x\" mode = \"nat\"",
            &["@1:14: not valid TOML: unexpected key or value, expected newline, `#`"],
        ),
        (
            "address = [\"a\" \"b\"]",
            &["@1:16: not valid TOML: missing comma between array elements, expected `,`"],
        ),
        (
            "\0",
            &["@1:1: not valid TOML at \"\\0\": invalid unquoted key, expected letters, numbers, `-`, `_`"],
        ),
        (
            "bridge=\"\u{1}\"",
            &[
                "@1:9: not valid TOML at \"\\u{1}\": invalid basic string, expected non-double-quote visible characters, `\\`",
            ],
        ),
        (
            "keep=true\rmode='nat'",
            &["@1:11: not valid TOML: carriage return must be followed by newline, expected newline"],
        ),
        ("mode = 'nat'\nmode = 'nat'", &["@2:1: duplicate key \"mode\""]),
        ("keep = true\nkeep = 5", &["@2:1: duplicate key \"keep\""]),
        ("[network.a]\n[network.a]", &["@2:10: duplicate key \"a\""]),
        (
            "mode = 'nat'\nmode.x = 1",
            &["@2:1: not valid TOML at \"mode\": cannot extend value of type string with a dotted key"],
        ),
    ]);
}

#[test]
fn unknown_keys() {
    let words: Vec<&str> = KEYS.iter().map(|key| key.word).collect();
    let keys = format!("the keys are: {}", words.join(", "));
    check(&[
        ("uplnk = 'x'", &["@1:1: unknown key \"uplnk\" | did you mean \"uplink\"?"]),
        ("Mode = 'x'", &["@1:1: unknown key \"Mode\" | did you mean \"mode\"?"]),
        ("nat-source = 'x'", &["@1:1: unknown key \"nat-source\" | did you mean \"nat_source\"?"]),
        ("addr = 'x'", &["@1:1: unknown key \"addr\" | did you mean \"address\"?"]),
        ("addresses = []", &["@1:1: unknown key \"addresses\" | did you mean \"address\"?"]),
        ("x = 9999999999999999999999999", &[&format!("@1:1: unknown key \"x\" | {keys}")]),
        ("\"\" = 1", &[&format!("@1:1: unknown key \"\" | {keys}")]),
        (
            "[network.lab]\nbridge='b'\naddress='10.1.0.1/24'\nupling = 1",
            &["@4:1: unknown key \"upling\" | did you mean \"uplink\"?"],
        ),
        (
            "[network.lab]\nbridge='b'\nmode='isolated'\nnetwork = 1",
            &[&format!("@4:1: unknown key \"network\" | {keys}")],
        ),
        ("[network.lab.nat]", &["@1:14: unknown table \"nat\" | did you mean [network.nat]?"]),
        ("[lab]\nmode = 'nat'", &["@1:2: unknown table \"lab\" | did you mean [network.lab]?"]),
        ("[networks.lab]", &["@1:2: unknown table \"networks\" | did you mean \"network\"?"]),
    ]);
}

#[test]
fn one_error_does_not_hide_the_next() {
    let text = "uplnk='x'\nkeep=1\naddress=['5','10.1.0.1/24','6']\n[network.lab]\nmode='x'\ntaps='['\n";
    let lines = complaints(networks(text));
    let places: Vec<&str> = lines.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["@1:1", "@2:6", "@3:10", "@3:28", "@5:6", "@6:6"]);
}

#[test]
fn bytes_that_are_no_text() {
    let rows: [(&[u8], &str); 4] = [
        (b"\xff", "@1:1"),
        (b"mode = 'nat'\n# \xc3\xa9 \xe9", "@2:5"),
        (b"\xef\xbb\xbfa\xff", "@1:2"),
        (b"mode = '\xf0\x9f", "@1:9"),
    ];
    for (bytes, place) in rows {
        assert_eq!(
            complaints(File::parse(super::PATH, bytes)),
            [format!("{place}: from here on it is not UTF-8")]
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["x = ".to_owned() + &"[".repeat(20_000), "x = ".to_owned() + &"{a=".repeat(20_000)] {
        assert!(!complaints(networks(&text)).is_empty());
    }
    assert!(!complaints(networks(&format!("[{}]", "a.".repeat(20_000)))).is_empty());
    assert!(!complaints(networks(&format!("{}=1", "a.".repeat(20_000)))).is_empty());
}
