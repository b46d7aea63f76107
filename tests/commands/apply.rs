//! `kvmnet apply`: living networks are brought to what the file says, after a look at the difference.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use nix::pty::openpty;

use crate::lab::bench::settled;
use crate::lab::{Cli, Lab, Network, eventually, hooks_dir};
use crate::{is_there, kvmnet, refused, ruleset, two_networks};

/// What is broken by hand in two networks is whole again; the difference is shown first, and agreed to.
#[test]
fn apply_repairs_every_network() {
    let lab = two_networks(Network::NAT);
    let (one, two) = (lab.attach(1), lab.attach(2));
    let (three, four) = (lab.attach_in_lab(1), lab.attach_in_lab(2));
    lab.settle();
    let whole = settled(&lab);
    assert!(kvmnet(&lab, &["apply"]).ok().contains("every network is as configured"));
    lab.host.run("nft flush ruleset");
    lab.host.ip("addr del 10.0.100.3/24 dev br0");
    lab.host.ip("link set vif1.0 nomaster");
    lab.host.ip("link set br-lab down");
    let said = kvmnet(&lab, &["apply"]);
    assert_eq!(said.status, 1, "nobody has agreed: {said:?}");
    for command in [
        "nft 'table inet kvmnet-br0 ",
        "nft 'table netdev",
        "ip addr add 10.0.100.3/24",
        "vif1.0 master br0",
        "br-lab up",
    ] {
        assert_eq!(
            said.out.matches(command).count(),
            1,
            "{command}, once, is in the difference: {}",
            said.out
        );
    }
    assert!(!ruleset(&lab).contains("kvmnet"), "nothing was done");
    kvmnet(&lab, &["apply", "--yes"]).ok();
    lab.settle();
    lab.assert_as_before("repaired", &whole);
    eventually("all guests are on their networks", || {
        one.pings("192.168.1.25")
            && two.pings("192.168.1.25")
            && three.pings("10.0.200.2")
            && four.pings("10.0.200.1")
    });
    assert!(!three.pings("10.0.200.3"), "the isolated network is closed");
}

/// What a guest's environment has made of its network, a person may bring to the file.
#[test]
fn apply_ends_an_override() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_MODE", "isolated").run().ok();
    kvmnet(&lab, &["apply", "--yes"]).ok();
    lab.settle();
    eventually("the network is what the file says", || one.pings("192.168.1.25"));
    let _two = lab.attach(2);
}

/// On a terminal kvmnet asks, and does what the person says.
#[test]
fn apply_asks_at_a_terminal() {
    let lab = Lab::new(Network::NAT);
    let _one = lab.attach(1);
    let answer = |word: &[u8]| {
        let terminal = openpty(None, None).unwrap();
        let mut person = File::from(terminal.master);
        person.write_all(word).unwrap();
        let mut kvmnet = Command::new(hooks_dir().join("kvmnet"));
        let kvmnet = kvmnet.arg("apply").env_clear().stdin(terminal.slave);
        let output = lab.host.enter(|| kvmnet.output().unwrap());
        drop(person);
        assert!(String::from_utf8_lossy(&output.stdout).contains("Do it? [y/N]"), "{output:?}");
        output.status.code()
    };
    lab.host.run("nft flush ruleset");
    assert_eq!(answer(b"n\n"), Some(1));
    assert_eq!(ruleset(&lab), "");
    assert_eq!(answer(b"y\n"), Some(0));
    assert!(ruleset(&lab).contains("kvmnet-br0"));
}

/// An edited file holds for the guests that are on at once.
#[test]
fn apply_brings_an_edit_to_running_guests() {
    let lab = two_networks(Network::NAT);
    let before = settled(&lab);
    let (one, two) = (lab.attach(1), lab.attach(2));
    assert!(one.pings("10.0.100.3"));
    for network in [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::BRIDGED, Network::NAT] {
        lab.write_config(&network.config());
        kvmnet(&lab, &["apply", "--yes"]).ok();
        assert!(kvmnet(&lab, &["plan", "vif0.0"]).ok().contains("nothing to do"), "{}", network.mode);
        assert!(kvmnet(&lab, &["plan", "vif1.0"]).ok().contains("nothing to do"), "{}", network.mode);
    }
    eventually("NAT works again", || one.pings("192.168.1.25") && two.pings("192.168.1.25"));
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("all have left", &before);
}

