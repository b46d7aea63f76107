//! Which guest has which name and address.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::dns::{A, AAAA, Answer, ask};
use crate::kit::Serving;
use crate::lab::{Guest, eventually};

const HOST: &str = "10.0.100.3";

/// The record of a tap with who the guest is.
fn record(serving: &Serving, tap: &str, words: &str) {
    let links = serving.lab.host.ip(&format!("-j link show {tap}"));
    let links: serde_json::Value = serde_json::from_str(&links).unwrap();
    let alias = links[0]["ifalias"].as_str().expect("an attached tap has a record").to_owned();
    let plain: Vec<&str> = alias
        .split(' ')
        .filter(|word| !["vm=", "nic=", "at="].iter().any(|ours| word.starts_with(ours)))
        .collect();
    serving.lab.host.enter(|| {
        let output = std::process::Command::new("ip")
            .args(["link", "set", tap, "alias", &format!("{} {words}", plain.join(" "))])
            .output();
        assert!(output.unwrap().status.success());
    });
}

fn addresses(serving: &Serving, name: &str) -> Vec<String> {
    match ask(&serving.lab.host, HOST, name, A) {
        Answer::Found(addresses) => addresses,
        _ => Vec::new(),
    }
}

#[test]
fn a_guest_has_the_name_of_its_vm_and_the_address_that_is_kept_for_it() {
    let serving = Serving::nat();
    let (one, two) = (serving.attach(1), serving.attach(2));
    let server = serving.dnsmasq();
    record(&serving, "vif0.0", "vm=web nic=52:54:00:12:34:56 at=10.0.100.77");
    eventually("the name is known before the guest asks for its address", || {
        addresses(&serving, "web.kvm") == ["10.0.100.77"]
    });
    let told = serving.lease(&one, "debian");
    assert_eq!(
        (told["new_ip_address"].as_str(), told["new_host_name"].as_str()),
        ("10.0.100.77", "web"),
        "{told:?}"
    );
    eventually("it has this name alone", || addresses(&serving, "debian.kvm").is_empty());
    // Another guest comes: no lease is lost, and the names of both hold.
    record(&serving, "vif1.0", "vm=db nic=52:54:00:12:34:57");
    let told = serving.lease(&two, "debian");
    eventually("the other one has its name", || {
        addresses(&serving, "db.kvm") == [told["new_ip_address"].as_str()]
    });
    assert_eq!(addresses(&serving, "web.kvm"), ["10.0.100.77"]);
    eventually("a guest's IPv6 address has its name, too", || {
        ask(&serving.lab.host, HOST, "web.kvm", AAAA)
            == Answer::Found(vec!["fd00:100::5054:ff:fe12:3456".to_owned()])
    });
    serving.lab.detach(one);
    eventually("a name goes with its guest's tap", || !serving.processes("dnsmasq").contains(&server));
}

#[test]
fn a_guest_without_a_name_has_its_taps() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    let told = serving.lease(&one, "");
    eventually("the tap's name", || addresses(&serving, "vif0-0.kvm") == [told["new_ip_address"].as_str()]);
    let told = serving.lease(&one, "own");
    eventually("the client's own", || addresses(&serving, "own.kvm") == [told["new_ip_address"].as_str()]);
}

/// Names that are others', or that programs trust, in every spelling; a client that takes one gets its address all the same.
#[test]
fn a_client_cannot_take_the_name_of_another() {
    let serving = Serving::nat();
    let (one, two) = (serving.attach(1), serving.attach(2));
    serving.lease(&two, "web");
    eventually("nobody else is called so", || !addresses(&serving, "web.kvm").is_empty());
    record(&serving, "vif0.0", "vm=web nic=52:54:00:12:34:56");
    eventually("it is another guest's name by now", || {
        ask(&serving.lab.host, HOST, "web.kvm", A) == Answer::Refused(3)
    });
    for name in
        ["web", "WEB", "web.kvm", "Web.example.org", "host", "Host", "host.kvm", "localhost", "wpad", "WPAD"]
    {
        serving.lease(&two, name);
        let wanted: &[&str] = if name.to_lowercase().starts_with("host") { &[HOST] } else { &[] };
        let full = format!("{}.kvm", name.split('.').next().unwrap());
        assert_eq!(addresses(&serving, &full), wanted, "{name}");
    }
    let told = serving.lease(&one, "anything");
    assert_eq!(addresses(&serving, "web.kvm"), [told["new_ip_address"].as_str()]);
    serving.lease(&two, "web");
    assert_eq!(addresses(&serving, "web.kvm"), [told["new_ip_address"].as_str()]);
}

/// An address of each family that is kept: the guest asks for the IPv6 one by DHCPv6, and makes itself another.
#[test]
fn an_ipv6_address_is_kept_as_well() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    record(&serving, "vif0.0", "vm=web nic=52:54:00:12:34:56 at=10.0.100.77 at=fd00:100::77");
    eventually("the name is known", || {
        ask(&serving.lab.host, HOST, "web.kvm", AAAA) == Answer::Found(vec!["fd00:100::77".to_owned()])
    });
    let told = serving.lease6(&one).expect("an address by DHCPv6");
    assert_eq!(told.get("new_ip6_address").map(String::as_str), Some("fd00:100::77"), "{told:?}");
    assert_eq!(told["new_dhcp6_name_servers"], "fd00:100::3");
    eventually("and one that it made of what is announced", || {
        one.ip("-6 addr show dev eth0").contains("fd00:100::5054:ff:fe12:3456")
    });
}

/// Whoever had it before and does not run any more would have it for an hour yet; whoever runs keeps it.
#[test]
fn an_address_is_kept_although_another_guest_was_given_it() {
    let serving = Serving::nat();
    let (one, two) = (serving.attach(1), serving.attach(2));
    let told = serving.lease(&two, "")["new_ip_address"].clone();
    let kept = |guest: &Guest, mac: &str| {
        let hook = serving.lab.hook("/etc/qemu-ifup", guest);
        hook.env("KVMNET_GUEST_ADDRESS", &told).env("KVMNET_GUEST_MAC", mac).run()
    };
    let mac = serving.lab.network.guest(1).mac;
    serving.lab.detach(two);
    kept(&one, &mac).ok();
    assert_eq!(serving.lease(&one, "")["new_ip_address"], told);
}

/// Of a dnsmasq that starts again with each guest, a client would get no address as long as guests start: it is asked first
/// whether another machine has it.
#[test]
fn names_that_come_one_after_the_other_do_not_have_it_start_again() {
    let serving = Serving::nat();
    let _one = serving.attach(1);
    let begin = Instant::now();
    let mut servers = BTreeSet::from([serving.dnsmasq().as_raw()]);
    for number in 0..12 {
        let words = format!("vm=web{number} nic=52:54:00:12:34:56 at=10.0.100.77");
        record(&serving, "vif0.0", &words);
        let name = format!("web{number}.kvm");
        eventually("the name is known", || addresses(&serving, &name) == ["10.0.100.77"]);
        servers.insert(serving.dnsmasq().as_raw());
    }
    let most = 2 + begin.elapsed().as_secs() / 10;
    assert!(servers.len() as u64 <= most, "{servers:?}, and not more than {most}");
}
