//! Text for terminals and shells, which act on some characters. What is printed may contain any: it comes from command
//! lines, files and other programs' names.
//!
//! In: text, or data. Out: text without control characters but for kvmnet's own colours. Never: prints.

mod shell;
mod text;

pub(crate) use shell::shell_quoted;
pub use shell::shell_word;
pub(crate) use text::{Span, Style, Text, list, words};

use serde::Serialize;

/// `text` in one line, with everything escaped that a terminal acts on or does not show.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_shown(letter) { line.push(letter) } else { line.extend(letter.escape_debug()) }
    }
    line
}

/// The same line by line, for a text of several.
pub fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal shows a character as it is, in its place: not a control character, not one that turns the direction
/// of what follows, and not an invisible one.
fn is_shown(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '\\') || letter.escape_debug().len() == 1
}

/// The version of the JSON output. It changes when programs that read it have to change.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    version: u32,
    #[serde(flatten)]
    data: &'a T,
}

/// An object as JSON, with the version of the format first.
pub fn document(data: &impl Serialize) -> String {
    json(&Document { version: VERSION, data })
}

/// `value` as JSON with line breaks. JSON itself (RFC 8259, section 7) requires only control characters below U+0020 to be
/// escaped; here every character that a terminal does not show is, which in JSON can only be in strings.
fn json(value: &impl Serialize) -> String {
    // Plain data with names for keys cannot fail to be JSON.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        if letter == '\n' || is_shown(letter) {
            escaped.push(letter);
        } else {
            let units = letter.encode_utf16(&mut [0; 2]).to_vec();
            escaped.extend(units.iter().map(|unit| format!("\\u{unit:04X}")));
        }
    }
    escaped + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NASTY: &str = "a\x1b[2J\u{7f}\u{9b}1m\u{a0}\u{202e}\n\"ä\\";

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable(NASTY), "a\\u{1b}[2J\\u{7f}\\u{9b}1m\\u{a0}\\u{202e}\\n\"ä\\");
    }

    #[test]
    fn json_says_the_same_without_control_characters() {
        let text = json(&[NASTY]);
        assert_eq!(text, "[\n  \"a\\u001b[2J\\u007F\\u009B1m\\u00A0\\u202E\\n\\\"ä\\\\\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [NASTY]);
        let beyond = "\u{e0041}";
        assert_eq!(serde_json::from_str::<String>(&json(&beyond)).unwrap(), beyond);
    }

    /// What turns the direction of the text, is not seen, or joins what belongs apart.
    #[test]
    fn invisible_characters_are_escaped() {
        let marks = ('\u{200b}'..='\u{200f}').chain('\u{202a}'..='\u{202e}').chain('\u{2060}'..='\u{206f}');
        for mark in marks.chain(['\u{61c}', '\u{feff}', '\u{2028}', '\u{2029}', '\u{ad}', '\u{e0041}']) {
            let escape = format!("\\u{{{:x}}}", u32::from(mark));
            assert_eq!(printable(&mark.to_string()), escape);
            assert!(!json(&[mark.to_string()]).contains(mark), "{escape}");
            assert!(!shell_word(mark.to_string()).contains(mark), "{escape}");
        }
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\x1b\nb\r"), "a\\u{1b}\nb\\r");
    }
}
