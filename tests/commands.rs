//! `kvmnet attach`, `detach`, `apply`, `up`, `down` and `gc`, on a live lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

#[path = "commands/apply.rs"]
mod apply;

use std::process::Command;

use lab::bench::settled;
use lab::{Cli, Guest, Lab, Monitor, Network, Said, Snapshot, Tap, eventually};

fn kvmnet(lab: &Lab, arguments: &[&str]) -> Said {
    Cli::new(&lab.host, arguments).run()
}

/// What kvmnet says is wrong; nothing may have changed.
#[track_caller]
fn refused(lab: &Lab, status: i32, arguments: &[&str], word: &str) {
    let before = settled(lab);
    let said = kvmnet(lab, arguments).complains(status);
    assert!(said.contains(word), "it must speak of {word}: {said}");
    lab.assert_as_before("a refusal", &before);
}

/// A lab with the network `default` in this mode, and an isolated one called `lab`.
fn two_networks(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.write_config(&format!("{}{}", network.config(), Network::ISOLATED.lab_table()));
    lab
}

fn is_there(lab: &Lab, link: &str) -> bool {
    lab.host.try_run(&format!("ip link show dev {link}")).status.success()
}

fn ruleset(lab: &Lab) -> String {
    lab.host.run("nft list ruleset")
}

#[test]
fn attach_and_detach_do_what_the_hooks_do_and_say_so() {
    for network in [Network::ISOLATED, Network::HOST_ONLY, Network::ROUTED, Network::NAT, Network::BRIDGED] {
        let lab = Lab::new(network);
        let one = lab.boot(1);
        let before = settled(&lab);
        let plan = kvmnet(&lab, &["plan", "vif0.0"]).ok();
        let said = kvmnet(&lab, &["attach", "vif0.0"]).ok();
        let commands = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(commands(&said), commands(&plan), "each step is printed as it is done");
        assert!(said.contains("# vif0.0 is up on br0"), "{said}");
        lab.settle();
        let attached = settled(&lab);
        lab.ifup(&one).ok();
        lab.assert_as_before("the hook finds nothing to do", &attached);
        assert!(kvmnet(&lab, &["attach", "vif0.0"]).ok().contains("nothing to do"));
        let said = kvmnet(&lab, &["detach", "vif0.0"]).ok();
        assert!(said.contains("ip link set vif0.0 nomaster"), "{said}");
        lab.assert_as_before("attached and detached", &before);
    }
}

/// For programs that take a ready tap: it is there before them, a user may open it, and it goes when told.
#[test]
fn attach_makes_a_tap_for_a_user_and_detach_deletes_it() {
    let lab = Lab::new(Network::NAT);
    let before = settled(&lab);
    kvmnet(&lab, &["attach", "--create", "--user", "nobody", "vif0.0"]).ok();
    let tap = lab.host.ip("-d link show dev vif0.0");
    assert!(tap.contains("persist on") && tap.contains("master br0"), "{tap}");
    assert!(tap.contains("user nobody") || tap.contains("user 65534"), "{tap}");
    // A program opens it, and is on the network.
    let one = lab.boot(1);
    eventually("the guest is on the network", || one.pings("192.168.1.25"));
    refused(&lab, 1, &["detach", "--delete", "vif0.0"], "a process has vif0.0 open");
    drop(one);
    eventually("nobody has it open", || lab.host.ip("link show dev vif0.0").contains("NO-CARRIER"));
    // Twice is once.
    kvmnet(&lab, &["attach", "--create", "--user", "65534", "vif0.0"]).ok();
    kvmnet(&lab, &["detach", "--delete", "vif0.0"]).ok();
    assert!(!is_there(&lab, "vif0.0"));
    lab.assert_as_before("the tap came and went", &before);
    assert!(kvmnet(&lab, &["detach", "--delete", "vif0.0"]).ok().contains("nothing to do"));
}

