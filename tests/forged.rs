//! Records, rules and answers that somebody else wrote make kvmnet change nothing that the network they tell of could not have
//! changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fmt::Write;
use std::fs;
use std::process::Command;

use lab::bench::settled;
use std::os::fd::AsRawFd;

use lab::{Call, Cli, Hook, Lab, Machine, Network, Snapshot, Tap, standing_still};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
};

/// Any text, with spaces or none at all.
fn set_alias(host: &Machine, link: &str, alias: &str) {
    let mut ip = Command::new("ip");
    let ip = ip.args(["link", "set", "dev", link, "alias", alias]);
    assert!(host.enter(|| ip.status().unwrap()).success());
}

/// A host with a bridge of its owner's, which has an address, and a tap of nobody's.
fn lab() -> Lab {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("link add br9 address 02:00:00:00:00:99 type bridge");
    lab.host.ip("link set br9 up");
    lab.host.ip("addr add 10.55.0.1/24 dev br9");
    lab.host.ip("addr add 10.55.1.1/24 dev br9 valid_lft 5000 preferred_lft 5000");
    lab.host.ip("tuntap add dev veth9.1 mode tap");
    lab
}

/// The snapshot has the seconds that an address has left.
fn forget_time(lab: &Lab) {
    assert!(lab.host.ip("addr show dev br9").contains("10.55.1.1/24"));
    lab.host.ip("addr change 10.55.1.1/24 dev br9 valid_lft 5000 preferred_lft 5000");
}

/// Everything by which a network that nobody is on is swept.
fn sweep(lab: &Lab) {
    Cli::new(&lab.host, &["gc"]).run();
    let tap = Tap::open(&lab.host, "nobody");
    Hook::new(&lab.host, "/etc/qemu-ifdown", &["nobody"]).tap(&tap).run();
}

/// A record on a bridge that was there, for a network that nobody is on: all that may be undone is the record itself, and
/// what it says of its own bridge.
#[test]
fn a_record_of_nobodys_changes_nothing_of_others() {
    for (mode, entries) in [
        ("nat", "veth=veth9 eth4:u=0 eth3:m=1200 eth3:r=2 eth3:f=4294967295 eth4:R=9 eth3:d=1"),
        // The bridge is not one that kvmnet makes, and addresses that end by themselves are not its own.
        ("nat", "made addr=10.55.1.1/24 addr=10.99.0.1/32"),
        ("isolated", "made addr=10.55.0.1/24"),
        // A NIC that was never on it would get its addresses.
        ("bridged", "nic=eth4"),
        ("bridged", "made nic=eth4 eth4:u=0 eth4:m=1200 mac=01:00:00:00:00:07"),
        ("nat", "nic=eth4 eth4:u=0"),
        // What was closed is not opened.
        ("nat", "eth3:f=1 eth4:F=1 eth3:R=2 eth4:R=1"),
        ("nat", "default:f=1 default:F=1 default:R=2 eth3:f=1 eth3:F=1"),
        ("nat", "all:W=1 all:f=1 eth3:W=1 br9:W=1"),
        // Filters and groups of others, and guards of taps.
        ("nat", "br9:q=1 br9:i=1 br9:e=1 br9:A=1 br9:t=1 br9:w=65535 eth3:g=7042669 eth3:q=1"),
        ("nat", "was=kvmnet:nat y 00000000 made"),
    ] {
        let lab = lab();
        lab.host.sysctl("ipv6/conf/eth4/accept_ra", "0");
        forget_time(&lab);
        let before = settled(&lab);
        set_alias(&lab.host, "br9", &format!("kvmnet:{mode} x 00000000 {entries}"));
        sweep(&lab);
        forget_time(&lab);
        lab.assert_as_before(&format!("{mode} {entries}: nothing but the alias was taken away"), &before);
    }
}

