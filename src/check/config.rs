//! What is wrong with the configuration file and the environment, all of it.

use super::finding::{Finding, Place};
use super::seen::Seen;
use crate::config;

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
    errors.collect()
}
