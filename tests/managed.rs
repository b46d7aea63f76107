//! A NIC whose addresses another program keeps: refused with the way out, unless its owner says otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Lab, Network, Process, Snapshot, eventually};

/// A DHCP server outside, and a client on eth3 that has an address from it.
struct Leased {
    lab: Lab,
    _server: Process,
    _client: Process,
}

impl Leased {
    fn new() -> Self {
        let lab = Lab::new(Network::BRIDGED);
        let server = [
            "--no-daemon",
            "--no-ping",
            "--port=0",
            "--interface=eth0",
            "--bind-interfaces",
            "--leasefile-ro",
            "--pid-file=",
            "--conf-file=/dev/null",
            "--dhcp-range=192.168.1.100,192.168.1.150,2m",
            "--dhcp-authoritative",
        ];
        let server = lab.outside.start("dnsmasq", &server);
        lab.host.run("touch /run/dhclient.leases");
        let client = ["-d", "-pf", "/run/dhclient.eth3.pid", "-lf", "/run/dhclient.leases", "eth3"];
        let client = lab.host.start("dhclient", &client);
        eventually("the client has an address", || lab.host.ip("-4 addr show dev eth3").contains("dynamic"));
        Self { lab, _server: server, _client: client }
    }
}

/// A client that lives on eth3 would go on renewing there: nothing is touched.
#[test]
fn a_nic_with_a_dhcp_client_is_refused() {
    let leased = Leased::new();
    let guest = leased.lab.boot(1);
    let before = Snapshot::of(&leased.lab.host);
    let ran = leased.lab.ifup(&guest);
    assert!(ran.complains(1).contains("dhclient keeps the addresses of eth3"));
    leased.lab.assert_as_before("a refusal", &before);
}

/// Who has a file made for the machine reads of it there.
#[test]
fn a_nic_with_a_dhcp_client_is_remarked_on() {
    let leased = Leased::new();
    let file = Cli::new(&leased.lab.host, &["config", "init"]).run().ok();
    let remark = "# Here: bridged would be refused: dhclient keeps the addresses of eth3";
    assert!(file.contains("\nuplink = \"eth3\"\n") && file.contains(remark), "{file}");
}

/// Who takes it all the same gets addresses that do not end with the lease.
#[test]
fn a_nic_that_is_taken_all_the_same_keeps_its_addresses_without_an_end() {
    let leased = Leased::new();
    let guest = leased.lab.boot(1);
    leased.lab.hook("/etc/qemu-ifup", &guest).env("KVMNET_UPLINK_MANAGED", "take").run().ok();
    let addresses = leased.lab.host.ip("-4 addr show dev br0");
    assert!(addresses.contains("192.168.1.1") && !addresses.contains("dynamic"), "{addresses}");
}

/// The files of a client that is dead say nothing.
#[test]
fn a_dead_client_keeps_nothing() {
    let leased = Leased::new();
    let Leased { lab, _client: client, _server: server } = leased;
    drop(client);
    let guest = lab.boot(1);
    lab.ifup(&guest).ok();
    drop(server);
}
