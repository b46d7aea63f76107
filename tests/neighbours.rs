//! Beside the real programs that keep a firewall, as Debian has them: guests have what their mode says, these programs and what
//! is theirs go on, and their rules are in the end as they left them. What was seen is docs/neighbours.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "neighbours/bridge_frames.rs"]
mod bridge_frames;
#[path = "neighbours/container.rs"]
mod container;
#[path = "serve/dns.rs"]
#[allow(dead_code)]
mod dns;
#[path = "neighbours/docker.rs"]
mod docker;
#[path = "neighbours/docker_nft.rs"]
mod docker_nft;
#[path = "neighbours/firewalld.rs"]
mod firewalld;
#[path = "neighbours/iptables.rs"]
mod iptables;
#[path = "serve/kit.rs"]
#[allow(dead_code)]
mod kit;
mod lab;
#[path = "neighbours/libvirt.rs"]
mod libvirt;
#[path = "neighbours/matrix.rs"]
mod matrix;
#[path = "neighbours/neighbour.rs"]
mod neighbour;
#[path = "neighbours/nftables.rs"]
mod nftables;
#[path = "neighbours/output.rs"]
mod output;
#[path = "neighbours/removed.rs"]
mod removed;
#[path = "neighbours/served.rs"]
mod served;
#[path = "neighbours/several.rs"]
mod several;
#[path = "neighbours/traces.rs"]
mod traces;
#[path = "neighbours/ufw.rs"]
mod ufw;
