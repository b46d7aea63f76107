//! What kvmnet changed on the machine, in sentences.

use super::row;
use crate::status::data::{Change, ChangeKind};
use crate::terminal::{Span, Text, list, words};

/// What was made on one line, what moved on one; settings have a line each.
pub(super) fn render_changes(text: &mut Text, changes: &[Change]) {
    let of_kind = |kind: ChangeKind| changes.iter().filter(move |change| change.kind == kind);
    let links = of_kind(ChangeKind::Link).map(|change| change.what.clone());
    let tables = of_kind(ChangeKind::Table).map(|change| format!("table {}", change.what));
    let mut lines = vec![sentence("made", links.chain(tables).collect())];
    lines.push(sentence("added", of_kind(ChangeKind::Address).map(added).collect()));
    lines.extend(of_kind(ChangeKind::Port).map(|change| {
        words(match &change.now {
            Some(bridge) => format!("made {} a port of {bridge}", change.what),
            None => format!("made {} a port; it no longer is", change.what),
        })
    }));
    let mut moved = of_kind(ChangeKind::Moved).peekable();
    if let Some(Change { before: Some(from), now: Some(to), .. }) = moved.peek() {
        let rest = words(format!("routes and neighbours from {from} to {to}"));
        let addresses = moved.map(|change| Span::from(&change.what).and(','));
        lines.push(words("moved").into_iter().chain(addresses).chain(rest).collect());
    }
    lines.extend(of_kind(ChangeKind::Setting).chain(of_kind(ChangeKind::Mac)).map(|change| {
        let before = change.before.as_deref().unwrap_or("not set");
        words(match &change.now {
            Some(now) if now == before => format!("set {} to {now}, as it was before", change.what),
            Some(now) => format!("set {} from {before} to {now}", change.what),
            None => format!("set {}, which was {before} and is gone", change.what),
        })
    }));
    let labels = ["changed"].into_iter().chain(std::iter::repeat(""));
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    labels.zip(lines).for_each(|(label, line)| row(text, label, line));
}

fn added(change: &Change) -> String {
    let interface = change.interface.as_deref().unwrap_or_default();
    let gone = if change.now.is_none() { " (gone)" } else { "" };
    format!("{} to {interface}{gone}", change.what)
}

/// Nothing, where there are no items.
fn sentence(verb: &str, items: Vec<String>) -> Vec<Span> {
    let verb = words(verb).into_iter().filter(|_| !items.is_empty());
    verb.chain(list(&items)).collect()
}
