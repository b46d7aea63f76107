//! [`Status`] as text for people, in 80 columns.

mod changes;
mod guests;

use changes::put_changes;
use guests::{guest_count, put_guests};

use super::{Configuration, Forwarding, Nat, NatKind, Network, State, Status, UplinksBy};
use crate::terminal::{Look, Page, Word, list, plain};

/// Where the values of a network begin.
const HANG: usize = 14;

impl Status {
    /// For people, in 80 columns; coloured for a terminal.
    pub fn render(&self, color: bool) -> String {
        let mut page = Page::new(color);
        let (idle, standing): (Vec<_>, Vec<_>) =
            self.networks.iter().partition(|network| network.state == State::NotUp);
        if standing.is_empty() {
            paragraph(&mut page, plain("No network is up."));
        }
        for (number, network) in standing.into_iter().enumerate() {
            if number > 0 {
                page.gap();
            }
            put_network(&mut page, network);
        }
        if !idle.is_empty() {
            page.gap();
        }
        for network in idle {
            put_idle(&mut page, network);
        }
        if !self.strays.is_empty() {
            page.gap();
            paragraph(&mut page, plain("Attached by kvmnet, and on none of its bridges now:"));
            put_guests(&mut page, &self.strays, 2);
        }
        for note in &self.notes {
            page.gap();
            page.paragraph(0, Word::new("note:", Look::Warning), 6, plain(note));
        }
        page.finish()
    }
}

fn paragraph(page: &mut Page, words: impl IntoIterator<Item = Word>) {
    page.paragraph(0, Word::new("", Look::Plain), 0, words);
}

fn put(page: &mut Page, label: &str, words: impl IntoIterator<Item = Word>) {
    page.paragraph(2, Word::new(label, Look::Plain), HANG, words);
}

fn put_network(page: &mut Page, network: &Network) {
    let (state, look) = match network.state {
        State::Up => ("up", Look::Good),
        State::Down => ("down", Look::Warning),
        State::Remains => ("remains only", Look::Warning),
        State::NotUp => ("not up", Look::Plain),
    };
    let mode = network.mode.as_deref().unwrap_or("of unknown mode");
    let title = [Word::new(mode, Look::Plain).and(','), Word::new(state, look)];
    page.paragraph(0, Word::new(&network.name, Look::Name).and(':'), 2, title);
    put(page, "bridge", bridge(network));
    if !network.addresses.is_empty() {
        put(page, "host", host(network));
    }
    if let (Some(uplinks), Some(by)) = (&network.uplinks, network.uplinks_by) {
        put(page, if uplinks.len() > 1 { "uplinks" } else { "uplink" }, uplink(uplinks, by));
    }
    if matches!(network.mode.as_deref(), Some("routed" | "nat")) {
        put(page, "forwarding", plain(forwarding(network.forwarding)));
    }
    if let Some(nat @ [_, ..]) = network.nat.as_deref() {
        put(page, "NAT", nat_text(nat));
    }
    if network.keep {
        put(page, "keep", plain("it stays when its last guest leaves"));
    }
    put_changes(page, &network.changes);
    if let Some(note) = comparison(network) {
        page.paragraph(2, Word::new("note", Look::Warning), HANG, plain(note));
    }
    for problem in &network.problems {
        page.paragraph(2, Word::new("problem", Look::Warning), HANG, plain(problem));
    }
    put(page, "guests", plain(&guest_count(&network.guests)));
    put_guests(page, &network.guests, 4);
    if !network.other_ports.is_empty() {
        put(page, "others", list(&network.other_ports));
    }
}

/// A network that is only configured has one paragraph.
fn put_idle(page: &mut Page, network: &Network) {
    let mode = network.mode.as_deref().unwrap_or_default();
    let with = if network.addresses.is_empty() { "" } else { " with " };
    let text = format!("{mode} on {}{with}{}, not up", network.bridge, network.addresses.join(", "));
    page.paragraph(0, Word::new(&network.name, Look::Name).and(':'), 2, plain(&text));
}

fn bridge(network: &Network) -> Vec<Word> {
    let origin = match network.bridge_made {
        Some(true) => "made by kvmnet",
        Some(false) => "was there before",
        None => return list([&network.bridge]),
    };
    list([network.bridge.as_str(), origin])
}

fn host(network: &Network) -> Vec<Word> {
    let mut words = list(&network.addresses);
    if network.door != network.bridge {
        words.push(Word::new(format!("on {}", network.door), Look::Plain));
    }
    words
}

fn uplink(uplinks: &[String], by: UplinksBy) -> Vec<Word> {
    let by = match by {
        UplinksBy::Port => "a port of the bridge",
        UplinksBy::Name => return list(uplinks),
        UplinksBy::DefaultRoute if uplinks.is_empty() => {
            return plain("none: there is no default route").collect();
        }
        UplinksBy::DefaultRoute => "by the default route",
    };
    let names = uplinks.iter().map(String::as_str);
    list(names.chain([by]))
}

fn forwarding(on: Forwarding) -> &'static str {
    match (on.ipv4, on.ipv6) {
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        (false, false) => "off",
    }
}

fn nat_text(nat: &[Nat]) -> Vec<Word> {
    let given: Vec<String> =
        nat.iter().filter_map(|nat| nat.to.as_ref()).map(|to| format!("as {to}")).collect();
    let is_rest = nat.iter().any(|nat| nat.kind == NatKind::Masquerade);
    let rest = if given.is_empty() { "masquerade" } else { "else masquerade" };
    list(given.iter().map(String::as_str).chain(is_rest.then_some(rest)))
}

fn comparison(network: &Network) -> Option<&'static str> {
    match network.configuration {
        Configuration::Same | Configuration::Unknown => None,
        Configuration::Differs => Some("not as configured: that was changed since"),
        Configuration::Overridden => Some("not as configured: the KVMNET_ variables of a guest made it so"),
        Configuration::Absent => Some("no longer in the configuration"),
    }
}
