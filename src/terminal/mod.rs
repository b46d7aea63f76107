//! Text for terminals, which obey some of the characters that they are sent; what is printed may hold any, for it comes
//! from command lines, files and other programs' names.
//!
//! In: text, or data. Out: text in which nothing is left to obey but kvmnet's own colours. Never: prints.

mod page;

pub(crate) use page::{Look, Page, Word, list, plain};

use serde::Serialize;

/// `text` in one line of characters that a terminal shows and does not obey.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => line.push(letter),
            _ => line.extend(letter.escape_debug()),
        }
    }
    line
}

/// `value` as JSON with line breaks. JSON itself (RFC 8259, section 7) wants only the control characters below U+0020
/// escaped; those from DEL to U+009F are here as well, which in JSON can stand in strings alone.
pub fn json(value: &impl Serialize) -> String {
    // Plain data with names for keys cannot fail to be JSON.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        match letter {
            '\u{7f}'..='\u{9f}' => escaped.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => escaped.push(letter),
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
    fn nothing_is_left_to_obey() {
        assert_eq!(printable(NASTY), "a\\u{1b}[2J\\u{7f}\\u{9b}1m\\u{a0}\\u{202e}\\n\"ä\\");
    }

    #[test]
    fn json_says_the_same_without_control_characters() {
        let text = json(&[NASTY]);
        assert_eq!(text, "[\n  \"a\\u001b[2J\\u007F\\u009B1m\u{a0}\u{202e}\\n\\\"ä\\\\\"\n]\n");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [NASTY]);
    }
}
