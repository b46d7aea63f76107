//! What could not be seen, or not as it stays.

use super::finding::Finding;
use super::input::CheckInput;
use crate::observed::Tables;

/// What is not seen is not all right.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    hidden(input).into_iter().chain(busy(input)).collect()
}

fn busy(input: &CheckInput) -> Option<Finding> {
    let why = input.busy.as_ref()?;
    let text = format!("what was seen may be half of what a hook does: {why}");
    Some(Finding::note("lock", text).say("look again when nothing else of kvmnet's is at work"))
}

fn hidden(input: &CheckInput) -> Option<Finding> {
    let hidden = [
        (input.observed.nft == Tables::Hidden).then_some("the firewall, kvmnet's and others'"),
        (!input.root).then_some("the processes of other users"),
    ];
    let hidden: Vec<&str> = hidden.into_iter().flatten().collect();
    let text = format!("not seen, for lack of rights: {}", hidden.join("; "));
    let finding = Finding::note("rights", text);
    let finding = match input.root {
        true => finding.say("root needs CAP_NET_ADMIN, which many containers lack"),
        false => finding.run(["sudo kvmnet check"]),
    };
    (!hidden.is_empty()).then_some(finding)
}
