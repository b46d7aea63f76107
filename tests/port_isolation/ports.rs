//! The ports themselves: by each way that a guest comes, and what becomes of them.

use crate::lab::bench::{DOWN, UP};
use crate::lab::{
    Call, Capture, Cli, Fault, Frame, Guest, Hook, Lab, Machine, Network, Tap, TcpServer, Traced, eventually,
    sample,
};
use crate::{KEY, apart, apply, arrived, is_apart, reach_all_else, ways};

/// By a hook, by hand, with a tap that waits for its process, and in the place of QEMU.
#[test]
fn by_each_way_that_a_guest_comes() {
    let lab = Lab::new(apart(Network::NAT));
    let _one = lab.attach(1);
    assert!(is_apart(&lab, "vif0.0"));
    let _two = lab.boot(2);
    Cli::new(&lab.host, &["attach", "vif1.0"]).run().ok();
    assert!(is_apart(&lab, "vif1.0"));
    Cli::new(&lab.host, &["attach", "--create", "fc0"]).run().ok();
    assert!(is_apart(&lab, "fc0"));
    let words = ["run", "--", "/bin/sh", "-c", "ip -d link show type tun", "qemu"];
    let said = Cli::new(&lab.host, &words).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").run();
    assert_eq!(said.out.matches(" isolated on ").count(), 4, "{}{}", said.out, said.err);
    // A tap that another hand took off its bridge comes back as it was.
    lab.host.ip("link set vif0.0 nomaster");
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert!(is_apart(&lab, "vif0.0"));
}

/// From one network to another, of which one keeps its guests apart.
#[test]
fn a_guest_that_moves_is_as_its_network_is() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(Network::NAT.config() + &apart(Network::HOST_ONLY).lab_table()));
    let one = lab.attach(1);
    assert!(!is_apart(&lab, "vif0.0"));
    lab.hook(UP, &one).env("KVMNET_NETWORK", "lab").run().ok();
    assert!(is_apart(&lab, "vif0.0"));
    lab.ifup(&one).ok();
    assert!(!is_apart(&lab, "vif0.0"));
}

/// Another hand clears what keeps a guest apart: check says so, and `apply` puts it back.
#[test]
fn what_another_hand_changes_is_found() {
    for guest in [1, 2] {
        let network = apart(Network { keys: "dhcp = false\n", ..Network::NAT });
        let lab = Lab::new(network);
        let (_one, _two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        let check =
            || Cli::new(&lab.host, &["check"]).run().out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!check().contains("changed by something else"), "{}", check());
        let tap = lab.network.guest(guest).tap;
        lab.host.ip(&format!("link set {tap} type bridge_slave isolated off"));
        assert!(
            check().contains(&format!("left to do: keep {tap} and the other guests apart")),
            "{}",
            check()
        );
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert!(status.contains(&format!("{tap} is not kept from the other guests")), "{status}");
        let apply = Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
        assert!(apply.contains(&format!("ip link set {tap} type bridge_slave isolated on")), "{apply}");
        assert!(is_apart(&lab, &tap));
        let status = Cli::new(&lab.host, &["status"]).run().ok();
        assert!(status.contains(", kept apart") && !status.contains("problem"), "{status}");
        assert!(!check().contains("changed by something else"), "{}", check());
    }
}

/// `nft flush ruleset` takes the rules, and not what keeps frames from the other ports.
#[test]
fn ports_stay_apart_without_any_table() {
    let lab = Lab::new(apart(Network::HOST_ONLY));
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    lab.host.run("nft flush ruleset");
    assert_eq!(arrived(&lab, &one, &two), []);
    for tap in ["vif0.0", "vif1.0"] {
        lab.host.ip(&format!("link set {tap} type bridge_slave isolated off"));
    }
    assert_eq!(ways(&arrived(&lab, &one, &two)), [true, false], "the attack works without it");
}

/// The rule alone keeps the host from sending packets back, and without it they go back.
#[test]
fn the_way_by_the_host_is_closed_by_a_rule() {
    for network in [Network::ROUTED, Network::NAT_VETH, Network::NAT_BY_ROUTES] {
        let lab = Lab::new(apart(network));
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        assert_eq!(arrived(&lab, &one, &two), []);
        lab.host.run("nft flush ruleset");
        assert_eq!(
            ways(&arrived(&lab, &one, &two)),
            [false, true],
            "{network:?}: the attack works without it"
        );
        Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
        assert_eq!(arrived(&lab, &one, &two), []);
    }
}

