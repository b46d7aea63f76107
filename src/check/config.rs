//! What is wrong with the configuration file and the environment, all of it.

use super::finding::{Finding, Place};
use super::seen::Seen;
use crate::config::{self, Shadow, quoted};

/// Two networks with one bridge or overlapping subnets are among these errors.
pub fn judge(seen: &Seen) -> Vec<Finding> {
    let errors = seen.config.errors.iter().map(|error| {
        // The only error of a file that cannot be read is that it cannot.
        let hidden = seen.config_hidden && matches!(error.place(), config::Place::File(_));
        let finding = match hidden {
            true => Finding::note("configuration", error.text()),
            false => Finding::problem("configuration", error.text()),
        };
        let finding = finding.at(Place::from(error.place()));
        match error.hint() {
            Some(hint) => finding.say(hint),
            None if hidden => finding.run(["sudo kvmnet check"]),
            None => finding,
        }
    });
    errors.chain(seen.config.shadows().iter().map(shadowed)).collect()
}

/// The first pattern that fits chooses, so one that stands behind a wider one never does.
fn shadowed(Shadow { network, patterns, place, by, are_all }: &Shadow<'_>) -> Finding {
    let words: Vec<String> = patterns.iter().map(|pattern| quoted(pattern)).collect();
    let text = format!(
        "taps: network {network} never gets a tap by {}: network {by} has them all before it",
        words.join(", ")
    );
    let finding = if *are_all { Finding::problem("taps", text) } else { Finding::note("taps", text) };
    let say = format!("write [network.{network}] above [network.{by}], or other patterns");
    finding.at(Place::from(*place)).say(say)
}
