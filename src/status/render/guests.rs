//! Who is behind the taps.

use super::HANG;
use crate::status::data::{Forward, Guest, LinkState};
use crate::terminal::{Span, Style, Text, list, words};

/// A paragraph or two for each guest, whose tap is at `indent`.
pub(super) fn render_guests(text: &mut Text, guests: &[Guest], indent: usize) {
    let longest = guests.iter().map(|guest| guest.tap.chars().count()).max().unwrap_or_default();
    let hang = (indent + longest + 2).max(HANG);
    for guest in guests {
        text.paragraph(indent, Span::new(&guest.tap, Style::NAME), hang, state(guest));
        for spans in [processes(guest), addresses(guest), forwards(guest), remarks(guest)] {
            if !spans.is_empty() {
                text.paragraph(0, "", hang, spans);
            }
        }
    }
}

/// How many: a VM with two NICs is one guest.
pub(super) fn guest_count(guests: &[Guest]) -> String {
    let is_same_vm = |one: &Guest, other: &Guest| {
        one.processes.iter().any(|process| other.processes.iter().any(|known| known.pid == process.pid))
    };
    let is_first = |at: usize, guest: &Guest| !guests.iter().take(at).any(|other| is_same_vm(guest, other));
    let vms = guests.iter().enumerate().filter(|(at, guest)| is_first(*at, guest)).count();
    let apart =
        if !guests.is_empty() && guests.iter().all(|guest| guest.isolated) { ", kept apart" } else { "" };
    match vms == guests.len() {
        true => format!("{vms}{apart}"),
        false => format!("{vms}, on {} taps{apart}", guests.len()),
    }
}

fn state(guest: &Guest) -> Vec<Span> {
    let (state, style) = match guest.link {
        LinkState::Up => ("up", Style::GOOD),
        LinkState::NoProcess if guest.persistent => ("waits for a process", Style::WARNING),
        LinkState::NoProcess => ("no process", Style::WARNING),
        LinkState::Down => ("down", Style::WARNING),
    };
    let amounts = list([
        format!("received {}", amount(guest.guest_received_bytes)),
        format!("sent {}", amount(guest.guest_sent_bytes)),
    ]);
    let name = guest.vm.iter().map(|name| Span::from(name).and(','));
    name.chain([Span::new(state, style).and(',')]).chain(amounts).collect()
}

fn processes(guest: &Guest) -> Vec<Span> {
    list(guest.processes.iter().map(|process| {
        let elsewhere = if process.elsewhere { ", of another network namespace" } else { "" };
        format!("{} (pid {}{elsewhere})", process.program, process.pid)
    }))
}

fn addresses(guest: &Guest) -> Vec<Span> {
    let seen = match (&guest.macs[..], &guest.mac_given) {
        ([], Some(given)) => vec![format!("{given} by its command line, not seen yet")],
        ([], None) => vec!["no MAC seen yet".to_owned()],
        (macs, _) => {
            let macs = few(macs, guest.mac_count, "MACs").into_iter();
            macs.chain(few(&guest.addresses, guest.address_count, "addresses")).collect()
        }
    };
    let is_unseen = |kept: &&String| !guest.addresses.contains(kept);
    let kept = guest.kept_addresses.iter().filter(is_unseen).map(|kept| format!("{kept} kept for it"));
    let name = guest.name.iter().filter(|name| guest.vm.as_ref() != Some(name));
    let filter = guest.filter.then(|| "filtered".to_owned());
    let name = name.map(|name| format!("called {name}"));
    let all: Vec<String> = seen.into_iter().chain(kept).chain(name).chain(filter).collect();
    words(all.join(", "))
}

/// `tcp 2222 leads to 10.0.100.1:22`
fn forwards(guest: &Guest) -> Vec<Span> {
    list(guest.forwards.iter().map(|forward| {
        let Forward { protocol, listen, first, last, to_address, to_port } = forward;
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let bracketed = |address: &str| match address.contains(':') {
            true => format!("[{address}]"),
            false => address.to_owned(),
        };
        let listen = listen.as_ref().map(|listen| format!("{}:", bracketed(listen))).unwrap_or_default();
        format!("{protocol} {listen}{ports} leads to {}:{to_port}", bracketed(to_address))
    }))
}

/// A few of something; of more, their number.
fn few(known: &[String], count: usize, what: &str) -> Vec<String> {
    if count > 4 { vec![format!("{count} {what}")] } else { known.to_vec() }
}

fn remarks(guest: &Guest) -> Vec<Span> {
    let mut remarks = Vec::new();
    if !guest.same_mac_as.is_empty() {
        let others = guest.same_mac_as.join(" and ");
        remarks.push(format!("has the same MAC as {others}: give each guest one of its own"));
    }
    if !guest.attached {
        remarks.push("was not attached by kvmnet".to_owned());
    }
    let text = remarks.join("; ");
    text.split_whitespace().map(|word| Span::new(word, Style::WARNING)).collect()
}

/// A number of bytes as people read it, in powers of 1000.
fn amount(bytes: u64) -> String {
    let mut number = bytes as f64;
    let mut units = ["kB", "MB", "GB", "TB", "PB", "EB"].iter();
    let mut unit = "B";
    // What would be rounded up to 1000 is 1 of the next unit.
    while number >= if unit == "B" { 1000.0 } else { 999.95 } {
        let Some(next) = units.next() else { break };
        number /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{number:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_250, "1.2 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (7_340_000_000, "7.3 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(amount(bytes), text);
        }
    }
}
