//! What `kvmnet config show` prints, and that it can be read back.

use super::{PATH, complaints, environment, networks};
use crate::config::{File, Shown};
use crate::model::Network;

fn shown(text: &str, variables: &[(&str, &str)], network: Option<&str>) -> Shown {
    let file = File::parse(PATH, text).unwrap().with(&environment(variables)).unwrap();
    Shown::new(&file, network).unwrap()
}

const TWO: &str = "mode = 'isolated'\nconfirm = false\nuplink = ['eth3', 'eth4']\n\
                   [network.lab]\naddress = ['10.1.0.1/24', 'fd00::1/64']\nbridge = 'br-lab'\n\
                   nat_source = '192.0.2.1'\ntaps = ['lab*', 'vif7.*']\n";

#[test]
fn each_value_has_its_origin() {
    let expected = "\
mode           = \"isolated\"        # /etc/kvmnet.conf:1
bridge         = \"br0\"             # built-in default
#uplink        = [\"eth3\", \"eth4\"]  # /etc/kvmnet.conf:3; not used in this mode
keep           = true              # KVMNET_KEEP
#confirm       = false             # /etc/kvmnet.conf:2; not used in this mode
port_isolation = false             # built-in default
filter         = false             # built-in default
firewall       = \"integrate\"       # built-in default

[network.lab]
mode           = \"nat\"                          # built-in default
bridge         = \"br-lab\"                       # /etc/kvmnet.conf:6
address        = [\"10.1.0.1/24\", \"fd00::1/64\"]  # /etc/kvmnet.conf:5
uplink         = \"auto\"                         # built-in default
nat_source     = \"192.0.2.1\"                    # /etc/kvmnet.conf:7
keep           = false                          # built-in default
domain         = \"kvm\"                          # built-in default
port_isolation = false                          # built-in default
host           = \"all\"                          # built-in default
filter         = false                          # built-in default
firewall       = \"integrate\"                    # built-in default
taps           = [\"lab*\", \"vif7.*\"]             # /etc/kvmnet.conf:8
";
    assert_eq!(shown(TWO, &[("KVMNET_KEEP", "yes")], None).to_string(), expected);
}

#[test]
fn one_network_alone() {
    let expected = "\
[network.lab]
mode     = \"bridged\"                        # KVMNET_MODE
bridge   = \"br-lab\"                         # /etc/kvmnet.conf:6
#address = [\"10.1.0.1/24\", \"fd00::1/64\"]    # /etc/kvmnet.conf:5; not used in this mode
";
    let bridged = [("KVMNET_MODE", "bridged"), ("KVMNET_UPLINK", "auto")];
    let text = shown(TWO, &bridged, Some("lab")).to_string();
    assert_eq!(text.lines().count(), 13);
    for (line, expected) in text.lines().zip(expected.lines()) {
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }
    // The variables are for the network that is named, else for that of KVMNET_NETWORK, else for `default`.
    let of_lab = shown(TWO, &[("KVMNET_NETWORK", "lab"), ("KVMNET_BRIDGE", "br-x")], None).to_string();
    assert_eq!(of_lab.matches("KVMNET_BRIDGE").count(), 1);
    assert!(of_lab.split("[network.lab]").nth(1).unwrap().contains("br-x"));
    let named = shown(TWO, &[("KVMNET_NETWORK", "lab"), ("KVMNET_BRIDGE", "br-x")], Some("default"));
    assert!(named.to_string().contains("\"br-x\""));
}

#[test]
fn as_data() {
    let shown = shown("keep = true", &[("KVMNET_MODE", "isolated"), ("KVMNET_ADDRESS", "10.1.0.1/24")], None);
    let value = |value: serde_json::Value, origin: &str, used: bool| serde_json::json!({ "value": value, "origin": origin, "used": used });
    let expected = serde_json::json!({ "file": PATH, "networks": [{ "name": "default", "values": {
        "mode": value("isolated".into(), "KVMNET_MODE", true),
        "bridge": value("br0".into(), "built-in default", true),
        "address": value(serde_json::json!(["10.1.0.1/24"]), "KVMNET_ADDRESS", false),
        "keep": value(true.into(), "/etc/kvmnet.conf:1", true),
        "port_isolation": value(false.into(), "built-in default", true),
        "filter": value(false.into(), "built-in default", true),
        "firewall": value("integrate".into(), "built-in default", true),
    }}]});
    assert_eq!(serde_json::to_value(&shown).unwrap(), expected);
    let built_in = Shown::new(&File::built_in(PATH), None).unwrap();
    assert_eq!(serde_json::to_value(&built_in).unwrap()["file"], serde_json::Value::Null);
}

/// The networks of a file; where their values come from is not theirs.
fn values(text: &str) -> Vec<Network> {
    let mut networks = networks(text).unwrap_or_else(|_| panic!("{text}: {:?}", complaints(networks(text))));
    networks.iter_mut().for_each(|network| network.origins.clear());
    networks
}

#[test]
fn what_is_shown_is_a_file() {
    let odd = r#"[network."a.b"]
        mode = 'isolated'
        bridge = "b\"\\é"
        taps = ['\*', '"[a-z]', "\u001b\u202e*"]"#;
    let keys = "address='10.1.0.1/24'\nuplink='eth3'\nnat_source='192.0.2.1'\nveth='veth1'\nkeep=true\n\
                confirm=false\nuplink_managed='take'\nport_isolation=true\nhost='services'\n";
    let modes = ["isolated", "host-only", "routed", "nat", "bridged"];
    let mut files: Vec<String> = modes.iter().map(|mode| format!("mode='{mode}'\n{keys}")).collect();
    files.extend(["", TWO, odd, "uplink='auto'", "uplink=['auto']"].map(str::to_owned));
    for text in files {
        let printed = shown(&text, &[], None).to_string();
        assert_eq!(values(&printed), values(&text), "{text}\nwas shown as\n{printed}");
        let taps = |text: &str| {
            let file = File::parse(PATH, text).unwrap();
            file.names().map(|name| super::taps(&file, name).join("\n")).collect::<Vec<_>>()
        };
        assert_eq!(taps(&printed), taps(&text));
        assert!(printed.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')));
    }
}

#[test]
fn all_that_is_wrong_is_said() {
    let errors = networks("mode='isolated'\nbridge='br0'\nuplnk='x'\nkeep=1").unwrap_err();
    let expected = "/etc/kvmnet.conf:3:1: unknown key \"uplnk\"\nhint: did you mean \"uplink\"?\n\
                    /etc/kvmnet.conf:4:6: keep: expected true or false, found 1";
    assert_eq!(errors.to_string(), expected);
    assert_eq!(errors.hint().as_deref(), Some("write keep = true"));
    let unknown = Shown::new(&File::parse(PATH, TWO).unwrap(), Some("lob"));
    assert_eq!(
        complaints(unknown),
        ["/etc/kvmnet.conf: no network \"lob\" | did you mean \"lab\"?".replace("/etc/kvmnet.conf:", "@")]
    );
}
