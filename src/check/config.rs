//! What is wrong with the configuration file and the environment, all of it.

use super::finding::{Finding, Place};
use super::input::CheckInput;
use crate::config::{Shadow, quoted};
use crate::model::Origin;

/// Two networks with one bridge or overlapping subnets are among these errors.
pub fn check(input: &CheckInput) -> Vec<Finding> {
    let errors = input.config.errors.iter().map(|error| {
        // The only error of a file that cannot be read is that it cannot.
        let hidden = input.config_hidden && matches!(error.place, Origin::WholeFile(_));
        let finding = if hidden { Finding::note } else { Finding::problem };
        let finding = finding("configuration", &error.text).at(Place::from(&error.place));
        let finding = if hidden { finding.run(["sudo kvmnet check"]) } else { finding };
        finding.hint(error.hint.clone())
    });
    errors.chain(input.config.file.shadows().iter().map(shadowed)).collect()
}

/// The first pattern that matches chooses, so one after a wider one never does.
fn shadowed(Shadow { network, patterns, place, by, are_all }: &Shadow<'_>) -> Finding {
    let patterns: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
    let text = format!(
        "taps: network {network} never gets a tap by {}: network {by}, which comes first, takes them all",
        patterns.join(", ")
    );
    let finding = if *are_all { Finding::problem } else { Finding::note };
    let say = format!("write [network.{network}] above [network.{by}], or other patterns");
    finding("taps", text).at(Place::from(*place)).say(say)
}
