//! Any text as the files that `kvmnet serve` reads: the leases, which are dnsmasq's, and the host's resolvers.

#![allow(clippy::unwrap_used, reason = "a panic is how a case is found")]

use std::net::IpAddr;

use super::names::{self, Port};
use super::{child, resolvers};
use crate::model::lease;
use crate::model::{GuestIdentity, IfName, is_label};

/// A guest with a name and an address of its own, and one that was told nothing.
fn ports() -> [Port; 2] {
    let web = GuestIdentity {
        name: Some("web".to_owned()),
        macs: vec!["52:54:00:12:34:57".parse().unwrap()],
        addresses: vec!["10.0.100.7".parse().unwrap()],
    };
    let port = |name, index, guest| Port { tap: IfName::new(name).unwrap(), index, guest };
    [port("vif0.0", 7, web), port("vif1.0", 8, GuestIdentity::default())]
}

/// A file of leases.
pub(crate) fn leases(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let (ports, leases) = (ports(), lease::parse(text));
    assert!(leases.len() <= text.split('\n').count());
    let known = names::known(&ports);
    let host: IpAddr = "10.0.100.3".parse().unwrap();
    let hosts = names::hosts("kvm", &[host], &known, &ports, &leases, &[]);
    for line in hosts.lines() {
        let mut words = line.split(' ');
        assert!(words.next().is_some_and(|word| word.parse::<IpAddr>().is_ok()), "{line:?}");
        assert!(words.all(|name| name.split('.').all(is_label)), "{line:?}");
    }
    let taken = names::taken(&known);
    let clean = names::without_taken(text, &taken, &known);
    assert_eq!(names::without_taken(&clean, &taken, &known), clean, "{text:?}");
    let left = lease::parse(&clean);
    assert!(left.len() <= leases.len() && names::in_the_way(&left, &known).is_empty(), "{text:?}");
    for lease in left {
        let is_web = lease.mac == Some(known[0].macs[0]) || known[0].addresses.contains(&lease.address);
        let name = lease.name.unwrap_or_default().to_lowercase();
        assert!(
            is_web && name == "web" || !taken.contains(&name.as_str()),
            "{name:?} is another's: {text:?}"
        );
    }
}

/// /etc/resolv.conf, and behind a NUL each what is behind a stub.
pub(crate) fn resolvers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts: Vec<&str> = text.split('\0').collect();
    let servers = ["10.0.100.3".parse().unwrap()];
    let found = resolvers::of_texts(&parts, &servers);
    for one in &found {
        let address: IpAddr = one.split('%').next().unwrap().parse().unwrap();
        assert!(!servers.contains(&address) && !address.is_unspecified());
        assert!(!one.contains(|letter: char| letter.is_whitespace() || letter.is_control()), "{one:?}");
    }
    assert!(resolvers::for_guests(&found).iter().all(|address| !address.is_loopback()));
    // What is written for dnsmasq reads the same.
    let written: String = found.iter().map(|one| format!("nameserver {one}\n")).collect();
    assert!(written.len() > 64 * 1024 || resolvers::of_texts(&[&written], &servers) == found, "{text:?}");
    let user = text.lines().find_map(|line| child::User::of(line, "dnsmasq"));
    assert!(user.is_none() || text.contains("dnsmasq:"));
}
