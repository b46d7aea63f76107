//! What the TOML parser makes of the file's text.
//!
//! In: the text. Out: its sections, and all that is wrong with single lines. Never: compares one value with another.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::entry::{Entry, Shape};
use super::error::{ConfigError, ConfigErrors, Problem};
use super::file::DEFAULT_NETWORK;
use super::key::{self, Key};
use super::section::Section;
use super::source::Source;
use super::syntax;
use crate::model::{Origin, is_network_name};

const NAMED: &str = "write [network.NAME], and the keys of the network below";

/// The sections with no error in them, `default` first, and what is wrong with the others. A text that is not TOML is wrong
/// as a whole.
pub(super) fn sections(path: &str, text: &[u8]) -> Result<(Vec<Section>, Vec<ConfigError>), ConfigErrors> {
    let source = Source::new(path, text)?;
    let (root, complaints) = DeTable::parse_recoverable(source.text);
    ConfigErrors::none_of(syntax::errors(&source, &complaints))?;
    let mut reader = Reader { source, errors: Vec::new() };
    let sections = reader.sections(root.get_ref());
    let mut errors = reader.errors;
    errors.sort_by_key(ConfigError::position);
    Ok((sections, errors))
}

struct Reader<'a> {
    source: Source<'a>,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn sections(&mut self, root: &DeTable<'_>) -> Vec<Section> {
        let (networks, entries): (Vec<_>, Vec<_>) =
            in_order(root).into_iter().partition(|(key, _)| key.get_ref() == "network");
        let place = Origin::WholeFile(self.source.path.to_owned());
        let default = self.section(DEFAULT_NETWORK, place, entries);
        let named = networks.into_iter().flat_map(|(_, networks)| self.named(networks));
        default.into_iter().chain(named).collect()
    }

    /// The tables under `network`.
    fn named(&mut self, networks: &Spanned<DeValue<'_>>) -> Vec<Section> {
        let DeValue::Table(networks) = networks.get_ref() else {
            let problem = Problem::new("network: expected tables with names");
            self.error(networks.span(), problem.hint(NAMED));
            return Vec::new();
        };
        let sections = in_order(networks).into_iter().filter_map(|(name, table)| {
            let DeValue::Table(entries) = table.get_ref() else {
                let problem = Problem::new(format!("network.{}: expected a table", name.get_ref()));
                self.error(name.span(), problem.hint(NAMED));
                return None;
            };
            let place = self.source.place(name.span().start);
            let section = self.section(name.get_ref(), place, in_order(entries));
            network_name(name.get_ref()).map_err(|problem| self.error(name.span(), problem)).ok().and(section)
        });
        sections.collect()
    }

    /// The section with these entries, if nothing is wrong with any of them.
    fn section(&mut self, name: &str, place: Origin, table: Entries<'_>) -> Option<Section> {
        let before = self.errors.len();
        let mut entries = Vec::new();
        for (key, value) in table {
            let word: &str = key.get_ref();
            match Key::of_word(word) {
                None => self.error(key.span(), unknown(word, value)),
                Some(Key { not_at_top: Some(hint), .. }) if name == DEFAULT_NETWORK => {
                    let problem = Problem::new(format!("{word:?} is not allowed at the top level"));
                    self.error(key.span(), problem.hint(*hint));
                }
                Some(known) => {
                    let entry = entry(&self.source, known, value);
                    self.errors.extend(entry.errors());
                    entries.push(entry);
                }
            }
        }
        (self.errors.len() == before).then(|| Section::new(name, place, &entries))
    }

    fn error(&mut self, span: Range<usize>, problem: Problem) {
        self.errors.push(problem.at(self.source.place(span.start)));
    }
}

fn unknown(word: &str, value: &Spanned<DeValue<'_>>) -> Problem {
    match value.get_ref() {
        DeValue::Table(_) => {
            let problem = Problem::new(format!("unknown table {word:?}"));
            problem.hint(format!("did you mean [network.{word}]?")).did_you_mean(word, ["network"])
        }
        _ => key::unknown(word),
    }
}

/// The keys of a table, each with its value.
type Entries<'t> = Vec<(&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)>;

/// Those of a table as the file has them; the parser keeps them by name.
fn in_order<'t>(table: &'t DeTable<'t>) -> Entries<'t> {
    let mut entries: Entries<'t> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn entry(source: &Source<'_>, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Entry {
    let shape = match value.get_ref() {
        DeValue::String(text) => Shape::Text(text.to_string()),
        DeValue::Boolean(flag) => Shape::Flag(*flag),
        DeValue::Array(items) => Shape::List(items.iter().map(|item| entry(source, key, item)).collect()),
        DeValue::Table(_) => Shape::Table,
        _ => Shape::Bare(source.piece(value.span()).to_owned()),
    };
    Entry { key, place: source.place(value.span().start), shape }
}

/// A name ends up in messages, in file names of hooks and in the marks that kvmnet leaves in the kernel.
fn network_name(name: &str) -> Result<(), Problem> {
    if name == DEFAULT_NETWORK {
        let problem = Problem::new("the network \"default\" is the top level of the file");
        return Err(problem.hint("write its keys at the top, above the first [network.NAME]"));
    }
    if !is_network_name(name) {
        let problem = Problem::new(format!("{name:?} is not a name for a network"));
        return Err(problem.hint("1 to 32 letters, digits, \"-\", \"_\" and \".\""));
    }
    Ok(())
}
