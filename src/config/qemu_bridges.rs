//! Which bridges QEMU's own helper may use: /etc/qemu/bridge.conf (qemu-bridge-helper.c).
//!
//! A line `allow NAME` or `deny NAME`, where `all` is every bridge, or `include FILE`; `deny` wins wherever it stands. A file that
//! is included and that the user may not read says nothing of that user: that is how a file for each is written.

use super::error::{ConfigErrors, Problem};
use super::read::read;
use crate::model::{MAX_LEN, Origin};

const PATH: &str = "/etc/qemu/bridge.conf";
/// So many files are read, and so deep they may include each other.
const MOST_FILES: usize = 64;
const DEEPEST: usize = 8;

/// Whether it allows `bridge`. Nothing is allowed where there is no file.
pub(crate) fn qemu_allows(bridge: &str) -> Result<bool, ConfigErrors> {
    allows(bridge, PATH, &read)
}

/// Whether the file at `path` does, with those that it includes.
pub(super) fn allows(bridge: &str, path: &str, read: &Reader) -> Result<bool, ConfigErrors> {
    let mut rules = Rules { bridge, read, files: 0, allowed: false, denied: false };
    rules.file(path, 0)?;
    Ok(rules.allowed && !rules.denied)
}

/// What a file holds; None where there is none.
pub(super) type Reader<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>, Problem> + 'a;

struct Rules<'a> {
    bridge: &'a str,
    read: &'a Reader<'a>,
    files: usize,
    allowed: bool,
    denied: bool,
}

impl Rules<'_> {
    fn file(&mut self, path: &str, depth: usize) -> Result<(), ConfigErrors> {
        let whole = || Origin::WholeFile(path.to_owned());
        self.files += 1;
        if depth > DEEPEST || self.files > MOST_FILES {
            return Err(Problem::new("too many files include each other").at(whole()).into());
        }
        let text = match (self.read)(path) {
            Ok(text) => text.unwrap_or_default(),
            Err(problem) => match problem.at(whole()) {
                error if depth > 0 && error.is_unreadable() => return Ok(()),
                error => return Err(error.into()),
            },
        };
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let place = || Origin::File { path: path.to_owned(), line: number + 1, column: 1 };
            match self.line(line.trim(), depth) {
                Ok(Some(included)) => self.file(&included, depth + 1)?,
                Ok(None) => {}
                Err(problem) => return Err(problem.at(place()).into()),
            }
        }
        Ok(())
    }

    /// Heeds a line; the file that it includes.
    fn line(&mut self, line: &str, depth: usize) -> Result<Option<String>, Problem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (word, name) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let name = name.trim_start();
        let is_meant = name == "all" || name == self.bridge;
        match word {
            "allow" => self.allowed |= is_meant,
            "deny" => self.denied |= is_meant,
            _ => {}
        }
        match word {
            "allow" | "deny" | "include" if name.is_empty() => {
                Err(Problem::new(format!("{word} is followed by a name")))
            }
            "allow" | "deny" if name.len() > MAX_LEN => {
                Err(Problem::new(format!("the name {name:?} is too long")))
            }
            "allow" | "deny" => Ok(None),
            "include" if name.starts_with('/') && depth <= DEEPEST => Ok(Some(name.to_owned())),
            "include" => Err(Problem::new("the path of a file begins with /")),
            _ => {
                Err(Problem::new(format!("unknown word {word:?}"))
                    .hint("the words are: allow, deny, include"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::error::CANNOT_OPEN;

    /// What files say of `br7`, the first of which is the one that is asked. One that says `closed` cannot be opened.
    fn allows_br7(files: &[(&str, &str)]) -> Result<bool, ConfigErrors> {
        let read = |path: &str| match files.iter().find(|(name, _)| *name == path) {
            Some((_, "closed")) => Err(Problem::new(format!("{CANNOT_OPEN}: Permission denied"))),
            found => Ok(found.map(|(_, text)| text.as_bytes().to_vec())),
        };
        allows("br7", files[0].0, &read)
    }

    #[test]
    fn as_qemu_reads_it() {
        for (text, allowed) in [
            ("", false),
            ("allow br7", true),
            ("  allow\tbr7  \r\n", true),
            ("# allow br7\nallow br70\nallow br", false),
            ("allow all", true),
            ("allow all\ndeny br7", false),
            ("deny br7\nallow br7", false),
            ("deny all\nallow br7", false),
            ("deny br8\nallow all", true),
        ] {
            assert_eq!(allows_br7(&[("/a", text)]).unwrap(), allowed, "{text:?}");
        }
    }

    #[test]
    fn files_that_are_included() {
        let top = "include /b\ninclude\t/c\n";
        assert!(allows_br7(&[("/a", top), ("/b", "allow br7"), ("/c", "closed")]).unwrap());
        assert!(!allows_br7(&[("/a", top), ("/b", "allow br7"), ("/c", "deny all")]).unwrap());
        assert!(!allows_br7(&[("/a", top)]).unwrap(), "they are not there");
        assert!(allows_br7(&[("/a", "closed")]).is_err(), "the first has to be read");
        assert!(allows_br7(&[("/a", "allow all\ninclude /a")]).is_err(), "itself");
        assert!(allows_br7(&[("/a", "include b")]).is_err());
    }

    /// What cannot be understood could have been a `deny`.
    #[test]
    fn what_is_wrong_is_no_permission() {
        for text in [
            "allow br7\nallow",
            "allow all\ndney br7",
            "allow all\ndeny a-name-that-is-too-long",
            "allow all\nx",
        ] {
            assert!(allows_br7(&[("/a", text)]).is_err(), "{text:?}");
            assert!(allows_br7(&[("/b", "include /a"), ("/a", text)]).is_err(), "{text:?}");
        }
    }
}
