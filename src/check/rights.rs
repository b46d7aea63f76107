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
    let mut hidden = Vec::new();
    if input.observed.nft == Tables::Hidden {
        hidden.push("the firewall, kvmnet's and others'");
    }
    if !input.root {
        hidden.push("the processes of other users");
    }
    if hidden.is_empty() {
        return None;
    }
    let text = format!("not seen, for lack of rights: {}", hidden.join("; "));
    let finding = Finding::note("rights", text);
    Some(match input.root {
        true => finding.say("root needs CAP_NET_ADMIN, which many containers lack"),
        false => finding.run(["sudo kvmnet check"]),
    })
}
