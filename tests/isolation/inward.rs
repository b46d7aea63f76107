//! From the world to a guest, and from the host to one that is isolated: no frame that anybody sends comes to a guest of a
//! mode that says no.

use std::time::Duration;

use crate::attack::{Attacks, Names, token_in};
use crate::ground::Ground;
use crate::judge::{Leak, is_option_error, tell};
use crate::lab::{Guest, Machine, Network, each_mode, eventually, frame, inject_all, within};

/// What the guests of the network under attack have heard of the attacks since these counts. Options for every hop of IPv6 in a guest's
/// name are answered before any rule on an interface that is not kvmnet's; see docs/security.md.
fn heard(ground: &Ground, since: [usize; 2]) -> Vec<Leak> {
    let guests: [&Guest; 2] = [&ground.one, &ground.two];
    let came = || {
        guests.iter().zip(since).flat_map(|(guest, at)| guest.heard_since(at)).filter_map(|frame| {
            let token = token_in(&frame).filter(|_| !is_six_option_error(&frame))?;
            Some(Leak { token, place: "a guest of the network".to_owned(), frame })
        })
    };
    within(Duration::from_millis(500), || came().next().is_some());
    came().collect()
}

fn is_six_option_error(frame: &[u8]) -> bool {
    is_option_error(frame) && frame::ethertype(frame) == Some(frame::IPV6)
}

/// Sends every packet out by an interface of a machine, to every guest.
#[track_caller]
fn send(ground: &Ground, machine: &Machine, interface: &str, what: &str, to: [u8; 6]) -> usize {
    let names = Names::inward(ground, to);
    let mut attacks = Attacks::default();
    attacks.forged_packets(&names);
    attacks.shaped_packets(&names);
    attacks.frames(&names);
    let since = [ground.one.count(), ground.two.count()];
    for frames in attacks.all.chunks(500) {
        inject_all(machine, interface, frames.iter().map(|attack| attack.frame.as_slice()));
    }
    tell(what, &attacks.all, &heard(ground, since))
}

#[track_caller]
fn nothing_comes_in(network: Network) {
    for careless in [false, true] {
        let ground = Ground::new(network, careless);
        let host = &ground.lab.host;
        let name = format!("{}{}", network.mode, if careless { " on a careless router" } else { "" });
        if network.mode != "routed" {
            let what = format!("{name}, from the outside");
            assert_eq!(send(&ground, &ground.lab.outside, "eth0", &what, host.mac("eth3")), 0, "{what}");
        }
        let what = format!("{name}, from behind eth4, which is not the uplink");
        assert_eq!(send(&ground, &ground.lab.other, "eth0", &what, host.mac("eth4")), 0, "{what}");
        if network.mode == "isolated" {
            let what = format!("{name}, from the host");
            assert_eq!(send(&ground, host, "br0", &what, ground.one.mac("eth0")), 0, "{what}");
        }
        eventually("the guests still reach each other", || ground.one.pings(&network.guest(2).v4));
    }
}

each_mode!(nothing_comes_in: isolated host_only host_only_veth routed nat nat_veth);

/// The same attacks come in where they may: from the outside to a routed guest.
#[test]
fn it_would_come_in() {
    let ground = Ground::new(Network::ROUTED, false);
    let to = ground.lab.host.mac("eth3");
    assert!(send(&ground, &ground.lab.outside, "eth0", "routed, where it may", to) > 100);
}
