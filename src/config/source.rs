//! The text of the file, and where in it a piece stands.
//!
//! In: the file's path and bytes. Out: places by line and column, and pieces of the text.
//! Never: knows what the text means.

use std::ops::Range;

use super::error::{ConfigError, Problem};
use crate::model::Origin;

/// A text and the file it was in.
pub(super) struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// `bytes`, if they are text. A byte order mark before them is of no meaning, and would count as a
    /// column.
    pub fn new(path: &'a str, bytes: &'a [u8]) -> Result<Self, ConfigError> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        std::str::from_utf8(bytes).map(|text| Self::of_text(path, text)).map_err(|error| {
            let (good, _) = bytes.split_at(error.valid_up_to());
            let place = Source::of_text(path, &String::from_utf8_lossy(good)).place(good.len());
            Problem::new("from here on it is not UTF-8").at(place)
        })
    }

    fn of_text(path: &'a str, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(end, _)| end + 1);
        Self { path, text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// The place of the byte at `offset`.
    pub fn place(&self, offset: usize) -> Origin {
        let (line, start) = self.line_start(offset);
        let column = self.piece(start..offset).chars().count() + 1;
        Origin::File { path: self.path.to_owned(), line, column }
    }

    /// The place of a piece of the text.
    pub fn place_of(&self, piece: &str) -> Origin {
        self.place(self.offset(piece))
    }

    /// Where a piece of the text begins.
    pub fn offset(&self, piece: &str) -> usize {
        piece.as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    /// The text of `span`; empty where there is none.
    pub fn piece(&self, span: Range<usize>) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// The line around the byte at `offset`.
    pub fn line(&self, offset: usize) -> &'a str {
        let (_, start) = self.line_start(offset);
        self.piece(start..self.text.len()).lines().next().unwrap_or_default()
    }

    /// The number of the line around the byte at `offset`, counted from 1, and where it begins.
    fn line_start(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        (line, self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default())
    }
}