/// A bridge with another name takes what a person does in one step less: the guests are named, and how they move is said.
#[test]
fn apply_says_what_a_bridge_with_another_name_takes() {
    let lab = Lab::new(Network::HOST_ONLY);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    let before = settled(&lab);
    lab.write_config(&Network::HOST_ONLY.config().replace("br0", "vm0"));
    let said = kvmnet(&lab, &["apply", "--yes"]);
    assert_eq!(said.status, 1, "something is not as configured: {said:?}");
    let said = said.out;
    assert!(!said.contains("every network is as configured"), "{said}");
    assert!(
        said.contains("is on br0, and on vm0 in the configuration: kvmnet down --force default"),
        "{said}"
    );
    lab.assert_as_before("nothing was done", &before);
    kvmnet(&lab, &["down", "--force", "default"]).ok();
    kvmnet(&lab, &["attach", "vif0.0"]).ok();
    kvmnet(&lab, &["attach", "vif1.0"]).ok();
    assert!(!is_there(&lab, "br0"), "nothing is left of the former one");
    eventually("the guests are on the new one", || one.pings("10.0.100.3") && two.pings("10.0.100.1"));
}

/// A network that is in the file no longer is let be, and said.
#[test]
fn apply_leaves_a_network_that_the_file_has_no_longer() {
    let lab = two_networks(Network::NAT);
    let (one, two) = (lab.attach_in_lab(1), lab.attach_in_lab(2));
    lab.write_config(&Network::NAT.config());
    let said = kvmnet(&lab, &["apply", "--yes"]).ok();
    assert!(said.contains("network lab on br-lab is in the configuration no longer"), "{said}");
    assert!(one.pings("10.0.200.2") && two.pings("10.0.200.1"));
}

/// A refusal of one network keeps everything as it is.
#[test]
fn apply_does_all_or_nothing() {
    let lab = two_networks(Network::NAT);
    let (_one, _two) = (lab.attach(1), lab.attach_in_lab(1));
    lab.settle();
    lab.host.run("nft delete table netdev kvmnet-br-lab");
    lab.write_config(&format!(
        "{}{}",
        Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT }.config(),
        Network::ISOLATED.lab_table()
    ));
    refused(&lab, 1, &["apply", "--yes"], "eth9");
}

/// A guest's tap was taken off its bridge, and nobody else is on its network: apply puts the tap back where it was, and
/// takes nothing away that the guest needs. What was changed is still undone with it.
#[test]
fn apply_puts_a_lone_guest_back() {
    for network in [Network::NAT, Network::ISOLATED, Network::HOST_ONLY_VETH] {
        let lab = two_networks(network);
        let before = settled(&lab);
        let one = lab.attach(1);
        lab.settle();
        let on = settled(&lab);
        lab.host.ip("link set vif0.0 nomaster");
        let said = kvmnet(&lab, &["apply", "--yes"]).ok();
        assert!(!said.contains("delete"), "{}: nothing is taken away: {said}", network.mode);
        lab.assert_as_before(network.mode, &on);
        lab.detach(one);
        lab.assert_as_before("the guest has left", &before);
    }
}

/// The network was chosen by the hook's name, which the file does not know of: the tap knows where it was.
#[test]
fn apply_puts_a_tap_back_to_the_network_that_it_was_on() {
    let lab = two_networks(Network::NAT);
    lab.link_hook("qemu-ifup-lab", "qemu-ifup");
    let one = lab.boot(1);
    lab.hook("/etc/qemu-ifup-lab", &one).run().ok();
    lab.host.ip("link set vif0.0 nomaster");
    kvmnet(&lab, &["apply", "--yes"]).ok();
    let port = lab.host.ip("link show vif0.0");
    assert!(port.contains("master br-lab") && !is_there(&lab, "br0"), "{port}");
}

/// As services that start at the same time have it: one does what is to be done, and the other finds it done.
#[test]
fn two_at_once_after_a_flush() {
    let lab = Lab::new(Network::NAT);
    lab.outside_knows_the_way();
    let one = lab.attach(1);
    lab.settle();
    let before = lab.host.run("nft -s list ruleset");
    lab.host.run("nft flush ruleset");
    let run = || Cli::new(&lab.host, &["apply", "--yes", "--quiet"]).run();
    std::thread::scope(|scope| {
        let runs = [(); 4].map(|()| scope.spawn(run));
        for run in runs {
            assert_eq!(run.join().unwrap().ok(), "", "with --quiet nothing is said");
        }
    });
    assert_eq!(lab.host.run("nft -s list ruleset"), before);
    eventually("the guest is out again", || one.pings("192.168.1.25"));
}
