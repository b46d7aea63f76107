//! Any text on its way to a terminal, into JSON, a log, or a shell.

use crate::model::{IfName, is_label, label};
use crate::terminal::{document, lines, printable, shell_quoted, shell_word};

/// Nothing that is printed acts on whoever reads it, and each form says what was meant.
pub(super) fn terminal(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!printable(text).contains(acts), "{text:?}");
    assert!(!lines(text).replace('\n', "").contains(acts), "{text:?}");
    assert_eq!(lines(text).split('\n').count(), text.split('\n').count());
    let json = document(&std::collections::BTreeMap::from([("text", text)]));
    assert!(!json.replace('\n', "").contains(acts), "{text:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["text"], text);
    // No argument of a command has a NUL.
    let argument: Vec<u8> = data.iter().copied().filter(|byte| *byte != 0).collect();
    for word in [shell_word(&argument), shell_quoted(&argument)] {
        assert!(!word.replace('\n', "").contains(acts), "{text:?}");
        assert_eq!(said(&word), argument, "{word:?}");
    }
    let name = label(text);
    assert!(name.is_none_or(|name| is_label(&name) && name.len() <= 63));
    if let Ok(name) = IfName::new(text) {
        assert!(name.as_str() == text && text.len() < 16 && !text.contains('/'));
    }
}

/// What a shell makes of a word: what it prints first, without the line breaks at its end, and what is plain or in single quotes.
fn said(word: &str) -> Vec<u8> {
    if let Some(printed) = word.strip_prefix("\"$(printf '") {
        let (format, rest) = printed.split_once("')\"").unwrap();
        let mut printed = printed_by(format);
        printed.truncate(printed.iter().rposition(|byte| *byte != b'\n').map_or(0, |at| at + 1));
        return [printed, said(rest)].concat();
    }
    let (mut said, mut is_quoted, mut letters) = (String::new(), false, word.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            _ if is_quoted => said.push(letter),
            '\\' => said.extend(letters.next()),
            _ => {
                assert!(letter.is_ascii_alphanumeric() || "/._-+@%:,=".contains(letter), "{word:?}");
                said.push(letter);
            }
        }
    }
    assert!(!is_quoted, "{word:?}");
    said.into_bytes()
}

/// printf(1): three octal digits, and two per cent signs.
fn printed_by(format: &str) -> Vec<u8> {
    let (mut said, mut bytes) = (Vec::new(), format.bytes());
    while let Some(byte) = bytes.next() {
        assert!((b' '..=b'~').contains(&byte) && byte != b'\'', "{format:?}");
        said.push(match byte {
            b'\\' => {
                let digits: String = bytes.by_ref().take(3).map(char::from).collect();
                u8::from_str_radix(&digits, 8).unwrap()
            }
            b'%' => bytes.next().filter(|byte| *byte == b'%').unwrap(),
            _ => byte,
        });
    }
    said
}