/// A tap that is there keeps its owner, and outlives an attach that fails; the making of one is a step like others.
#[test]
fn attach_takes_no_tap_away() {
    let lab = Lab::new(Network::NAT);
    let said = kvmnet(&lab, &["attach", "--create", "--user", "nobody", "fc0"]).ok();
    assert!(said.starts_with("ip tuntap add fc0 mode tap user nobody\n"), "{said}");
    kvmnet(&lab, &["detach", "--delete", "fc0"]).ok();
    lab.host.ip("tuntap add fc0 mode tap user 1234");
    refused(&lab, 1, &["attach", "--create", "--user", "nobody", "fc0"], "user 1234's");
    lab.write_config("mode = \"bridged\"\nuplink = \"eth9\"\n");
    refused(&lab, 1, &["attach", "--create", "fc0"], "eth9");
    assert!(is_there(&lab, "fc0"), "it was there before");
    lab.write_config(&Network::NAT.config());
    let said = kvmnet(&lab, &["attach", "--create", "--user", "1234", "fc0"]).ok();
    assert!(!said.contains("tuntap"), "{said}");
    assert!(lab.host.ip("-d link show dev fc0").contains("user 1234"));
}

#[test]
fn attach_leaves_no_tap_where_it_fails() {
    let lab = Lab::new(Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    refused(&lab, 1, &["attach", "--create", "vif0.0"], "eth9");
    assert!(!is_there(&lab, "vif0.0"), "the tap that was made for it is gone");
    refused(&lab, 2, &["attach", "--create", "--user", "nosuchuser", "vif0.0"], "nosuchuser");
    refused(&lab, 1, &["attach", "vif0.0"], "no interface vif0.0");
    let _held = Tap::open(&lab.host, "vif1.0");
    refused(&lab, 1, &["attach", "--create", "vif1.0"], "vif1.0");
    refused(&lab, 1, &["attach", "--create", "eth3"], "eth3");
    refused(&lab, 1, &["detach", "eth3"], "not a tap");
    refused(&lab, 1, &["detach", "--delete", "eth3"], "not a tap");
    assert_eq!(kvmnet(&lab, &["attach", "--user", "nobody", "vif0.0"]).status, 2, "whose tap is not made?");
}

#[test]
fn a_network_that_was_brought_up_stays_until_it_is_taken_down() {
    let lab = two_networks(Network::NAT);
    let before = settled(&lab);
    let said = kvmnet(&lab, &["up", "default"]).ok();
    assert!(said.contains("# default (nat) is up on br0"), "{said}");
    assert!(lab.host.ip("addr show dev br0").contains("10.0.100.3/24"));
    assert!(kvmnet(&lab, &["up", "default"]).ok().contains("nothing to do"));
    let status = kvmnet(&lab, &["status", "default"]).ok();
    assert!(
        status.contains("it stays when its last guest leaves") && !status.contains("problem"),
        "{status}"
    );
    // Guests of this and another network come and go.
    let one = lab.attach(1);
    eventually("its guest is on a network as any other", || one.pings("192.168.1.25"));
    let other = lab.attach_in_lab(1);
    lab.detach(other);
    lab.detach(one);
    assert!(kvmnet(&lab, &["gc"]).ok().contains("nothing to do"));
    assert!(is_there(&lab, "br0") && !is_there(&lab, "br-lab"));
    let said = kvmnet(&lab, &["down", "default"]).ok();
    assert!(said.contains("# default is down"), "{said}");
    lab.assert_as_before("brought up and taken down", &before);
    assert!(kvmnet(&lab, &["down", "default"]).ok().contains("default is not up, nothing to do"));
}

/// All five modes, without any guest to be seen from.
#[test]
fn up_and_down_leave_nothing_in_any_mode() {
    for network in
        [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT_SOURCE, Network::BRIDGED]
    {
        let lab = Lab::new(network);
        let before = settled(&lab);
        kvmnet(&lab, &["up", "default"]).ok();
        let plan = kvmnet(&lab, &["plan", "vif0.0"]).ok();
        let about_others = |line: &&str| !line.starts_with('#') && !line.contains("vif0.0");
        assert_eq!(plan.lines().find(about_others), None, "a guest finds the network ready: {plan}");
        kvmnet(&lab, &["down", "default"]).ok();
        lab.assert_as_before(network.mode, &before);
    }
}

/// A guest that overrides the mode, on a bridge of its own, makes a second network of the name: which one is asked.
#[test]
fn down_asks_which_of_two_networks_of_one_name() {
    let lab = Lab::new(Network::NAT);
    let (one, two) = (lab.attach(1), lab.boot(2));
    let hook = lab.hook("/etc/qemu-ifup", &two);
    hook.env("KVMNET_MODE", "isolated").env("KVMNET_BRIDGE", "br-iso").run().ok();
    refused(&lab, 2, &["down", "--force", "default"], "br-iso, br0");
    kvmnet(&lab, &["down", "--force", "br-iso"]).ok();
    assert!(!is_there(&lab, "br-iso") && is_there(&lab, "br0"));
    eventually("the other network is as it was", || one.pings("192.168.1.25"));
    kvmnet(&lab, &["down", "--force", "default"]).ok();
    assert!(!is_there(&lab, "br0"));
    refused(&lab, 2, &["up", "nope"], "no network is called \"nope\"");
    refused(&lab, 2, &["down", "nope"], "the networks are: default");
}

/// Who asks for data gets data, also where something is wrong; and the lines for people all the same.
#[test]
fn errors_are_data_too() {
    let lab = Lab::new(Network::NAT);
    for arguments in [["status", "--json", "nope"], ["config", "show", "--json"], ["plan", "--json", "eth3"]]
    {
        lab.write_config(if arguments[0] == "config" { "mode = 1\n" } else { "" });
        let said = kvmnet(&lab, &arguments);
        let data: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(data["version"], 1);
        assert!(said.status > 0 && said.err.contains(data["error"].as_str().unwrap()), "{said:?}");
        assert!(data["hint"].as_str().is_some_and(|hint| said.err.contains(hint)), "{said:?}");
    }
    lab.write_config("");
    for arguments in [&["plan", "--json", "vif0.0"][..], &["check", "--json"], &["config", "show", "--json"]]
    {
        let said = kvmnet(&lab, arguments).ok();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["version"], 1);
    }
}

