use crate::config::pattern::Pattern;

#[test]
fn matches_as_in_a_shell() {
    let rows = [
        ("vif0.0", "vif0.0", true),
        ("vif0.0", "vif0.1", false),
        ("vif0.0", "vif0.00", false),
        ("vif0.0", "vif0", false),
        ("*", "x", true),
        ("**", "x", true),
        ("lab*", "lab", true),
        ("lab*", "lab1", true),
        ("lab*", "xlab1", false),
        ("*lab", "my-lab", true),
        ("*lab", "my-labx", false),
        ("*a*b", "xaabb", true),
        ("*a*b", "xaabbx", false),
        ("a*b*c", "abbbc", true),
        ("a*b*c", "abbb", false),
        ("vif?.0", "vif7.0", true),
        ("vif?.0", "vif77.0", false),
        ("vif?", "vif", false),
        ("[abc]", "b", true),
        ("[abc]", "d", false),
        ("vif[0-9]", "vif5", true),
        ("vif[0-9]", "vifx", false),
        ("[a-cx-z]", "y", true),
        ("[!0-9]x", "ax", true),
        ("[!0-9]x", "1x", false),
        ("[^0-9]x", "1x", false),
        ("[]]", "]", true),
        ("[!]]", "]", false),
        ("[]-a]", "_", true),
        ("[a-]", "-", true),
        ("[a-]", "b", false),
        ("[-a]", "-", true),
        ("[a!]", "!", true),
        ("[[]", "[", true),
        ("[*]", "*", true),
        ("[*]", "a", false),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("[\\]]", "]", true),
        ("a]", "a]", true),
        ("*.*", ".", true),
        (".*", ".a", true),
        ("*", ".a", true),
        ("tap-é?", "tap-éü", true),
        ("LAB*", "lab1", false),
    ];
    for (pattern, name, expected) in rows {
        assert_eq!(Pattern::new(pattern).unwrap().matches(name), expected, "{pattern} {name}");
    }
}

#[test]
fn many_stars_take_no_time() {
    let pattern = Pattern::new(&format!("{}b", "*a".repeat(2000))).unwrap();
    assert!(!pattern.matches(&"a".repeat(4000)));
}

#[test]
fn malformed_patterns_name_their_line() {
    super::check(&[
        (
            "[network.lab]\nbridge='b'\naddress='10.1.0.1/24'\ntaps='vif[0-9'",
            &["@4:6: taps: \"vif[0-9\" has an unclosed ["],
        ),
        (
            "network.lab={mode='isolated',bridge='b',taps=['a','[','[]','[a\\','[!','a\\','','[[:digit:]]','[z-a]','[a-']}",
            &[
                "@1:51: taps: \"[\" has an unclosed [",
                "@1:55: taps: \"[]\" has an unclosed [",
                "@1:60: taps: \"[a\\\\\" has an unclosed [",
                "@1:66: taps: \"[!\" has an unclosed [",
                "@1:71: taps: \"a\\\\\" ends with a lone backslash",
                "@1:76: taps: an empty pattern matches no tap",
                "@1:79: taps: \"[[:digit:]]\" has a class like [:digit:], write the characters: [0-9]",
                "@1:93: taps: \"[z-a]\" has the range z-a, which is the wrong way round",
                "@1:101: taps: \"[a-\" has an unclosed [",
            ],
        ),
    ]);
}
