//! Records what the kernel answers to the programs, for tests/corpus: one message of each shape.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use lab::{Hook, Lab, Network, hooks_dir};

const TRACE: &str = "/run/lab/trace";
/// A message that is larger has many parts, of which a smaller one has each.
const MAX_SIZE: usize = 3000;

/// What takes some looking into: rules and routes that people and other programs have made.
const SURROUNDINGS: [&str; 14] = [
    "ip route add 10.5.0.0/24 metric 7 mtu 1400 nexthop via 192.168.1.25 weight 3 nexthop via 192.168.1.26 weight 1",
    "ip -6 route add fd00:5::/64 nexthop via fd00:1::25 dev eth3 nexthop via fd00:1::26 dev eth3",
    "ip nexthop add id 9 via 192.168.1.25 dev eth3",
    "ip nexthop add id 10 group 9",
    "ip route add 10.6.0.0/24 nhid 9",
    "ip route add 10.7.0.0/24 via 192.168.1.25 table 1000",
    "ip route add unreachable 10.8.0.0/24",
    "ip rule add iif eth3 fwmark 7 lookup 1000",
    "ip -6 rule add oif eth3 to fd00:9::/64 lookup 1000",
    "ip neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth3",
    "ip neigh add proxy 192.168.1.98 dev eth3",
    "ip link property add dev eth3 altname the-uplink",
    "iptables-nft -P FORWARD DROP",
    "iptables-nft -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
];
const RULES: &str = "table inet others { set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
    chain c { type filter hook forward priority 0; policy drop; ct state established,related accept; ct state vmap { invalid : drop }
    iifname \"eth*\" oifname eth4 accept; tcp dport { 22, 80 } accept; ip saddr @s counter log jump d
    meta nfproto ipv6 goto d
    }
    chain d { return; }
    chain n { type nat hook postrouting priority 100; ip saddr 10.1.0.0/16 snat ip to 192.168.1.230; masquerade; }; }";

#[test]
#[ignore = "KVMNET_TEST_RECORD must name the directory that what the kernel answers is written to"]
fn record_what_the_kernel_answers() {
    let to = std::env::var("KVMNET_TEST_RECORD").expect("a directory");
    let mut found = BTreeMap::new();
    for network in
        [Network::NAT, Network::ISOLATED, Network::NAT_BY_ROUTES, Network::HOST_ONLY_VETH, Network::BRIDGED]
    {
        let lab = Lab::new(network);
        SURROUNDINGS.iter().for_each(|command| drop(lab.host.run(command)));
        lab.host.enter(|| fs::write("/run/rules", RULES).unwrap());
        lab.host.run("nft -f /run/rules");
        let one = lab.boot(1);
        let mut record = |program: &str, arguments: &[&str]| {
            lab.host.enter(|| drop(fs::remove_file(TRACE)));
            let strace = ["-f", "-e", "trace=socket,recvfrom,sendto", "-e", "read=all", "-o", TRACE, program];
            let all = [&strace[..], arguments].concat();
            Hook::new(&lab.host, "/usr/bin/strace", &all).tap(one.tap_fd()).run();
            collect(&lab.host.enter(|| fs::read_to_string(TRACE)).unwrap(), &mut found);
        };
        record("/etc/qemu-ifup", &["vif0.0"]);
        record("/etc/qemu-ifup", &["vif0.0"]);
        let kvmnet = hooks_dir().join("kvmnet");
        for command in ["status", "check", "gc"] {
            record(kvmnet.to_str().unwrap(), &[command]);
        }
        lab.host.ip("link set br0 alias x");
        record("/etc/qemu-ifup", &["vif0.0"]);
        record("/etc/qemu-ifdown", &["vif0.0"]);
    }
    for (number, (shape, message)) in found.iter().enumerate() {
        fs::write(format!("{to}/{}/kernel-{number:03}", shape.0), message).unwrap();
    }
    println!("{} messages", found.len());
}

/// Which kernel subsystem, and what the message has.
type Shape = (&'static str, u16, BTreeSet<u64>);

/// Adds a message of each new shape.
fn collect(trace: &str, found: &mut BTreeMap<Shape, Vec<u8>>) {
    let mut families = BTreeMap::new();
    let mut family = "";
    let mut datagram: Vec<u8> = Vec::new();
    let mut datagrams = Vec::new();
    for line in trace.lines() {
        if let Some((_, bytes)) = line.split_once(" | ") {
            let hex = bytes.split("  ").skip(1).take(2).flat_map(str::split_whitespace);
            datagram.extend(hex.map_while(|byte| u8::from_str_radix(byte, 16).ok()).take(16));
            continue;
        }
        datagrams.push((family, std::mem::take(&mut datagram)));
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if call.starts_with("socket(AF_NETLINK") {
            let name = if call.contains("NETLINK_ROUTE") { "route" } else { "nft" };
            families.insert(call.rsplit(' ').next().unwrap_or_default().to_owned(), name);
        }
        if let Some(fd) = call.strip_prefix("recvfrom(").and_then(|call| call.split(',').next()) {
            family = families.get(fd).copied().unwrap_or_default();
        }
    }
    for (family, datagram) in datagrams.iter().filter(|(family, _)| !family.is_empty()) {
        for message in messages(datagram) {
            let kind = u16::from_ne_bytes([message[4], message[5]]);
            let shape = (*family, kind, shape(&message[16..]));
            found.entry(shape).or_insert_with(|| message.to_vec());
        }
    }
}

fn messages(mut datagram: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while datagram.len() >= 16 {
        let length = u32::from_ne_bytes(datagram[..4].try_into().unwrap()) as usize;
        let Some(message) = datagram.get(..length).filter(|message| message.len() >= 16) else { break };
        messages.extend((length <= MAX_SIZE).then_some(message));
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// The places of four bytes that look like the head of an attribute, as far as their kinds tell messages apart.
fn shape(body: &[u8]) -> BTreeSet<u64> {
    let mut kinds = BTreeSet::new();
    for start in [4, 8, 12, 16, 20] {
        let mut at = start;
        let mut here = BTreeSet::new();
        while let Some(head) = body.get(at..at + 4) {
            let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
            let kind = u64::from(u16::from_ne_bytes([head[2], head[3]]) & 0x3fff);
            if length < 4 || at + length > body.len() {
                break;
            }
            here.insert(kind);
            at += length.next_multiple_of(4);
        }
        // Attributes fill a message to its end.
        if at >= body.len() {
            kinds = here;
            break;
        }
    }
    kinds
}