/// A hook that is killed at any call while it keeps guests apart, or no longer does: the next one makes good for all.
#[test]
fn a_killed_hook_is_made_good_for_all_guests() {
    for (from, to) in [(Network::NAT, apart(Network::NAT)), (apart(Network::NAT), Network::NAT)] {
        let lab = Lab::new(from);
        let taps = ["vif0.0", "vif1.0", "vif2.0"];
        let guests: Vec<Tap> = taps.iter().map(|tap| Tap::open(&lab.host, tap)).collect();
        let hook = |at: Option<(&Call, Fault)>| Traced::run(&lab.host, UP, (taps[2], &guests[2]), at);
        let reset = || {
            lab.write_config(&from.config());
            Hook::new(&lab.host, DOWN, &[taps[2]]).tap(&guests[2]).run().ok();
            for (name, tap) in taps.iter().zip(&guests).take(2) {
                Hook::new(&lab.host, UP, &[name]).tap(tap).run().ok();
            }
            Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
            assert!(taps.iter().take(2).all(|tap| is_apart(&lab, tap) == from.keys.contains(KEY)));
            lab.write_config(&to.config());
        };
        reset();
        let calls = hook(None);
        calls.ran.clone().ok();
        let mut killed = 0;
        for call in sample(&calls.calls(), 4) {
            reset();
            killed += usize::from(hook(Some((&call, Fault::Signal("KILL")))).was_ended_by("SIGKILL"));
            hook(None).ran.ok();
            let wanted = to.keys.contains(KEY);
            assert!(taps.iter().all(|tap| is_apart(&lab, tap) == wanted), "killed at {call}");
        }
        assert!(killed > 4, "{killed} hooks were killed");
    }
}

/// On a bridge of another program's: its other ports are reached, its guests of kvmnet's do not reach each other.
#[test]
fn only_ports_of_a_bridge_of_others() {
    const PORT_ONLY: &str = "mode = \"bridged\"\nuplink = \"none\"\nbridge = \"br0\"\n";
    let lab = Lab::new(Network::NAT);
    let far = Machine::new();
    lab.host.ip("link add br0 address 02:19:13:6f:7b:9f type bridge");
    lab.host.ip("addr add 10.0.100.3/24 dev br0");
    lab.host.ip("link set br0 up");
    lab.host.ip(&format!("link add theirs type veth peer name eth0 netns {}", far.netns()));
    lab.host.ip("link set theirs master br0 up");
    far.ip("addr add 10.0.100.9/24 dev eth0");
    far.ip("link set eth0 up");
    lab.write_config(&format!("{PORT_ONLY}{KEY}"));
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    let reach = |guest: &Guest| ["10.0.100.3", "10.0.100.9"].iter().all(|to| guest.pings(to));
    eventually("host and other ports answer", || reach(&one) && reach(&two));
    assert_eq!(arrived(&lab, &one, &two), []);
    assert!(!is_apart(&lab, "theirs"));
    lab.write_config(PORT_ONLY);
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    assert_eq!(ways(&arrived(&lab, &one, &two)), [true, false]);
    lab.write_config(&format!("{PORT_ONLY}{KEY}"));
    let three = lab.attach(4);
    assert!(is_apart(&lab, one.tap()), "the guests that are on already");
    assert_eq!(arrived(&lab, &one, &two), []);
    // For one guest alone, which changes nothing for the others.
    lab.write_config(PORT_ONLY);
    Cli::new(&lab.host, &["apply", "--yes"]).run().ok();
    lab.hook(UP, &three).env("KVMNET_PORT_ISOLATION", "true").run().ok();
    assert_eq!(["vif0.0", "vif1.0", "vif3.0"].map(|tap| is_apart(&lab, tap)), [false, false, true]);
}

/// A variable would change the network of the other guests.
#[test]
fn the_environment_of_one_guest_does_not_change_the_network_of_others() {
    let lab = Lab::new(Network::NAT);
    let one = lab.attach(1);
    let two = lab.boot(2);
    let ran = lab.hook(UP, &two).env("KVMNET_PORT_ISOLATION", "true").run();
    assert!(ran.complains(1).contains("KVMNET_PORT_ISOLATION"), "{}", ran.stderr);
    assert!(!is_apart(&lab, one.tap()));
    lab.detach(one);
    lab.hook(UP, &two).env("KVMNET_PORT_ISOLATION", "true").run().ok();
    assert!(is_apart(&lab, two.tap()));
}

