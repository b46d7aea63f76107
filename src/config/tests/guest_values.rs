//! The values of keys that are about addresses to be found, about one guest, and about who may start one.

use super::{complaints, default, networks};
use crate::model::{HostAccess, Uplink};

#[test]
fn addresses_that_are_to_be_found() {
    let network = default("address='auto'", &[]).unwrap();
    assert!(network.auto_address && network.addresses.is_empty());
    assert_eq!(
        complaints(networks("address=['auto','10.0.0.1/24']")),
        [
            "@1:10: address: \"auto\" cannot stand beside addresses | write address = \"auto\" alone, or the addresses alone"
        ]
    );
}

#[test]
fn no_uplink() {
    let text = |mode: &str| format!("mode='{mode}'\nuplink='none'");
    assert_eq!(default(&text("bridged"), &[]).unwrap().uplink, Uplink::None);
    assert!(!complaints(networks(&text("nat"))).is_empty());
    assert!(!complaints(networks("mode='bridged'\nuplink=['none','eth0']\n")).is_empty());
}

/// Each prints as it is read.
#[test]
fn forwards() {
    let shown = |text: &str| {
        default(&format!("forward={text:?}"), &[]).map(|network| network.forwards[0].to_string())
    };
    for text in [
        "2222:22",
        "udp/5353:53",
        "127.0.0.1:8080:80",
        "[::]:443:443",
        "3000-3010:3000",
        "udp/[fd00::1]:1-1024:9",
    ] {
        assert_eq!(shown(text).as_deref(), Ok(text));
    }
    assert_eq!(shown("tcp/2222:22").as_deref(), Ok("2222:22"));
    for text in [
        "",
        ":",
        "22",
        "2222:",
        ":22",
        "0:22",
        "22:0",
        "65536:1",
        "1:65536",
        "+1:2",
        "1 :2",
        "sctp/1:2",
        "/1:2",
        "::1:1:2",
        "localhost:1:2",
        "[127.0.0.1]:1:2",
        "[::1:1:2",
        "10-1:1",
        "1-1025:1",
        "1-2:65535",
        "1-:2",
        "224.0.0.1:1:2",
        "1:2:3",
        "a:b",
        "tcp::2222-:22",
        "1:2-3",
    ] {
        assert!(shown(text).is_err(), "{text}");
    }
    let network = default("", &[("KVMNET_FORWARD", "2222:22,udp/5353:53 [::1]:80:80")]).unwrap();
    assert_eq!(network.forwards.len(), 3);
    assert!(network.variable.is_none() && !network.overridden, "the network is as the file says");
}

#[test]
fn guests_and_users() {
    let is_right = |text: &str| default(&format!("address='10.0.100.3/24'\n{text}"), &[]).is_ok();
    assert!(is_right(
        "guest_mac='52:54:00:12:34:57'\nguest_address='10.0.100.7'\nusers=['alice','@kvm','1000']\ndomain='vm.example.org'"
    ));
    for text in [
        "guest_mac='52:54:00:12:34'",
        "guest_mac='53:54:00:12:34:57'",
        "guest_mac='00:00:00:00:00:00'",
        "guest_mac='1:2:3:4:5:6'",
        "guest_address='10.0.100.3'",
        "guest_address='10.0.100.0'",
        "guest_address='10.0.100.255'",
        "guest_address='10.0.101.1'",
        "guest_address='10.0.100.7/24'",
        "guest_address=['10.0.100.7','10.0.100.8']",
        "users=['']",
        "users=['@']",
        "users=['a b']",
        "users=['-x']",
        "domain=''",
        "domain='-x'",
        "domain='a..b'",
        "domain='local'",
        "domain='a b'",
    ] {
        assert!(!is_right(text), "{text}");
    }
}

/// Without `host` nothing of a network is another one, and in a mode that has no use for it neither.
#[test]
fn what_is_reached_of_the_host() {
    let digest = |text: &str| default(text, &[]).unwrap().digest;
    for (word, access) in
        [("none", HostAccess::None), ("services", HostAccess::Services), ("all", HostAccess::All)]
    {
        let network = default(&format!("host='{word}'"), &[]).unwrap();
        assert_eq!((network.host, network.serves_dhcp()), (access, word != "none"));
        assert_eq!(network.digest == digest(""), word == "all", "{word}");
        for mode in ["isolated", "host-only", "bridged'\nuplink='eth0"] {
            let mode = format!("mode='{mode}'\n");
            assert_eq!(digest(&format!("{mode}host='{word}'")), digest(&mode));
        }
    }
    assert_eq!(
        complaints(networks("host='service'")),
        ["@1:6: host: \"service\" is not one of none, services, all | did you mean \"services\"?"]
    );
    assert_eq!(complaints(networks("host=false")), ["@1:6: host: expected a text in quotes, found false"]);
}

/// Whoever is not reached tells nobody anything.
#[test]
fn nobody_is_told_by_a_host_that_is_not_reached() {
    let hint =
        "host = \"services\" lets guests reach DHCP, DNS and ping, and nothing else; or leave `dhcp` out";
    let problem =
        format!("dhcp: with host = \"none\" nobody could ask for an address: `dhcp` is true | {hint}");
    assert_eq!(complaints(networks("host='none'\ndhcp=true")), [format!("@2:6: {problem}")]);
    assert_eq!(complaints(networks("host='none'\ndhcp=false")), [""; 0]);
    assert_eq!(complaints(networks("mode='routed'\nhost='none'")), [""; 0]);
    assert_eq!(complaints(networks("mode='host-only'\nhost='none'\ndhcp=true")), [""; 0]);
    let by_environment = default("dhcp=true", &[("KVMNET_HOST", "none")]);
    assert_eq!(complaints(by_environment), [format!("@1:6: {problem}")]);
}

#[test]
fn guests_that_are_kept_apart() {
    let network = |text: &str| default(text, &[]).unwrap();
    assert!(network("port_isolation=true").port_isolation && !network("").port_isolation);
    assert_ne!(network("port_isolation=true").digest, network("").digest);
    assert_eq!(network("port_isolation=false").digest, network("").digest);
}
