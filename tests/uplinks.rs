//! Uplinks that are no plain NIC, on a stock Debian kernel, which has what the kernels of other machines lack: a guest
//! plays the host.
//!
//! ```text
//!                          host                                 outside
//!   one, 192.168.1.67 ── g0 ┐        bond1, eth0.5, …            192.168.1.25
//!                           ├── br0 ── the uplink ── eth0 ══════ eth0
//!                    vif0.0 ┘          192.168.1.230
//! ```
//!
//! `one` stands for the guest: no program holds the tap open, which is persistent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;
#[path = "uplinks/street.rs"]
mod street;

use lab::Vm;
use street::{Host, Street, ip};

/// An emulated machine can be slow to answer, or to see an answer.
const TRIES: usize = 3;

/// Who is pinged: the outside, the host on the outside's network, the guest there.
const OUTSIDE: [&str; 2] = ["192.168.1.25", "fd00:1::25"];
const HOST: [&str; 2] = ["192.168.1.230", "fd00:1::230"];
const GUEST: [&str; 2] = ["192.168.1.67", "fd00:1::67"];
/// The host on a network of its own.
const GATEWAY: [&str; 2] = ["10.0.100.3", "fd00:100::3"];

/// A kind of uplink, which has the same name at both ends of the cable where it has two.
struct Uplink {
    name: &'static str,
    /// How it is made on the host.
    make: &'static [&'static str],
    /// How it is made outside; nothing where the outside just has its NIC.
    make_far: &'static [&'static str],
    /// How it is taken away again.
    remove: &'static [&'static str],
}

const UPLINKS: [Uplink; 5] = [
    Uplink { name: "eth0", make: &[], make_far: &[], remove: &["addr flush dev eth0"] },
    Uplink {
        name: "bond1",
        make: &[
            "link add bond1 type bond mode active-backup miimon 100",
            "link set eth0 down",
            "link set eth0 master bond1",
        ],
        make_far: &[],
        remove: &["link del bond1", "link set eth0 up"],
    },
    Uplink {
        name: "eth0.5",
        make: &["link add link eth0 name eth0.5 type vlan id 5"],
        make_far: &["link add link eth0 name eth0.5 type vlan id 5"],
        remove: &["link del eth0.5"],
    },
    Uplink {
        name: "macsec0",
        make: &[
            "link add link eth0 macsec0 type macsec encrypt on",
            "macsec add macsec0 tx sa 0 pn 1 on key 01 0123456789abcdef0123456789abcdef",
            "macsec add macsec0 rx port 1 address 52:54:00:12:35:02",
            "macsec add macsec0 rx port 1 address 52:54:00:12:35:02 sa 0 pn 1 on key 02 fedcba9876543210fedcba9876543210",
        ],
        make_far: &[
            "link add link eth0 macsec0 type macsec encrypt on",
            "macsec add macsec0 tx sa 0 pn 1 on key 02 fedcba9876543210fedcba9876543210",
            "macsec add macsec0 rx port 1 address 52:54:00:12:35:01",
            "macsec add macsec0 rx port 1 address 52:54:00:12:35:01 sa 0 pn 1 on key 01 0123456789abcdef0123456789abcdef",
        ],
        remove: &["link del macsec0"],
    },
    Uplink {
        name: "up0",
        make: &[
            "link add br-lan type bridge forward_delay 0",
            "link add up0 type veth peer name up1",
            "link set up1 master br-lan up",
            "link set eth0 master br-lan",
            "link set br-lan up",
        ],
        make_far: &[],
        remove: &["link del up0", "link del br-lan"],
    },
];

/// Fails the test unless all these addresses answer.
#[track_caller]
fn assert_answer(vm: &mut Vm, what: &str, addresses: &[&str]) {
    let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
    let answered = vm.pings_each(&addresses);
    assert!(answered.iter().all(|answered| *answered), "{what}: {addresses:?} answer: {answered:?}");
}

/// Gives the host and the outside this uplink, with addresses and default routes.
#[track_caller]
fn lay(street: &mut Street, uplink: &Uplink) {
    let name = uplink.name;
    let far = if uplink.make_far.is_empty() { "eth0" } else { name };
    ip(&mut street.outside, uplink.make_far);
    let [v4, v6] = OUTSIDE;
    let up = format!("link set {far} up");
    let addresses = [format!("addr add {v4}/24 dev {far}"), format!("addr add {v6}/64 dev {far} nodad")];
    ip(
        &mut street.outside,
        &["addr flush dev eth0 scope global", "neigh flush dev eth0", &up, &addresses[0], &addresses[1]],
    );
    ip(&mut street.host.vm, uplink.make);
    let routes = [format!("route add default via {v4}"), format!("route add default via {v6}")];
    let [v4, v6] = HOST;
    let up = format!("link set {name} up");
    let addresses = [format!("addr add {v4}/24 dev {name}"), format!("addr add {v6}/64 dev {name} nodad")];
    ip(&mut street.host.vm, &[&up, &addresses[0], &addresses[1], &routes[0], &routes[1]]);
    let shows = format!("/usr/sbin/ip link show dev {name}");
    street.host.vm.must(&format!("until {shows} | grep -q 'state UP'; do sleep 0.1; done"));
    // The kernel tells the state of a bridge whose carrier went and came by up to a second later (net/core/link_watch.c).
    let bridges = "/usr/sbin/ip link show type bridge up";
    street.host.vm.must(&format!("while {bridges} | grep -q 'state UNKNOWN'; do sleep 0.1; done"));
}

