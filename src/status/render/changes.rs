//! What kvmnet changed on the machine, in sentences.

use super::put;
use crate::status::{Change, ChangeKind};
use crate::terminal::{Page, Word, list, plain};

/// What was made on one line, what moved on one; settings have a line each.
pub(super) fn put_changes(page: &mut Page, changes: &[Change]) {
    let mut label = "changed";
    let mut line = |words: Vec<Word>| {
        put(page, label, words);
        label = "";
    };
    let of_kind = |kind: ChangeKind| changes.iter().filter(move |change| change.kind == kind);
    let made = of_kind(ChangeKind::Link).map(|change| change.what.clone());
    let made: Vec<String> =
        made.chain(of_kind(ChangeKind::Table).map(|change| format!("table {}", change.what))).collect();
    if !made.is_empty() {
        line(sentence("made", made));
    }
    let given: Vec<String> = of_kind(ChangeKind::Address).map(of_interface).collect();
    if !given.is_empty() {
        line(sentence("added", given));
    }
    for change in of_kind(ChangeKind::Port) {
        line(match &change.now {
            Some(bridge) => plain(&format!("made {} a port of {bridge}", change.what)).collect(),
            None => plain(&format!("made {} a port; it no longer is", change.what)).collect(),
        });
    }
    let mut moved = of_kind(ChangeKind::Moved).peekable();
    if let Some(Change { before: Some(from), now: Some(to), .. }) = moved.peek() {
        let mut words = sentence("moved", moved.clone().map(|change| change.what.clone()));
        words = comma_behind_last(words);
        words.extend(plain(&format!("routes and neighbours from {from} to {to}")));
        line(words);
    }
    for change in of_kind(ChangeKind::Setting).chain(of_kind(ChangeKind::Mac)) {
        let before = change.before.as_deref().unwrap_or("not set");
        let text = match &change.now {
            Some(now) if now == before => format!("{} to {now}, as it was before", change.what),
            Some(now) => format!("{} from {before} to {now}", change.what),
            None => format!("{}, which was {before} and is gone", change.what),
        };
        line(plain(&format!("set {text}")).collect());
    }
}

fn of_interface(change: &Change) -> String {
    let interface = change.interface.as_deref().unwrap_or_default();
    let gone = if change.now.is_none() { " (gone)" } else { "" };
    format!("{} to {interface}{gone}", change.what)
}

fn sentence(verb: &str, items: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Word> {
    plain(verb).chain(list(items)).collect()
}

fn comma_behind_last(mut words: Vec<Word>) -> Vec<Word> {
    if let Some(last) = words.pop() {
        words.push(last.and(','));
    }
    words
}
