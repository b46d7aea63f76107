//! What a feature has to know before it can say what shall be.

use crate::model::{Changed, Facts, IfName, Ledger, Question};

/// Something to find out, of the kernel by rtnetlink or by another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// An answer of rtnetlink.
    Of(Question),
    /// The default routes of a family: those of the main table if it has any.
    Defaults { v6: bool },
    /// Every IPv6 default route of the main table.
    AllDefaults6,
    /// The host's addresses on its interface, of which it is enough to know that they are there.
    HostAddresses(u32),
    /// What an interface will be like that is still to come.
    Template,
    /// Whether /proc/sys cannot be written.
    ReadOnlySys,
    /// Whether the interface with this number is a Wi-Fi station.
    Station(u32),
    /// The program that keeps the addresses of a NIC.
    Manager(IfName),
}

impl From<Question> for Need {
    fn from(question: Question) -> Self {
        Need::Of(question)
    }
}

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
