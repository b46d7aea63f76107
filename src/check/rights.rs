//! What could not be seen.

use super::finding::Finding;
use super::input::{CheckInput, Tables};

/// What is not seen is not all right.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let mut hidden = Vec::new();
    if input.tables == Tables::Hidden {
        hidden.push("the firewall, kvmnet's and others'");
    }
    if !input.root {
        hidden.push("the processes of other users");
    }
    if hidden.is_empty() {
        return Vec::new();
    }
    let text = format!("not seen, for lack of rights: {}", hidden.join("; "));
    let finding = Finding::note("rights", text);
    vec![match input.root {
        true => finding.say("root needs CAP_NET_ADMIN, which many containers lack"),
        false => finding.run(["sudo kvmnet check"]),
    }]
}
