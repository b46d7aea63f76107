//! What kvmnet changed on the machine, in sentences.

use crate::status::data::{Change, ChangeKind};
use crate::terminal::{Span, list, words};

/// What was made on one line, what moved on one; settings have a line each.
pub(super) fn render_changes(row: &mut impl FnMut(&str, Vec<Span>), changes: &[Change]) {
    let mut label = "changed";
    let mut line = |spans: Vec<Span>| {
        row(label, spans);
        label = "";
    };
    let of_kind = |kind: ChangeKind| changes.iter().filter(move |change| change.kind == kind);
    let links = of_kind(ChangeKind::Link).map(|change| change.what.clone());
    let tables = of_kind(ChangeKind::Table).map(|change| format!("table {}", change.what));
    let made: Vec<String> = links.chain(tables).collect();
    if !made.is_empty() {
        line(sentence("made", made));
    }
    let added: Vec<String> = of_kind(ChangeKind::Address).map(added).collect();
    if !added.is_empty() {
        line(sentence("added", added));
    }
    for change in of_kind(ChangeKind::Port) {
        line(words(match &change.now {
            Some(bridge) => format!("made {} a port of {bridge}", change.what),
            None => format!("made {} a port; it no longer is", change.what),
        }));
    }
    let mut moved = of_kind(ChangeKind::Moved).peekable();
    if let Some(Change { before: Some(from), now: Some(to), .. }) = moved.peek() {
        let rest = words(format!("routes and neighbours from {from} to {to}"));
        let addresses = moved.map(|change| Span::from(&change.what).and(','));
        line(words("moved").into_iter().chain(addresses).chain(rest).collect());
    }
    for change in of_kind(ChangeKind::Setting).chain(of_kind(ChangeKind::Mac)) {
        let before = change.before.as_deref().unwrap_or("not set");
        line(words(match &change.now {
            Some(now) if now == before => format!("set {} to {now}, as it was before", change.what),
            Some(now) => format!("set {} from {before} to {now}", change.what),
            None => format!("set {}, which was {before} and is gone", change.what),
        }));
    }
}

fn added(change: &Change) -> String {
    let interface = change.interface.as_deref().unwrap_or_default();
    let gone = if change.now.is_none() { " (gone)" } else { "" };
    format!("{} to {interface}{gone}", change.what)
}

fn sentence(verb: &str, items: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Span> {
    words(verb).into_iter().chain(list(items)).collect()
}
