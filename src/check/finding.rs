//! One finding: where, what, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::model::foreign::ForeignChain;
use crate::model::ruleset::Family;
use crate::model::{IfName, Origin};
use crate::terminal::printable;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or will not.
    Problem,
    /// Worth knowing: it may be intended, or could not be seen.
    Note,
}

/// As JSON: an object with these words as its keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// As a whole.
    File(String),
    /// Of the environment.
    Variable(String),
    /// There, or still to be made.
    Interface(String),
    /// As sysctl(8) names it.
    Sysctl(String),
    #[serde(untagged)]
    Line { file: String, line: usize, column: usize },
    #[serde(untagged)]
    Table { family: String, table: String },
    #[serde(untagged)]
    Chain { family: String, table: String, chain: String },
}

/// What to do about it. As JSON a list in either case, so that programs have one form to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fix {
    /// A sentence.
    Say([String; 1]),
    /// Commands for a shell.
    Run(Vec<String>),
}

/// One thing that is wrong, or could go wrong.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// In one word that stays the same: the headings of docs/check.md.
    pub kind: &'static str,
    pub place: Option<Place>,
    /// One sentence.
    pub problem: String,
    pub fix: Option<Fix>,
}

impl Finding {
    pub fn problem(kind: &'static str, problem: impl AsRef<str>) -> Self {
        let problem = printable(problem.as_ref());
        Self { severity: Severity::Problem, kind, place: None, problem, fix: None }
    }

    pub fn note(kind: &'static str, problem: impl AsRef<str>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(kind, problem) }
    }

    pub fn at(self, place: impl Into<Place>) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    pub fn say(self, fix: impl AsRef<str>) -> Self {
        Self { fix: Some(Fix::Say([printable(fix.as_ref())])), ..self }
    }

    pub fn hint(self, hint: Option<impl AsRef<str>>) -> Self {
        match hint {
            Some(hint) => self.say(hint),
            None => self,
        }
    }

    pub fn run<T: AsRef<str>>(self, commands: impl IntoIterator<Item = T>) -> Self {
        let commands = commands.into_iter().map(|command| printable(command.as_ref())).collect();
        Self { fix: Some(Fix::Run(commands)), ..self }
    }

    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }
}

impl From<&Origin> for Place {
    fn from(place: &Origin) -> Self {
        match place {
            Origin::File { path, line, column } => {
                Place::Line { file: printable(path), line: *line, column: *column }
            }
            Origin::Environment(name) => Place::Variable(printable(name)),
            Origin::WholeFile(path) => Place::file(path),
            other => Place::file(&other.to_string()),
        }
    }
}

impl From<&IfName> for Place {
    fn from(name: &IfName) -> Self {
        Place::Interface(printable(name.as_str()))
    }
}

impl From<&ForeignChain> for Place {
    fn from(chain: &ForeignChain) -> Self {
        let [table, name] = [&chain.table, &chain.name].map(|text| printable(text));
        Place::Chain { family: chain.protocol.to_string(), table, chain: name }
    }
}

impl Place {
    pub fn file(path: &str) -> Self {
        Place::File(printable(path))
    }

    pub fn table(family: Family, table: &str) -> Self {
        Place::Table { family: family.to_string(), table: printable(table) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(name) | Place::Variable(name) | Place::Interface(name) | Place::Sysctl(name) => {
                f.write_str(name)
            }
            Place::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Place::Table { family, table } => write!(f, "{family} {table}"),
            Place::Chain { family, table, chain } => write!(f, "{family} {table} {chain}"),
        }
    }
}