#[test]
fn down_spares_guests_unless_forced() {
    let lab = two_networks(Network::NAT);
    let before = settled(&lab);
    let (one, two) = (lab.attach(1), lab.attach(2));
    let said = kvmnet(&lab, &["down", "default"]).complains(1);
    assert!(said.contains("vif0.0, vif1.0") && said.contains("--force"), "{said}");
    eventually("the guests notice nothing", || one.pings("192.168.1.25") && two.pings("10.0.100.1"));
    kvmnet(&lab, &["down", "--force", "default"]).ok();
    assert!(!one.pings("10.0.100.2") && !one.pings("10.0.100.3"), "the network is gone");
    lab.assert_as_before("the network was taken away", &before);
    // Each can have it back.
    lab.ifup(&one).ok();
    eventually("the guest is back", || one.pings("192.168.1.25"));
}

#[test]
fn networks_that_nobody_knows() {
    let lab = two_networks(Network::NAT);
    refused(&lab, 2, &["up", "lob"], "did you mean \"lab\"?");
    refused(&lab, 2, &["down", "lob"], "did you mean \"lab\"?");
    lab.write_config("mode = \"natt\"\n");
    refused(&lab, 2, &["up", "default"], "/etc/kvmnet.conf:1:8");
    refused(&lab, 2, &["apply"], "/etc/kvmnet.conf:1:8");
    lab.host.enter(|| std::fs::remove_file("/etc/kvmnet.conf")).unwrap();
    refused(&lab, 2, &["up", "lab"], "there is no file /etc/kvmnet.conf");
}

