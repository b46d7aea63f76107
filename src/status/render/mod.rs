//! [`Status`] as text for people, in 80 columns.

mod changes;
mod guests;

use changes::render_changes;
use guests::{guest_count, render_guests};

use super::data::{
    AddressesBy, Configuration, Dhcp, Forwarding, Lease, NatKind, Network, State, Status, UplinksBy,
};
use crate::terminal::{Span, Style, Text, list, words};

/// Where the values of a network begin.
const HANG: usize = 14;

impl Status {
    /// Coloured for a terminal.
    pub fn render(&self, color: bool) -> String {
        let mut text = Text::new(color);
        let (idle, instance): (Vec<_>, Vec<_>) =
            self.networks.iter().partition(|network| network.state == State::NotUp);
        if instance.is_empty() {
            text.paragraph(0, "", 0, words("No network is up."));
        }
        for (number, network) in instance.into_iter().enumerate() {
            if number > 0 {
                text.gap();
            }
            render_network(&mut text, network);
        }
        if !idle.is_empty() {
            text.gap();
        }
        for network in idle {
            render_idle(&mut text, network);
        }
        if !self.strays.is_empty() {
            text.gap();
            text.paragraph(0, "", 0, words("Attached by kvmnet, but not on any of its bridges now:"));
            render_guests(&mut text, &self.strays, 2);
        }
        for note in &self.notes {
            text.gap();
            text.paragraph(0, Span::new("note:", Style::WARNING), 6, words(note));
        }
        text.finish()
    }
}

fn render_network(text: &mut Text, network: &Network) {
    let (state, style) = match network.state {
        State::Up => ("up", Style::GOOD),
        State::Down => ("down", Style::WARNING),
        State::Remains => ("leftovers only", Style::WARNING),
        State::NotUp => ("not up", Style::PLAIN),
    };
    let mode = network.mode.as_deref().unwrap_or("of unknown mode");
    let title = [Span::from(mode).and(','), Span::new(state, style)];
    text.paragraph(0, Span::new(&network.name, Style::NAME).and(':'), 2, title);
    row(text, "bridge", bridge(network));
    row(text, "host", host(network));
    row(text, "services", words(services(network)));
    let is_one = network.uplinks.as_ref().is_none_or(|uplinks| uplinks.len() < 2);
    row(text, if is_one { "uplink" } else { "uplinks" }, uplink(network));
    row(text, "forwarding", words(forwarding(network)));
    row(text, "NAT", nat(network));
    row(text, "DHCP", network.dhcp.as_ref().map(dhcp).unwrap_or_default());
    row(text, "leases", list(network.dhcp.iter().flat_map(|dhcp| &dhcp.leases).map(lease)));
    row(text, "keep", words(if network.keep { "it stays when its last guest leaves" } else { "" }));
    render_changes(text, &network.changes);
    row(text, Span::new("note", Style::WARNING), words(comparison(network)));
    for problem in &network.problems {
        row(text, Span::new("problem", Style::WARNING), words(problem));
    }
    row(text, "guests", words(guest_count(&network.guests)));
    render_guests(text, &network.guests, 4);
    row(text, "others", list(&network.other_ports));
}

/// What there is nothing to say of has no row.
fn row(text: &mut Text, label: impl Into<Span>, value: Vec<Span>) {
    if !value.is_empty() {
        text.paragraph(2, label, HANG, value);
    }
}

/// A network that is only configured has one paragraph.
fn render_idle(text: &mut Text, network: &Network) {
    let mode = network.mode.as_deref().unwrap_or_default();
    let with = match network.addresses_by {
        Some(AddressesBy::Choice) => " with any free subnet".to_owned(),
        _ if network.addresses.is_empty() => String::new(),
        _ => format!(" with {}", network.addresses.join(", ")),
    };
    let what = format!("{mode} on {}{with}, not up", network.bridge);
    text.paragraph(0, Span::new(&network.name, Style::NAME).and(':'), 2, words(what));
}

fn bridge(network: &Network) -> Vec<Span> {
    let origin = network.bridge_made.map(|made| if made { "made by kvmnet" } else { "was there before" });
    list(std::iter::once(network.bridge.as_str()).chain(origin))
}

fn host(network: &Network) -> Vec<Span> {
    let chosen = (network.addresses_by == Some(AddressesBy::Choice)).then(|| "chosen as free".to_owned());
    let mut spans = list(network.addresses.iter().cloned().chain(chosen));
    if !spans.is_empty() && network.host_if != network.bridge {
        spans.push(format!("on {}", network.host_if).into());
    }
    spans
}

/// What guests reach of it, where that is not everything.
fn services(network: &Network) -> &'static str {
    match network.host_access.as_deref() {
        Some("services") => "DHCP, DNS and ping; guests reach nothing else of the host",
        Some("none") => "none; guests reach nothing of the host",
        _ => "",
    }
}

fn uplink(network: &Network) -> Vec<Span> {
    let (Some(uplinks), Some(by)) = (&network.uplinks, network.uplinks_by) else { return Vec::new() };
    let how = match by {
        UplinksBy::DefaultRoute if uplinks.is_empty() => {
            return words("none: there is no default route");
        }
        UplinksBy::Port => Some("a port of the bridge"),
        UplinksBy::DefaultRoute => Some("by the default route"),
        UplinksBy::Name => None,
    };
    list(uplinks.iter().map(String::as_str).chain(how))
}

fn forwarding(network: &Network) -> &'static str {
    let Forwarding { ipv4, ipv6 } = network.forwarding;
    match (ipv4, ipv6) {
        _ if !matches!(network.mode.as_deref(), Some("routed" | "nat")) => "",
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        (false, false) => "off",
    }
}

fn nat(network: &Network) -> Vec<Span> {
    let nat = network.nat.as_deref().unwrap_or_default();
    let mut items: Vec<String> =
        nat.iter().filter_map(|nat| nat.to.as_ref()).map(|to| format!("as {to}")).collect();
    if nat.iter().any(|nat| nat.kind == NatKind::Masquerade) {
        items.push(if items.is_empty() { "masquerade" } else { "else masquerade" }.to_owned());
    }
    list(items)
}

fn dhcp(dhcp: &Dhcp) -> Vec<Span> {
    let by = dhcp.process.map_or("by nobody".to_owned(), |pid| format!("by process {pid}"));
    list([by, format!("names in {}", dhcp.domain)])
}

fn lease(lease: &Lease) -> String {
    match &lease.name {
        Some(name) => format!("{} {name}", lease.address),
        None => lease.address.clone(),
    }
}

fn comparison(network: &Network) -> &'static str {
    match network.configuration {
        Configuration::Same | Configuration::Unknown => "",
        Configuration::Differs => "not as configured: the configuration was changed since",
        Configuration::Overridden => "not as configured: the KVMNET_ variables of a guest made it so",
        Configuration::Absent => "no longer in the configuration",
    }
}
