//! The commented example, changed line by line.
//!
//! In: keys and their values. Out: the text. Never: knows what a value means.

use std::fmt;

/// What install.sh installs: the one place where the keys are explained to somebody who edits a file.
const EXAMPLE: &str = include_str!("../../share/kvmnet.conf");

/// The longest line of a comment.
const WIDTH: usize = 120;

/// The lines of a file in which keys are still comments.
pub(super) struct Document(Vec<String>);

impl Document {
    /// The example.
    pub fn example() -> Self {
        Self(EXAMPLE.lines().map(str::to_owned).collect())
    }

    /// Replaces the second paragraph, which says that the file changes nothing, with `text`.
    pub fn introduce(&mut self, text: &str) {
        let mut paragraphs = self.0.iter().enumerate().filter(|(_, line)| *line == "#").map(|(at, _)| at + 1);
        if let (Some(start), Some(end)) = (paragraphs.next(), paragraphs.next()) {
            self.0.splice(start..end.saturating_sub(1), wrapped(text, "# ", "# "));
        }
    }

    /// Gives `key` a value, as TOML has it.
    pub fn set(&mut self, key: &str, value: &str) {
        self.put(key, format!("{key} = {value}"));
    }

    /// Gives `key` a value as an example, in a comment.
    pub fn exemplify(&mut self, key: &str, value: &str) {
        self.put(key, format!("#{key} = {value}"));
    }

    /// Says something of this machine above `key`.
    pub fn remark(&mut self, key: &str, text: &str) {
        if let Some(at) = self.line_of(key) {
            self.0.splice(at..at, wrapped(text, "# Here: ", "#     "));
        }
    }

    /// Replaces a piece of a line.
    pub fn replace(&mut self, from: &str, to: &str) {
        self.0.iter_mut().for_each(|line| *line = line.replace(from, to));
    }

    fn put(&mut self, key: &str, line: String) {
        if let Some(place) = self.line_of(key).and_then(|at| self.0.get_mut(at)) {
            *place = line;
        }
    }

    /// Where `key` stands first, which is at the top level.
    fn line_of(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "))
        })
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// `text` in lines of at most [`WIDTH`] characters, where its words allow.
fn wrapped(text: &str, first: &str, further: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    for word in text.split_whitespace() {
        let blank = if line.ends_with(' ') { "" } else { " " };
        if line.chars().count() + blank.len() + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, format!("{further}{word}")));
        } else {
            line.extend([blank, word]);
        }
    }
    lines.push(line);
    lines
}