/// Takes it away again.
#[track_caller]
fn clear(street: &mut Street, uplink: &Uplink) {
    ip(&mut street.host.vm, uplink.remove);
    if !uplink.make_far.is_empty() {
        ip(&mut street.outside, &[&format!("link del {}", uplink.name)]);
    }
}

/// Each kind of uplink becomes a port with all that it had, and gets it back; the outside reaches the host and the guest
/// over it, and the other way round.
#[test]
fn every_kind_of_uplink() {
    let mut street = Street::boot();
    for uplink in &UPLINKS {
        let name = uplink.name;
        lay(&mut street, uplink);
        assert_answer(&mut street.outside, &format!("before {name} is taken"), &HOST);
        street.host.remember();
        street.host.hook_ok("qemu-ifup", &format!("KVMNET_UPLINK={name}"));
        let ports = street.host.vm.must("/usr/sbin/ip -br link show master br0");
        assert!(ports.contains(name) && ports.contains("vif0.0"), "{name}: {ports}");
        let same = format!("cd /sys/class/net && cmp {name}/mtu br0/mtu && cmp {name}/mtu vif0.0/mtu");
        street.host.vm.must(&same);
        street.plug_in(GUEST, OUTSIDE);
        assert_answer(&mut street.outside, &format!("{name} is taken"), &[HOST, GUEST].concat());
        let all = [OUTSIDE, HOST].concat();
        assert_eq!(street.guest_reaches(&all, TRIES), all, "{name}");
        street.unplug();
        street.host.hook_ok("qemu-ifdown", "");
        street.host.assert_as_before(&format!("{name} is given back"));
        assert_answer(&mut street.outside, &format!("{name} is given back"), &HOST);
        clear(&mut street, uplink);
    }
}

/// The other modes on this kernel: who the guest reaches, and nothing is left of it.
#[test]
fn the_other_modes() {
    let mut street = Street::boot();
    lay(&mut street, &UPLINKS[0]);
    ip(
        &mut street.outside,
        &["route add 10.0.100.0/24 via 192.168.1.230", "route add fd00:100::/64 via fd00:1::230"],
    );
    assert_answer(&mut street.outside, "before", &HOST);
    street.host.remember();
    let all = [GATEWAY, OUTSIDE].concat();
    for (mode, reached) in [("isolated", &all[..0]), ("host-only", &GATEWAY), ("routed", &all), ("nat", &all)]
    {
        // There is no dnsmasq, which a hook would say.
        street.host.hook_ok("qemu-ifup", &format!("KVMNET_DHCP=false KVMNET_MODE={mode}"));
        street.plug_in(["10.0.100.1", "fd00:100::1"], GATEWAY);
        let (reached, others) = all.split_at(reached.len());
        assert_eq!(street.guest_reaches(reached, TRIES), reached, "{mode}");
        assert_eq!(street.guest_reaches(others, 1), [] as [&str; 0], "{mode}");
        street.unplug();
        street.host.hook_ok("qemu-ifdown", "");
        street.host.assert_as_before(mode);
    }
}

/// What cannot be a port of a bridge, how it is made, and what is said of it.
const REFUSALS: [(&str, &[&str], &str); 9] = [
    (
        "p2p0",
        &[
            "tuntap add vif1.0 mode tap",
            "tuntap add tun0 mode tun",
            "link add wg0 type wireguard",
            "link add vrf0 type vrf table 10",
            "link add p2p0 type ipip local 10.77.0.1 remote 10.77.0.2",
        ],
        "p2p0 cannot be bridged: it carries no Ethernet frames",
    ),
    ("tun0", &[], "tun0 cannot be bridged: it carries no Ethernet frames"),
    ("wg0", &[], "wg0 cannot be bridged: it carries no Ethernet frames"),
    ("lo", &[], "lo cannot be bridged: it is the loopback interface"),
    ("vif1.0", &[], "vif1.0 cannot be bridged: it is a tap, the end of a guest or of a VPN"),
    ("vrf0", &[], "vrf0 cannot be bridged: it is a table of routes, and carries nothing itself"),
    // The module makes two, without a radio.
    (
        "wlan0",
        &[],
        "wlan0 cannot be bridged: it is a Wi-Fi station, which sends frames with no MAC but its own",
    ),
    (
        "eth0",
        &["link add bond1 type bond mode active-backup", "link set eth0 down", "link set eth0 master bond1"],
        "eth0 is already a part of the bond bond1",
    ),
    (
        "eth0",
        &["link del bond1", "link set eth0 up", "link add link eth0 macsec0 type macsec"],
        "cannot make eth0 a port of br0: EBUSY: Device or resource busy",
    ),
];

/// Each is refused with what to do instead, and nothing is changed.
#[test]
fn what_cannot_be_an_uplink() {
    let mut host = Host::boot();
    for (name, make, words) in REFUSALS {
        if !make.is_empty() {
            ip(&mut host.vm, make);
            host.remember();
        }
        let (status, said) = host.hook("qemu-ifup", &format!("KVMNET_UPLINK={name}"));
        let lines: Vec<&str> = said.lines().collect();
        let [sentence, hint] = lines[..] else { panic!("{name}: {said}") };
        assert_eq!((status, sentence), (1, &*format!("qemu-ifup: {words}")));
        let way_out = if words.contains("bond") { "set uplink = \"bond1\"" } else { "use mode = \"" };
        assert!(hint.starts_with("hint: ") && hint.contains(way_out), "{name}: {hint}");
        host.assert_as_before(name);
    }
}
