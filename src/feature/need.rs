//! What the features have to know.

use crate::model::{Changed, Facts, IfName, Ledger, Need, Question};

/// All of one kind.
pub(super) fn of(questions: impl IntoIterator<Item = Question>) -> Vec<Need> {
    questions.into_iter().map(Need::Of).collect()
}

/// The interfaces that were changed, whatever their names are now: first by name, then by number. And the bridges that they are
/// ports of.
pub(crate) fn recorded<'a>(ledgers: impl Iterator<Item = &'a Ledger>, facts: &Facts) -> Vec<Question> {
    let is_link = |changed: &&Changed| changed.link != IfName::DEFAULT && changed.link != IfName::ALL;
    let changed: Vec<&Changed> = ledgers.flat_map(|ledger| &ledger.changed).filter(is_link).collect();
    let names: Vec<Question> = changed.iter().map(|changed| Question::Link(changed.link)).collect();
    if !names.iter().all(|name| facts.has(name)) {
        return names;
    }
    let masters = changed.iter().filter_map(|changed| facts.link(&changed.link)?.master);
    let numbers = changed.iter().map(|changed| changed.index).filter(|index| *index != 0);
    numbers.chain(masters).map(Question::LinkIndex).collect()
}