/// The number of an interface leads to it under another name: not from the bridge's own entries to a NIC's.
#[test]
fn a_number_does_not_make_an_interface_the_networks_own() {
    let lab = lab();
    let index =
        |link: &str| lab.host.enter(|| fs::read_to_string(format!("/sys/class/net/{link}/ifindex"))).unwrap();
    let eth4 = index("eth4").trim().to_owned();
    forget_time(&lab);
    let before = settled(&lab);
    for mode in ["nat", "bridged"] {
        let entries =
            format!("nic=br9@{eth4} br9:u=0@{eth4} br9:m=1200@{eth4} br9:a=8@{eth4} br9:f=1@{eth4}");
        set_alias(&lab.host, "br9", &format!("kvmnet:{mode} x 00000000 {entries}"));
        sweep(&lab);
        forget_time(&lab);
        lab.assert_as_before(mode, &before);
    }
}

/// The same in a table, for a bridge that is gone or was never there.
#[test]
fn a_table_of_nobodys_changes_nothing() {
    for entries in [
        "made, nic=eth4, eth4:u=0, eth4:m=1200",
        "made, veth=veth9, addr=10.77.0.1/24, addr=10.55.0.1/24",
        "default:f=1, eth3:f=1, all:W=1, br8:f=1",
    ] {
        for bridge in ["br8", "br9", "eth4"] {
            let lab = lab();
            forget_time(&lab);
            let before = settled(&lab);
            let first = std::iter::once("kvmnet:bridged x 00000000").chain(entries.split(", "));
            let elements: Vec<String> =
                first.enumerate().map(|(key, entry)| format!("{} comment \"{entry}\"", key + 1)).collect();
            let set = format!("set record {{ type mark; elements = {{ {} }}; }};", elements.join(", "));
            nft(&lab, &format!("table inet kvmnet-{bridge} {{ {set} }}"));
            sweep(&lab);
            forget_time(&lab);
            lab.assert_as_before(&format!("{bridge}: {entries}"), &before);
        }
    }
}

fn nft(lab: &Lab, commands: &str) {
    lab.host.enter(|| fs::write("/run/rules", commands).unwrap());
    lab.host.run("nft -f /run/rules");
}

/// More entries than any network has: they are read up to a bound, and the hook is not held up.
#[test]
fn a_record_without_end_is_bounded() {
    let lab = lab();
    let mut elements = String::from("1 comment \"kvmnet:nat x 00000000\"");
    for number in 2..40_000 {
        write!(elements, ", {number} comment \"eth{number}:f=0@{number}\"").unwrap();
    }
    nft(
        &lab,
        &format!("table inet kvmnet-br8 {{ set record {{ type mark; elements = {{ {elements} }}; }}; }}"),
    );
    lab.attach(1);
}

/// What is claimed of a NIC that another network has changes nothing of that one's.
#[test]
fn two_bridges_claim_one_nic() {
    let lab = Lab::new(Network::BRIDGED);
    let one = lab.attach(1);
    lab.host.ip("link add br9 address 02:00:00:00:00:99 type bridge");
    lab.host.ip("addr add 10.55.0.1/24 dev br9");
    lab.settle();
    let before = settled(&lab);
    for entries in
        ["nic=eth3", "made nic=eth3 eth3:u=0", "nic=eth3 own=192.168.1.230/24", "eth3:u=0 br0:u=0 br0:f=1"]
    {
        set_alias(&lab.host, "br9", &format!("kvmnet:bridged x 00000000 {entries}"));
        sweep(&lab);
        lab.assert_as_before(entries, &before);
    }
    lab.detach(one);
}

/// What a record says that a hook of another network believes: the former values of its uplink.
#[test]
fn what_a_network_opened_is_closed_whatever_a_record_says() {
    let lab = lab();
    forget_time(&lab);
    let before = settled(&lab);
    for entries in ["eth3:f=1 eth3:F=1", "default:f=0 default:F=0 eth3:f=1 eth3:F=1"] {
        set_alias(&lab.host, "br9", &format!("kvmnet:nat x 00000000 held {entries}"));
        // By which a hook finds it.
        nft(&lab, "table inet kvmnet-br9 {}");
        let one = lab.attach(1);
        lab.host.run("nft delete table inet kvmnet-br9");
        set_alias(&lab.host, "br9", "");
        lab.detach(one);
        forget_time(&lab);
        lab.assert_as_before(entries, &before);
    }
}

