//! `kvmnet plan` tells the truth: what it prints, pasted into a shell, does what the hook does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::process::Command;

use lab::bench::settled;
use lab::{Cli, Guest, Lab, Monitor, Network, Place, Snapshot, assert_same, eventually};
use serde_json::Value;

/// Runs what was printed as a person does who pastes it into a shell.
#[track_caller]
fn paste(lab: &Lab, commands: &str) {
    let output = lab.host.enter(|| Command::new("sh").args(["-e", "-c", commands]).output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "the shell says: {said}\n{commands}");
}

fn plan(lab: &Lab, arguments: &[&str]) -> String {
    Cli::new(&lab.host, &[&["plan"], arguments].concat()).run().ok()
}

/// What a snapshot leaves out: the tap itself.
fn tap(lab: &Lab, guest: &Guest) -> String {
    let text = lab.host.ip(&format!("-d -o link show dev {}", guest.tap()));
    // QEMU's tap has a MAC of its own each time; a bridge's clocks run.
    let varies = |word: &str| word == "link/ether" || word.ends_with("_timer");
    let mut words = text.split_whitespace().skip(1);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if varies(word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Two labs that are alike. In one the hook runs for a first guest and a next, up and down; in the other what
/// `kvmnet plan` printed just before in the first is pasted. After each, both are the same.
#[track_caller]
fn a_pasted_plan_does_what_the_hook_does(network: Network, prepare: &[&str]) {
    is_pasted(network, prepare, true);
}

#[track_caller]
fn is_pasted(network: Network, prepare: &[&str], are_together: bool) {
    let labs = [Lab::new(network), Lab::new(network)];
    for lab in &labs {
        prepare.iter().for_each(|arguments| drop(lab.host.ip(arguments)));
    }
    let guests = labs.each_ref().map(|lab| [lab.boot(1), lab.boot(2)]);
    let before = labs.each_ref().map(settled);
    let [hooked, pasted] = &labs;
    assert_same("the labs are alike", &before[0], &before[1]);
    for (what, at, hook) in [
        ("the first guest comes", 0, "/etc/qemu-ifup"),
        ("the next guest comes", 1, "/etc/qemu-ifup"),
        ("a guest leaves", 0, "/etc/qemu-ifdown"),
        ("the last guest leaves", 1, "/etc/qemu-ifdown"),
    ] {
        let guest = &guests[0][at];
        let is_up = hook.ends_with("up");
        let text = plan(hooked, &[&["--down"][usize::from(is_up)..], &[guest.tap()]].concat());
        assert!(text.lines().any(|line| !line.starts_with('#')), "{what}: there is something to do: {text}");
        hooked.hook(hook, guest).run().ok();
        paste(pasted, &text);
        if is_up || at == 0 {
            labs.iter().for_each(Lab::settle);
        }
        let [wanted, found] = [settled(hooked), settled(pasted)].map(Snapshot::without_address_protocols);
        assert_same(what, &wanted, &found);
        assert_eq!(tap(hooked, guest), tap(pasted, &guests[1][at]), "{what}");
        if is_up && at == 1 {
            let [one, two] = &guests[1];
            eventually("the guests of the pasted network reach each other, or do not", || {
                one.pings(&network.guest(2).v4) == are_together
                    && two.pings(&network.guest(1).v6) == are_together
            });
        }
        if is_up {
            assert!(plan(pasted, &[guest.tap()]).contains("nothing to do"), "{what}, and nothing is missing");
        }
    }
    for (lab, before) in labs.iter().zip(&before) {
        lab.assert_as_before("all have left", before);
    }
}

macro_rules! pasted {
    ($($name:ident: $network:ident,)*) => {
        mod pasted {$(
            #[test]
            fn $name() {
                super::a_pasted_plan_does_what_the_hook_does(super::Network::$network, &[]);
            }
        )*}
    };
}

pasted! {
    isolated: ISOLATED,
    host_only: HOST_ONLY,
    host_only_veth: HOST_ONLY_VETH,
    routed: ROUTED,
    routed_veth: ROUTED_VETH,
    nat: NAT,
    nat_source: NAT_SOURCE,
    nat_veth: NAT_VETH,
    nat_by_routes: NAT_BY_ROUTES,
    routed_by_routes: ROUTED_BY_ROUTES,
    bridged: BRIDGED,
}

/// With what keeps guests from each other, and from the host.
#[test]
fn pasted_with_guests_that_are_kept_apart() {
    let services = Network { keys: "port_isolation = true\nhost = \"services\"\n", ..Network::NAT };
    let none =
        Network { keys: "port_isolation = true\nhost = \"none\"\nveth = \"veth1\"\n", ..Network::ROUTED };
    let bridged = Network { keys: "port_isolation = true\n", ..Network::BRIDGED };
    for network in [services, none] {
        is_pasted(network, &[], false);
    }
    is_pasted(bridged, &[], false);
}

/// A record that is longer than a comment may be in `nft`: each of its entries is one.
#[test]
fn pasted_with_a_long_record() {
    let uplink = "uplink = [\"eth3\", \"eth4\"]\n";
    let network = Network { uplink, ..Network::ROUTED_VETH };
    let labs = [Lab::new(network), Lab::new(network)];
    let _guests = labs.each_ref().map(|lab| lab.boot(1));
    let text = plan(&labs[0], &["vif0.0"]);
    let record = text.lines().find(|line| line.contains("alias 'kvmnet:routed")).unwrap();
    assert!(record.len() > 140 && text.contains("comment \"made\""), "{text}");
    let said = Cli::new(&labs[0].host, &["attach", "vif0.0"]).run().ok();
    assert!(said.contains("nft 'table"), "{said}");
    paste(&labs[1], &text);
    labs.iter().for_each(Lab::settle);
    let [wanted, found] = labs.each_ref().map(settled).map(Snapshot::without_address_protocols);
    assert_same("a long record", &wanted, &found);
}

/// The NIC of this host has more than an address and a default route, and all of it moves by commands.
#[test]
fn pasted_bridged_with_baggage() {
    a_pasted_plan_does_what_the_hook_does(
        Network::BRIDGED,
        &[
            "addr add 192.168.7.1/24 dev eth3 label eth3:x",
            "addr add 192.168.8.1/32 peer 192.168.8.2/32 dev eth3 scope link",
            "-6 addr add fd00:8::1/64 dev eth3 noprefixroute",
            "route add 198.18.0.0/15 via 192.168.1.25 dev eth3 metric 77 mtu 1400 advmss 1300",
            "route add 203.0.113.0/24 dev eth3 table 100 proto static src 192.168.1.230",
            "route add 203.0.114.0/24 via 192.168.9.9 dev eth3 onlink",
            "-6 route add fd00:9::/48 via fd00:1::25 dev eth3 metric 5",
            "rule add from 10.9.0.0/16 iif eth3 lookup 100 priority 500",
            "neigh add 192.168.1.77 lladdr 02:00:00:00:00:77 dev eth3 nud permanent",
        ],
    );
}

/// What the interfaces of the host are called, and what somebody wrote on them, are words of the commands and nothing
/// else, of a shell and of `nft`.
#[test]
fn pasted_with_names_that_a_shell_would_obey() {
    let network = Network { uplink: "uplink = [\"eth3\", \"$(reboot)\", \"a;`id`&\"]\n", ..Network::ROUTED };
    let labs = [Lab::new(network), Lab::new(network)];
    let guests = labs.each_ref().map(|lab| {
        paste(lab, "ip link add '$(reboot)' address 02:00:00:00:00:08 type veth peer name 'a;`id`&' address 02:00:00:00:00:09");
        paste(lab, "ip link add br0 address 52:54:00:99:99:99 type bridge");
        paste(lab, "ip link set br0 alias 'it'\\''s $(reboot) `id` \\ %s'; ip link set br0 addrgenmode none up");
        lab.boot_at(&Place { tap: "v'$x{*}".to_owned(), ..network.guest(1) })
    });
    let tap = guests[0].tap();
    for (hook, arguments) in [("/etc/qemu-ifup", &[tap][..]), ("/etc/qemu-ifdown", &["--down", tap])] {
        let text = plan(&labs[0], arguments);
        labs[0].hook(hook, &guests[0]).run().ok();
        paste(&labs[1], &text);
        if hook.ends_with("up") {
            labs.iter().for_each(Lab::settle);
        }
        let [wanted, found] = labs.each_ref().map(settled).map(Snapshot::without_address_protocols);
        assert_same(hook, &wanted, &found);
    }
}

/// A terminal obeys nothing of it, and `nft` ends no text where an alias has a quote.
#[test]
fn pasted_with_an_alias_that_a_terminal_would_obey() {
    let lab = Lab::new(Network::NAT);
    let alias = r#""$(printf 'my "web" \033[2J\342\200\256')""#;
    paste(&lab, &format!("ip link add br0 type bridge; ip link set br0 alias {alias}"));
    let one = lab.boot(1);
    let is_shown = |letter: char| !letter.is_control() && letter != '\u{202e}';
    for json in [&["--json"][..], &[]] {
        let text = plan(&lab, &[json, &["vif0.0"]].concat());
        assert!(text.lines().all(|line| line.chars().all(is_shown)), "{text:?}");
    }
    paste(&lab, &plan(&lab, &["vif0.0"]));
    let now = lab.host.ip("link show dev br0");
    assert!(now.contains("was=my \"web\" \u{1b}[2J\u{202e}"), "{now:?}");
    let said = Cli::new(&lab.host, &["detach", "vif0.0"]).run().ok();
    assert!(said.lines().all(|line| line.chars().all(is_shown)), "{said:?}");
    assert!(lab.host.ip("link show dev br0").contains("alias my \"web\" \u{1b}[2J\u{202e}"));
    drop(one);
}

/// A plan is asked for before QEMU is started: it tells of the tap that is still to be made what it tells of the tap.
#[test]
fn of_a_tap_that_is_not_there_yet() {
    let lab = Lab::new(Network::NAT);
    let before = plan(&lab, &["vif0.0"]);
    assert!(before.contains("vif0.0 is not there yet"), "{before}");
    let _one = lab.boot(1);
    let after = plan(&lab, &["vif0.0"]);
    let commands = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(commands(&before), commands(&after));
    assert!(plan(&lab, &["--down", "vif7.0"]).contains("# vif7.0 is not there\n# nothing to do"));
}

#[test]
fn of_a_guest_changes_nothing() {
    let lab = Lab::new(Network::BRIDGED);
    let one = lab.attach(1);
    lab.settle();
    let before = Snapshot::of(&lab.host);
    let mut monitor = Monitor::start(&lab.host);
    for arguments in [&["vif0.0"][..], &["vif7.0"], &["--down", "vif0.0"], &["--json", "vif0.0"]] {
        plan(&lab, arguments);
    }
    assert_eq!(monitor.changes(), [] as [&str; 0]);
    lab.assert_as_before("a look", &before);
    assert!(one.pings("192.168.1.25"));
}

#[test]
fn as_data_has_the_same_commands() {
    let lab = Lab::new(Network::NAT);
    let text = plan(&lab, &["vif0.0"]);
    let data: Value = serde_json::from_str(&plan(&lab, &["--json", "vif0.0"])).unwrap();
    let steps = data["steps"].as_array().unwrap();
    let commands = steps.iter().filter_map(|step| step["command"].as_str());
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(commands.flat_map(str::lines).collect::<Vec<_>>(), lines);
    assert_eq!(data["tap"], "vif0.0");
    assert_eq!([&data["network"], &data["mode"], &data["bridge"]], ["default", "nat", "br0"]);
    assert_eq!([&steps[0]["kind"], &steps[0]["undo"]], ["add-bridge", "ip link delete br0"]);
    assert!(data["notes"][0].as_str().unwrap().contains("not there yet"));
}

/// What the environment says for one VM holds for its plan.
#[test]
fn of_a_guest_with_a_mode_of_its_own() {
    let lab = Lab::new(Network::NAT);
    let said = Cli::new(&lab.host, &["plan", "vif0.0"]).env("KVMNET_MODE", "isolated").run().ok();
    assert!(said.starts_with("# vif0.0 joins the network default (isolated) on br0\n"), "{said}");
}

/// A person without rights sees all but the tables, and is told so.
#[test]
fn by_a_user_says_what_cannot_be_seen() {
    let lab = Lab::new(Network::NAT);
    let by_user = |tap: &str| Cli::new(&lab.host, &["plan", tap]).user(65534).run().ok();
    let by_root = plan(&lab, &["vif0.0"]);
    let first = by_user("vif0.0");
    assert!(first.contains("# only root can see nftables"), "{first}");
    assert!(by_root.lines().all(|line| first.contains(line)), "of a new network all is told: {first}");
    let _one = lab.attach(1);
    let next = by_user("vif1.0");
    assert!(!next.contains("nft "), "the table of a network that stands is taken to be right: {next}");
    assert!(next.contains("ip link set vif1.0 master br0"), "{next}");
}

#[test]
fn that_there_is_none() {
    let lab = Lab::new(Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    let refused = |arguments: &[&str], status: i32, word: &str| {
        let said = Cli::new(&lab.host, arguments).run().complains(status);
        assert!(said.contains(word), "{said}");
    };
    refused(&["plan", "vif0.0"], 1, "eth9");
    refused(&["plan", "--down", "eth3"], 1, "eth3 is not a tap");
    lab.write_config("mode = \"natt\"\n");
    refused(&["plan", "vif0.0"], 2, "/etc/kvmnet.conf:1:8");
    let said = Cli::new(&lab.host, &["plan", "a/b"]).run();
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("not an interface name"), "{said:?}");
    lab.assert_as_before("no plan", &before);
}
