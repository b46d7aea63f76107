//! Patterns of taps that never choose their network, as an earlier one has all the taps that they match.

use super::file::File;
use super::pattern::Pattern;
use crate::model::Origin;

/// The patterns of one network that choose nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shadow<'a> {
    pub network: &'a str,
    pub patterns: Vec<String>,
    /// Where the first stands.
    pub place: &'a Origin,
    /// The network that has all taps of the first.
    pub by: &'a str,
    /// Whether no pattern of the network chooses it.
    pub are_all: bool,
}

impl File {
    /// The patterns of taps that never choose their network.
    pub fn shadows(&self) -> Vec<Shadow<'_>> {
        let mut earlier: Vec<(&str, Vec<Pattern>)> = Vec::new();
        let mut shadows = Vec::new();
        for section in &self.sections {
            let patterns = section.patterns();
            let by = |pattern: &Pattern| {
                let has_all = |wide: &[Pattern]| wide.iter().any(|wide| wide.covers(pattern));
                earlier.iter().find(|(_, wide)| has_all(wide)).map(|(name, _)| *name)
            };
            let shadowed: Vec<_> = patterns
                .iter()
                .filter_map(|(pattern, place)| Some((pattern, *place, by(pattern)?)))
                .collect();
            if let Some((_, place, by)) = shadowed.first() {
                shadows.push(Shadow {
                    network: section.name(),
                    patterns: shadowed.iter().map(|(pattern, ..)| pattern.as_str().to_owned()).collect(),
                    place,
                    by,
                    are_all: shadowed.len() == patterns.len(),
                });
            }
            earlier.push((section.name(), patterns.into_iter().map(|(pattern, _)| pattern).collect()));
        }
        shadows
    }
}
