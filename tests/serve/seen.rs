//! What `kvmnet status`, `check` and `plan` say of it.

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::kit::Serving;
use crate::lab::{Cli, Network, eventually};

fn json(serving: &Serving, arguments: &[&str]) -> Value {
    let said = Cli::new(&serving.lab.host, arguments).run();
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err))
}

/// The findings of `kvmnet check` about it.
fn findings(serving: &Serving) -> Vec<String> {
    let all = json(serving, &["check", "--json"]);
    let all = all["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == "dhcp");
    all.map(|finding| finding["problem"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_person_sees_who_serves_and_which_addresses_were_given() {
    let serving = Serving::nat();
    let plan = Cli::new(&serving.lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(plan.contains("# guests will be told addresses, and names in kvm: kvmnet serve br0\n"), "{plan}");
    let one = serving.attach(1);
    let address = serving.lease(&one, "web")["new_ip_address"].clone();
    let plan = Cli::new(&serving.lab.host, &["plan", "vif0.0"]).run().ok();
    assert!(!plan.contains("kvmnet serve"), "it is served already: {plan}");
    let server = serving.kvmnet();
    let status = || json(&serving, &["status", "--json"])["networks"][0].clone();
    eventually("the lease is known", || status()["dhcp"]["leases"][0]["name"] == "web");
    let network = status();
    assert_eq!(network["dhcp"]["process"], server.as_raw());
    let lease = &network["dhcp"]["leases"][0];
    assert_eq!((&lease["address"], &lease["mac"]), (&address.clone().into(), &"52:54:00:12:34:56".into()));
    assert_eq!(findings(&serving), [""; 0]);
    let text = Cli::new(&serving.lab.host, &["status"]).user(65534).run().out;
    assert!(
        text.contains(&format!("by process {server}, names in kvm"))
            && text.contains(&format!("{address} web")),
        "{text}"
    );
    kill(server, Signal::SIGKILL).unwrap();
    eventually("nobody serves", || status()["dhcp"]["process"].is_null());
    assert_eq!(findings(&serving), ["nobody tells the guests of network default their addresses"]);
    let problems = status()["problems"].to_string();
    assert!(problems.contains("`kvmnet gc` starts it"), "{problems}");
}

/// What waits for dnsmasq to be installed serves nobody until then.
#[test]
fn status_says_that_dnsmasq_is_missing() {
    let serving = Serving::nat();
    serving.lab.host.run("mount --bind /dev/null /usr/sbin/dnsmasq");
    let one = serving.lab.boot(1);
    assert_eq!(serving.lab.ifup(&one).status, 0);
    eventually("somebody waits", || !serving.processes("kvmnet").is_empty());
    let text = Cli::new(&serving.lab.host, &["status"]).run().ok();
    assert!(text.contains("by nobody") && text.contains("dnsmasq is missing"), "{text}");
    serving.lab.detach(one);
}

#[test]
fn check_says_why_guests_are_not_told() {
    let serving = Serving::nat();
    serving.lab.host.run("mount --bind /dev/null /usr/sbin/dnsmasq");
    let missing = "guests are told no addresses: dnsmasq is missing (Debian: apt-get install dnsmasq-base)";
    assert_eq!(findings(&serving), [missing]);
    serving.lab.host.run("umount /usr/sbin/dnsmasq");
    let everywhere = serving.lab.host.enter(|| std::net::UdpSocket::bind("0.0.0.0:53")).unwrap();
    let one = serving.attach(1);
    let taken = "another program has port 53 of every address: guests of network default have no names for each other";
    eventually("it runs", || findings(&serving) == [taken]);
    drop(everywhere);
    eventually("it has the port", || findings(&serving).is_empty());
    serving.lab.detach(one);
    serving.assert_ends();
    let odd = Network::NAT.config().replace("fd00:100::3/64", "fd00:100::3/112");
    serving.lab.write_config(&odd);
    assert_eq!(
        findings(&serving),
        ["network default: guests get no address in fd00:100::/112, as it is not a /64"]
    );
}
