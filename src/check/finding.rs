//! One finding: where, what, and what to do about it.

use std::fmt;

use serde::Serialize;

use crate::config;
use crate::model::IfName;
use crate::model::foreign::ForeignChain;
use crate::terminal::printable;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, or will not.
    Problem,
    /// Worth knowing: it may be meant so, or could not be seen.
    Note,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In a file; line and column are counted from 1.
    File {
        /// Its path.
        file: String,
        /// The line, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        /// The column, in characters.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<usize>,
    },
    /// In an environment variable.
    Variable {
        /// Its name.
        variable: String,
    },
    /// At an interface.
    Interface {
        /// Its name.
        interface: String,
    },
    /// In the firewall.
    Chain {
        /// The table's family, as `nft` names it.
        family: String,
        /// The table.
        table: String,
        /// The chain; none for a table as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        chain: Option<String>,
    },
    /// A setting of the kernel.
    Sysctl {
        /// Its key.
        sysctl: String,
    },
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// A sentence.
    Say(String),
    /// Commands for a shell.
    Run(Vec<String>),
}

/// A list in either case, so that programs have one form to read.
impl Serialize for Fix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fix::Say(sentence) => [sentence].serialize(serializer),
            Fix::Run(commands) => commands.serialize(serializer),
        }
    }
}

/// One thing that is wrong, or could go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one word that stays the same: the headings of docs/check.md.
    pub kind: &'static str,
    /// Where it is.
    pub place: Option<Place>,
    /// What it is, in one sentence.
    pub problem: String,
    /// What to do about it.
    pub fix: Option<Fix>,
}

impl Finding {
    /// Something that is wrong.
    pub fn problem(kind: &'static str, problem: impl AsRef<str>) -> Self {
        let problem = printable(problem.as_ref());
        Self { severity: Severity::Problem, kind, place: None, problem, fix: None }
    }

    /// Something worth knowing.
    pub fn note(kind: &'static str, problem: impl AsRef<str>) -> Self {
        Self { severity: Severity::Note, ..Self::problem(kind, problem) }
    }

    /// The same, at a place.
    pub fn at(self, place: impl Into<Place>) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    /// The same, with something to do about it that needs words.
    pub fn say(self, fix: impl AsRef<str>) -> Self {
        Self { fix: Some(Fix::Say(printable(fix.as_ref()))), ..self }
    }

    /// The same, with commands that put it right.
    pub fn run<T: AsRef<str>>(self, commands: impl IntoIterator<Item = T>) -> Self {
        let commands = commands.into_iter().map(|command| printable(command.as_ref())).collect();
        Self { fix: Some(Fix::Run(commands)), ..self }
    }

    /// Whether it is wrong, and not only worth knowing.
    pub fn is_problem(&self) -> bool {
        self.severity == Severity::Problem
    }
}

impl From<&config::Place> for Place {
    fn from(place: &config::Place) -> Self {
        match place {
            config::Place::Line { path, line, column } => {
                Place::File { file: printable(path), line: Some(*line), column: Some(*column) }
            }
            config::Place::Variable(name) => Place::Variable { variable: printable(name) },
            config::Place::File(path) => Place::file(path),
            other => Place::File { file: other.to_string(), line: None, column: None },
        }
    }
}

impl From<&IfName> for Place {
    fn from(name: &IfName) -> Self {
        Place::Interface { interface: printable(name.as_str()) }
    }
}

impl From<&ForeignChain> for Place {
    fn from(chain: &ForeignChain) -> Self {
        Place::Chain {
            family: chain.protocol.to_string(),
            table: printable(&chain.table),
            chain: Some(printable(&chain.name)),
        }
    }
}

impl Place {
    /// A file as a whole.
    pub fn file(path: &str) -> Self {
        Place::File { file: printable(path), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line, column } => {
                f.write_str(file)?;
                line.iter().chain(column).try_for_each(|number| write!(f, ":{number}"))
            }
            Place::Variable { variable } => f.write_str(variable),
            Place::Interface { interface } => f.write_str(interface),
            Place::Chain { family, table, chain } => {
                write!(f, "{family} {table}")?;
                chain.iter().try_for_each(|chain| write!(f, " {chain}"))
            }
            Place::Sysctl { sysctl } => f.write_str(sysctl),
        }
    }
}