/// The alias of a tap: what it says of that tap is put back, and nothing else; another bridge keeps its port.
#[test]
fn a_record_on_a_tap() {
    for record in ["W=1", "u=1 g=7042669 i=1 e=1 A=1 q=1 w=3 R=2 F=1 L=1 l=1", "on=br0 was=kvmnet:tap W=1"] {
        for master in ["", "br9"] {
            let lab = lab();
            lab.host.ip("link set br9 addrgenmode none");
            let one = lab.boot(1);
            if !master.is_empty() {
                lab.host.ip(&format!("link set vif0.0 master {master} up"));
            }
            forget_time(&lab);
            let before = Snapshot::of(&lab.host);
            set_alias(&lab.host, "vif0.0", &format!("kvmnet:tap {record}"));
            lab.ifdown(&one).ok();
            forget_time(&lab);
            lab::assert_same(&format!("{record} {master}"), &before, &Snapshot::of(&lab.host));
        }
    }
}

/// Rules of others in the forward chain that bear the comment of kvmnet's stay.
#[test]
fn rules_with_the_comment_of_kvmnets() {
    let lab = Lab::new(Network::NAT);
    let rules = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop
        iifname \"eth3\" oifname \"eth4\" drop comment \"kvmnet:br0\"
        ip saddr 10.9.9.9 accept comment \"kvmnet:br0\"
        }
        }";
    nft(&lab, rules);
    let before = lab.host.run("nft list table ip filter");
    let one = lab.attach(1);
    let on = lab.host.run("nft list table ip filter");
    assert!(on.contains("ip saddr 10.9.9.9 accept") && on.contains("drop comment"), "{on}");
    lab.detach(one);
    assert_eq!(lab.host.run("nft list table ip filter"), before);
}

/// Names and texts come out escaped, wherever they are told.
#[test]
fn text_that_a_terminal_would_obey() {
    let lab = lab();
    for alias in ["kvmnet:nat \x1b[2J\u{202e} 00000000 made", "kvmnet:nat x 00000000 \x1b[2J\u{202e}=1 later"]
    {
        set_alias(&lab.host, "br9", alias);
        for command in [&["status"][..], &["check"], &["gc"], &["status", "--json"]] {
            let said = Cli::new(&lab.host, command).run();
            let text = said.out + &said.err;
            let shown =
                text.chars().all(|letter| letter == '\n' || !letter.is_control() && letter != '\u{202e}');
            assert!(shown, "{command:?}: {text:?}");
        }
    }
}

/// Another process with rights over the network sends refusals and false answers to a hook's sockets, while it stands still at
/// each of its sends: it takes them for what they are.
#[test]
fn answers_of_another_process_are_not_the_kernels() {
    let lab = lab();
    let one = lab.boot(1);
    for number in 1..=4 {
        let call = Call { name: "sendto".to_owned(), number, changes: false };
        let sent = std::cell::Cell::new(0);
        let ran = standing_still(&lab.host, "/etc/qemu-ifup", (one.tap(), one.tap_fd()), &call, || {
            sent.set(lab.host.enter(send_refusals));
        });
        assert!(sent.get() > 0, "somebody listens");
        ran.unwrap().ok();
        lab.ifdown(&one).ok();
    }
}

/// To all netlink sockets of this network that have an address: "no", to whatever they have asked or will ask.
fn send_refusals() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    let mut sent = 0;
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let protocol = match columns[1] {
            "0" => SockProtocol::NetlinkRoute,
            "12" => SockProtocol::NetlinkNetFilter,
            _ => continue,
        };
        let to = NetlinkAddr::new(columns[2].parse().unwrap(), 0);
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), protocol).unwrap();
        for sequence in 1..100u32 {
            let (error, refusal) = (2u16, -libc::EPERM);
            let header = [&36u32.to_ne_bytes()[..], &error.to_ne_bytes(), &0x100u16.to_ne_bytes()].concat();
            let bytes =
                [&header[..], &sequence.to_ne_bytes(), &[0; 4], &refusal.to_ne_bytes(), &[0; 16]].concat();
            if to.pid() != 0 && sendto(socket.as_raw_fd(), &bytes, &to, MsgFlags::MSG_DONTWAIT).is_ok() {
                sent += 1;
            }
        }
    }
    sent
}
