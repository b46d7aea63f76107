//! dnsmasq's configuration, as it follows from a network.
//!
//! In: a [`Subject`], the resolvers. Out: text. Never: does I/O.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::subject::Subject;
use crate::model::Mode;

/// What is in the folder that dnsmasq reads.
pub const CONF: &str = "dnsmasq.conf";
pub const HOSTS: &str = "hosts";
pub const RESERVATIONS: &str = "reservations";
pub const RESOLVERS: &str = "resolv.conf";

/// For how long a client has its address.
const LEASE: &str = "1h";
/// The largest packet that needs no mention.
const ETHERNET: u32 = 1500;

/// The configuration.
pub struct Conf<'a> {
    pub subject: &'a Subject,
    pub folder: &'a Path,
    pub leases: &'a Path,
    /// Whether another program has port 53 of the host's address.
    pub is_port_taken: bool,
    /// The resolvers of the host, for guests that cannot be given the host itself.
    pub resolvers: &'a [IpAddr],
    /// Names that no client may call itself.
    pub taken: &'a [String],
}

/// An IPv6 subnet in which addresses can be made of announcements.
pub fn makes_addresses(net: &Ipv6Net) -> bool {
    net.prefix_len() == 64
}

impl Conf<'_> {
    pub fn text(&self) -> String {
        let Self { subject, folder, leases, .. } = self;
        let (domain, folder) = (&subject.domain, folder.display());
        let mut text = format!(
            "# Written by kvmnet serve for {}.\n\
             interface={}\nexcept-interface=lo\nbind-dynamic\n\
             no-hosts\naddn-hosts={folder}/{HOSTS}\nexpand-hosts\n\
             domain={domain}\nlocal=/{domain}/\ndomain-needed\ndns-loop-detect\ncache-size=1000\n\
             dhcp-hostsfile={folder}/{RESERVATIONS}\ndhcp-leasefile={}\ndhcp-lease-max=10000\n\
             dhcp-authoritative\ndhcp-no-override\nquiet-ra\nquiet-dhcp6\n",
            subject.bridge,
            subject.host_if,
            leases.display(),
        );
        // Clients on copies of one disk have one identifier, made of one /etc/machine-id: only the MAC tells them apart.
        text += "dhcp-ignore-clid\n";
        // A host-only network has no part in what is outside, not even by the host's mouth.
        text += &match subject.mode.forwards() {
            true => format!("resolv-file={folder}/{RESOLVERS}\n"),
            false => "no-resolv\n".to_owned(),
        };
        self.names(&mut text);
        self.dns(&mut text);
        self.ipv4(&mut text);
        self.ipv6(&mut text);
        text
    }

    fn line(&self, text: &mut String, line: std::fmt::Arguments) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{line}");
    }

    fn names(&self, text: &mut String) {
        // Of what a client calls itself, dnsmasq takes what is before the first dot, whatever the rest.
        let forms = self.taken.iter().flat_map(|name| [name.clone(), format!("{name}.*")]);
        for name in forms {
            self.line(text, format_args!("dhcp-name-match=set:taken,{name}"));
        }
        text.push_str("dhcp-ignore-names=tag:taken\n");
    }

    /// Where names are asked for.
    fn dns(&self, text: &mut String) {
        let domain = &self.subject.domain;
        self.line(text, format_args!("dhcp-option=option:domain-search,{domain}"));
        self.line(text, format_args!("dhcp-option=option6:domain-search,{domain}"));
        if !self.is_port_taken {
            return;
        }
        text.push_str("port=0\n");
        let usable = |v6: bool| {
            let resolvers =
                self.resolvers.iter().filter(move |one| one.is_ipv6() == v6 && self.subject.mode.forwards());
            let resolvers: Vec<String> =
                resolvers.map(|one| if v6 { format!("[{one}]") } else { one.to_string() }).collect();
            resolvers.join(",")
        };
        // Where the host's only resolver is itself, that has the port, and may answer guests.
        for (word, addresses) in [("option", usable(false)), ("option6", usable(true))] {
            if !addresses.is_empty() {
                self.line(text, format_args!("dhcp-option={word}:dns-server,{addresses}"));
            }
        }
    }

    fn ipv4(&self, text: &mut String) {
        let nets = self.subject.addresses.iter();
        let nets: Vec<Ipv4Net> =
            nets.filter_map(|net| if let IpNet::V4(net) = net { Some(*net) } else { None }).collect();
        let mut done: Vec<Ipv4Net> = Vec::new();
        for net in nets.iter().map(Ipv4Net::trunc) {
            if done.contains(&net) {
                continue;
            }
            done.push(net);
            for (first, last) in ranges(net, &nets) {
                self.line(text, format_args!("dhcp-range={first},{last},{},{LEASE}", net.netmask()));
            }
            self.line(text, format_args!("domain={},{net},local", self.subject.domain));
        }
        if self.subject.mode == Mode::HostOnly {
            text.push_str("dhcp-option=option:router\n");
        }
        if self.subject.mtu < ETHERNET {
            self.line(text, format_args!("dhcp-option=option:mtu,{}", self.subject.mtu));
        }
    }

    fn ipv6(&self, text: &mut String) {
        let nets = self.subject.addresses.iter();
        let nets = nets.filter_map(|net| if let IpNet::V6(net) = net { Some(net.trunc()) } else { None });
        let mut nets: Vec<Ipv6Net> = nets.filter(makes_addresses).collect();
        nets.dedup();
        if nets.is_empty() {
            return;
        }
        text.push_str("enable-ra\n");
        for net in nets {
            let kept = self.subject.ports.iter().flat_map(|port| &port.guest.addresses);
            let has_kept = kept.into_iter().any(|kept| matches!(kept, IpAddr::V6(v6) if net.contains(v6)));
            // Only where an address is kept are clients told to ask for one.
            let mode = if has_kept { "static,slaac,ra-names" } else { "ra-stateless,ra-names" };
            self.line(text, format_args!("dhcp-range={},{mode},64,{LEASE}", net.network()));
            self.line(text, format_args!("domain={},{net},local", self.subject.domain));
        }
        let host_if = &self.subject.host_if;
        let mtu =
            if self.subject.mtu < ETHERNET { format!("mtu:{},", self.subject.mtu) } else { String::new() };
        // An announcement may name no router: its time is 0.
        match self.subject.mode {
            Mode::HostOnly => self.line(text, format_args!("ra-param={host_if},{mtu}0,0")),
            _ if !mtu.is_empty() => self.line(text, format_args!("ra-param={host_if},{mtu}0,1800")),
            _ => {}
        }
    }
}

/// The addresses of a subnet that are for guests: all but the host's own, the subnet's and the broadcast address.
fn ranges(net: Ipv4Net, hosts: &[Ipv4Net]) -> Vec<(std::net::Ipv4Addr, std::net::Ipv4Addr)> {
    let (low, high) = (u32::from(net.network()), u32::from(net.broadcast()));
    let (low, high) = if net.prefix_len() < 31 { (low + 1, high - 1) } else { (low, high) };
    let mut own: Vec<u32> =
        hosts.iter().map(|host| u32::from(host.addr())).filter(|own| (low..=high).contains(own)).collect();
    own.sort_unstable();
    own.dedup();
    let mut ranges = Vec::new();
    let mut first = u64::from(low);
    for end in own.into_iter().map(u64::from).chain([u64::from(high) + 1]) {
        if first < end {
            ranges.push((((first) as u32).into(), ((end - 1) as u32).into()));
        }
        first = end + 1;
    }
    ranges
}