/// Without a file the built-in default serves; with a broken one nothing comes up, and everything goes down.
#[test]
fn attach_and_detach_without_a_file_and_with_a_broken_one() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    let before = settled(&lab);
    lab.host.enter(|| std::fs::remove_file("/etc/kvmnet.conf")).unwrap();
    assert!(kvmnet(&lab, &["attach", "vif0.0"]).ok().contains("network default, nat"));
    assert!(kvmnet(&lab, &["apply"]).ok().contains("every network is as configured"));
    eventually("the guest is out", || one.pings("192.168.1.25"));
    lab.write_config("mode = \"natt\"\n");
    kvmnet(&lab, &["detach", "vif0.0"]).ok();
    lab.assert_as_before("detached", &before);
    refused(&lab, 2, &["attach", "vif0.0"], "/etc/kvmnet.conf:1:8");
    assert!(kvmnet(&lab, &["gc"]).ok().contains("nothing to do"));
}

/// A network that stands is taken down whatever became of the file.
#[test]
fn down_needs_no_configuration() {
    let lab = two_networks(Network::NAT);
    let before = settled(&lab);
    kvmnet(&lab, &["up", "lab"]).ok();
    lab.write_config("nonsense");
    kvmnet(&lab, &["down", "lab"]).ok();
    lab.assert_as_before("taken down without a file", &before);
}

#[test]
fn a_user_without_rights() {
    let lab = two_networks(Network::NAT);
    let before = settled(&lab);
    for arguments in [
        &["attach", "vif0.0"][..],
        &["attach", "--create", "vif0.0"],
        &["detach", "vif0.0"],
        &["apply", "--yes"],
        &["up", "lab"],
        &["down", "lab"],
        &["gc"],
    ] {
        let said = Cli::new(&lab.host, arguments).user(65534).run().complains(1);
        assert!(said.contains("only root can change the network") && said.contains("sudo"), "{said}");
    }
    lab.assert_as_before("no rights", &before);
}

#[test]
fn gc_sweeps_what_a_killed_guest_left() {
    let lab = two_networks(Network::BRIDGED);
    let before = settled(&lab);
    let (one, other) = (lab.attach(1), lab.attach_in_lab(1));
    one.kill();
    eventually("the tap is gone", || !is_there(&lab, "vif0.0"));
    let said = kvmnet(&lab, &["gc"]).ok();
    assert!(said.contains("ip link delete br0"), "{said}");
    assert!(is_there(&lab, "br-lab"), "a network with a guest stays");
    other.kill();
    eventually("the tap is gone", || !is_there(&lab, "lab0.0"));
    kvmnet(&lab, &["gc"]).ok();
    lab.assert_as_before("swept", &before);
    let mut monitor = Monitor::start(&lab.host);
    assert!(kvmnet(&lab, &["gc"]).ok().contains("nothing to do"));
    assert_eq!(monitor.changes(), [] as [&str; 0]);
}

/// `kvmnet attach | head -1` does its work to the end.
#[test]
fn a_reader_that_goes_away_does_not_stop_the_work() {
    let lab = Lab::new(Network::NAT);
    let one: Guest = lab.boot(1);
    let kvmnet = lab::hooks_dir().join("kvmnet");
    let line = format!("env -i {} attach vif0.0 | true", kvmnet.display());
    let status = lab.host.enter(|| Command::new("sh").args(["-c", &line]).status().unwrap());
    assert!(status.success());
    eventually("the guest is on its network", || one.pings("192.168.1.25"));
}

/// Every command explains itself, with an example.
#[test]
fn help_has_examples() {
    let lab = Lab::new(Network::NAT);
    let all = kvmnet(&lab, &["--help"]).ok();
    for command in ["plan", "attach", "detach", "status", "apply", "up", "down", "gc", "check", "config"] {
        assert!(all.contains(&format!("  {command} ")), "{command}: {all}");
        let arguments = [command, "--help"];
        let help = kvmnet(&lab, &arguments).ok();
        assert!(command == "config" || help.contains("Example"), "{command}: {help}");
    }
    for (arguments, status) in [(&["nosuch"][..], 2), (&[], 2), (&["--version"], 0)] {
        assert_eq!(kvmnet(&lab, arguments).status, status, "{arguments:?}");
    }
    let _unchanged: Snapshot = settled(&lab);
}
