//! [`Status`] as text for people, in 80 columns.

mod changes;
mod guests;

use changes::render_changes;
use guests::{guest_count, render_guests};

use super::data::{Configuration, Forwarding, Nat, NatKind, Network, State, Status, UplinksBy};
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
    let mut row = |label: &str, value: Vec<Span>| text.paragraph(2, label, HANG, value);
    row("bridge", bridge(network));
    if !network.addresses.is_empty() {
        row("host", host(network));
    }
    if let (Some(uplinks), Some(by)) = (&network.uplinks, network.uplinks_by) {
        row(if uplinks.len() > 1 { "uplinks" } else { "uplink" }, uplink(uplinks, by));
    }
    if matches!(network.mode.as_deref(), Some("routed" | "nat")) {
        row("forwarding", words(forwarding(network.forwarding)));
    }
    if let Some(nat @ [_, ..]) = network.nat.as_deref() {
        row("NAT", nat_text(nat));
    }
    if network.keep {
        row("keep", words("it stays when its last guest leaves"));
    }
    render_changes(&mut row, &network.changes);
    if let Some(note) = comparison(network) {
        text.paragraph(2, Span::new("note", Style::WARNING), HANG, words(note));
    }
    for problem in &network.problems {
        text.paragraph(2, Span::new("problem", Style::WARNING), HANG, words(problem));
    }
    text.paragraph(2, "guests", HANG, words(guest_count(&network.guests)));
    render_guests(text, &network.guests, 4);
    if !network.other_ports.is_empty() {
        text.paragraph(2, "others", HANG, list(&network.other_ports));
    }
}

/// A network that is only configured has one paragraph.
fn render_idle(text: &mut Text, network: &Network) {
    let mode = network.mode.as_deref().unwrap_or_default();
    let with = if network.addresses.is_empty() { "" } else { " with " };
    let what = format!("{mode} on {}{with}{}, not up", network.bridge, network.addresses.join(", "));
    text.paragraph(0, Span::new(&network.name, Style::NAME).and(':'), 2, words(what));
}

fn bridge(network: &Network) -> Vec<Span> {
    let origin = network.bridge_made.map(|made| if made { "made by kvmnet" } else { "was there before" });
    list(std::iter::once(network.bridge.as_str()).chain(origin))
}

fn host(network: &Network) -> Vec<Span> {
    let mut spans = list(&network.addresses);
    if network.host_if != network.bridge {
        spans.push(format!("on {}", network.host_if).into());
    }
    spans
}

fn uplink(uplinks: &[String], by: UplinksBy) -> Vec<Span> {
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

fn forwarding(on: Forwarding) -> &'static str {
    match (on.ipv4, on.ipv6) {
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        (false, false) => "off",
    }
}

fn nat_text(nat: &[Nat]) -> Vec<Span> {
    let mut items: Vec<String> =
        nat.iter().filter_map(|nat| nat.to.as_ref()).map(|to| format!("as {to}")).collect();
    if nat.iter().any(|nat| nat.kind == NatKind::Masquerade) {
        items.push(if items.is_empty() { "masquerade" } else { "else masquerade" }.to_owned());
    }
    list(items)
}

fn comparison(network: &Network) -> Option<&'static str> {
    match network.configuration {
        Configuration::Same | Configuration::Unknown => None,
        Configuration::Differs => Some("not as configured: the configuration was changed since"),
        Configuration::Overridden => Some("not as configured: the KVMNET_ variables of a guest made it so"),
        Configuration::Absent => Some("no longer in the configuration"),
    }
}