/// A port of the host that leads to a guest serves host and outside, and no other guest.
#[test]
fn a_port_that_leads_to_a_guest_is_no_way_for_another() {
    let network = apart(Network::NAT);
    let lab = Lab::new(network);
    let one = lab.attach(1);
    let two = lab.boot(2);
    let place = lab.network.guest(2);
    let addresses = format!("{} {}", place.v4, place.v6);
    let up = |guest: &Guest| {
        let hook = lab.hook(UP, guest).env("KVMNET_GUEST_ADDRESS", &addresses);
        hook.env("KVMNET_FORWARD", "7000:7000 udp/7000:7000").run().ok();
    };
    up(&two);
    lab.settle();
    let server = TcpServer::on(&two);
    let mut wire = Capture::of_wire(&two);
    for address in ["10.0.100.3", "192.168.1.230", "fd00:100::3", "fd00:1::230"] {
        assert!(one.open(address).is_err(), "{address}");
        one.send(address, "from another guest");
    }
    for address in ["192.168.1.230", "fd00:1::230"] {
        drop((lab.outside.open(address).unwrap(), server.accept()));
    }
    drop((lab.host.open("10.0.100.3").unwrap(), server.accept()));
    let words = b"from another guest";
    assert!(!wire.frames().iter().any(|frame| frame.windows(words.len()).any(|part| part == words)));
    reach_all_else(&lab, &one);
    apply(&lab, Network::NAT);
    eventually("it is one without the key", || one.open("10.0.100.3").is_ok());
}

/// What a guest asks the host in the name of another one is answered to that one, with its words, unless guests are held to their own
/// addresses as well.
#[test]
fn what_the_host_answers_in_anothers_name() {
    const WORDS: &str = "in the name of guest 2, to guest 2";
    for (keys, comes) in [("", true), ("filter = true\n", false)] {
        let network = apart(Network { keys: keys.to_owned().leak(), ..Network::NAT });
        let lab = Lab::new(network);
        let guests = [1, 2].map(|number| {
            let (guest, place) = (lab.boot(number), lab.network.guest(number));
            let hook = lab.hook(UP, &guest).env("KVMNET_GUEST_MAC", &place.mac);
            hook.env("KVMNET_GUEST_ADDRESS", &format!("{} {}", place.v4, place.v6)).run().ok();
            guest
        });
        let [one, two] = &guests;
        lab.settle();
        [one, two].into_iter().for_each(|guest| reach_all_else(&lab, guest));
        let to = Frame { from: one.mac("eth0"), to: lab.host.mac("br0") };
        let before = two.count();
        let heard = || {
            let frames = two.heard_since(before);
            frames.iter().any(|frame| frame.windows(WORDS.len()).any(|part| part == WORDS.as_bytes()))
        };
        let ask = || {
            // Nobody listens there, and the error about it has the words.
            one.inject(&to.udp4("10.0.100.2".parse().unwrap(), "10.0.100.3".parse().unwrap(), WORDS));
            one.inject(&to.udp6("fd00:100::2".parse().unwrap(), "fd00:100::3".parse().unwrap(), WORDS));
            reach_all_else(&lab, one);
            reach_all_else(&lab, two);
        };
        ask();
        assert!(heard() == comes, "{keys}: {comes}");
        assert_eq!(arrived(&lab, one, two), []);
    }
}

/// On a LAN's bridge that was there before, whose MAC the rule has to know.
#[test]
fn on_a_lan_bridge_that_was_found() {
    let network = Network::BRIDGED;
    let lab = Lab::new(network);
    lab.host_forwards_for_others();
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set eth3 master br0");
    lab.host.ip("addr flush dev eth3");
    lab.host.ip("addr add 192.168.1.230/24 dev br0");
    lab.host.ip("-6 addr add fd00:1::230/64 dev br0 nodad");
    lab.host.ip("link set br0 up");
    lab.settle();
    for passes in [false, true] {
        lab.bridged_frames_pass_firewall(passes);
        lab.write_config(&network.config());
        let (one, two) = (lab.attach(1), lab.attach(2));
        lab.settle();
        eventually("the LAN is there", || one.pings("192.168.1.25") && two.pings("192.168.1.25"));
        assert_eq!(ways(&arrived(&lab, &one, &two)), [true, true], "br_netfilter {passes}");
        apply(&lab, apart(network));
        assert_eq!(arrived(&lab, &one, &two), [], "br_netfilter {passes}");
        reach_all_else(&lab, &one);
        lab.detach(one);
        lab.detach(two);
    }
}
