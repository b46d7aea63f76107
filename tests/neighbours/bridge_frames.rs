//! Hosts whose iptables are shown what passes from port to port of a bridge, as Docker's are, and some from the start.

use crate::lab::{Lab, Listener, Network, each_mode, eventually};
use crate::neighbour::applied;

/// Everything is dropped, and all that leaves by another interface than docker0 gets the host's address.
fn closes(lab: &Lab) {
    for program in ["iptables", "ip6tables"] {
        for arguments in
            ["-P FORWARD DROP", "-F FORWARD", "-t nat -F", "-t nat -A POSTROUTING ! -o docker0 -j MASQUERADE"]
        {
            lab.host.run(&format!("{program} {arguments}"));
        }
    }
}

/// Guests of one bridge talk in all modes, and by their own addresses; in bridged mode with the LAN, too. The machine-wide switch
/// stays as it was.
fn guests_talk_by_their_own_addresses(network: Network) {
    let lab = Lab::new(network);
    lab.bridged_frames_pass_firewall(true);
    lab.host.run("nft add table ip witness");
    lab.host.run("nft add chain ip witness forward { type filter hook forward priority -10 ; }");
    lab.host.run("nft add rule ip witness forward ip protocol udp counter");
    closes(&lab);
    let (one, two) = (lab.attach(1), lab.attach(2));
    lab.settle();
    let (from, to) = (network.guest(1), network.guest(2));
    for when in ["closed before", "closed after"] {
        eventually("guests answer one another", || one.pings(&to.v4) && one.pings(&to.v6));
        let mut service = Listener::on(&two);
        one.send(&to.v4, "four");
        one.send(&to.v6, "six");
        eventually("both datagrams arrive", || service.has_heard("four") && service.has_heard("six"));
        let sources = [service.source_of("four"), service.source_of("six")];
        assert_eq!(sources, [Some(from.v4.clone()), Some(from.v6.clone())], "{when}");
        if network.mode == "bridged" {
            let mut service = Listener::on(&lab.outside);
            one.send("192.168.1.25", "to the LAN");
            eventually("a datagram gets to the LAN", || service.has_heard("to the LAN"));
            assert_eq!(service.source_of("to the LAN"), Some(from.v4.clone()), "{when}");
        }
        closes(&lab);
        applied(&lab);
    }
    let witness = lab.host.run("nft list table ip witness");
    assert!(!witness.contains("packets 0 "), "the firewall is shown bridged frames: {witness}");
    assert_eq!(lab.host.read_sysctl("bridge/bridge-nf-call-iptables").as_deref(), Some("1"));
    [one, two].into_iter().for_each(|guest| lab.detach(guest));
    assert!(!lab.host.run("nft list ruleset").contains("kvmnet"));
}

each_mode!(guests_talk_by_their_own_addresses);
