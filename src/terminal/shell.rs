//! Words for a POSIX shell.

use super::is_shown;

/// `text` as one word of a command; in quotes if it has characters that a shell acts on.
pub fn shell_word(text: impl AsRef<[u8]>) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@%:,=".contains(byte);
    match std::str::from_utf8(text.as_ref()) {
        Ok(word) if !word.is_empty() && word.bytes().all(|byte| is_plain(&byte)) => word.to_owned(),
        _ => shell_quoted(text),
    }
}

/// `text` in quotes. What a terminal does not show is escaped for `printf`, so that pasting it gives the same text; line
/// breaks are shown.
pub fn shell_quoted(text: impl AsRef<[u8]>) -> String {
    match std::str::from_utf8(text.as_ref()) {
        Ok(text) if text.chars().all(|letter| letter == '\n' || is_shown(letter)) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => printed(text.as_ref()),
    }
}

/// `"$(printf 'a\033b')"`; what is printed like this loses the line breaks at its end, which therefore stand behind it.
fn printed(text: &[u8]) -> String {
    let end = text.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    let (text, breaks) = text.split_at(end);
    let escaped = text.iter().map(|byte| match byte {
        b'%' => "%%".to_owned(),
        b' '..=b'~' if !matches!(byte, b'\\' | b'\'') => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    });
    let word = format!("\"$(printf '{}')\"", escaped.collect::<String>());
    if breaks.is_empty() { word } else { format!("{word}'{}'", "\n".repeat(breaks.len())) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    use super::*;

    #[test]
    fn plain_words_are_left_alone() {
        for word in ["vif0.0", "br-lab", "/etc/kvmnet.conf", "a@b", "50%"] {
            assert_eq!(shell_word(word), word);
        }
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("a\x1b%"), r#""$(printf 'a\033%%')""#);
    }

    /// A shell is the judge.
    #[test]
    fn a_shell_takes_each_as_one_word() {
        let texts: [&[u8]; 13] = [
            b"$(reboot)",
            b"`reboot`",
            b"a;b",
            b"~",
            b"a'b\"c",
            b"\\x",
            b"-n",
            b"*",
            b"a\x1b[2J\\",
            b"%s%%\x07'",
            "\u{202e}\u{e4}".as_bytes(),
            b"\xff\xfe",
            b"a\x1b\n\n",
        ];
        for text in texts {
            for word in [shell_word(text), shell_quoted(text)] {
                let output = Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().unwrap();
                assert_eq!(output.stdout, text, "{word}");
                assert!(word.chars().all(|letter| letter == '\n' || is_shown(letter)), "{word}");
            }
        }
    }
}
