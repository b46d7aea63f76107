//! The value of a key, as it prints.

use std::fmt;

use serde::Serialize;

/// The value of a key that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Flag(bool),
}

impl Value {
    pub fn text(value: impl ToString) -> Self {
        Value::Text(value.to_string())
    }

    pub fn list(values: impl IntoIterator<Item = impl ToString>) -> Self {
        Value::List(values.into_iter().map(|value| value.to_string()).collect())
    }
}

/// As TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::List(words) => match words.as_slice() {
                [word] => f.write_str(&quoted(word)),
                _ => write!(f, "[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")),
            },
            Value::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// A TOML basic string, with everything escaped that a terminal would act upon.
pub(crate) fn quoted(text: &str) -> String {
    let mut string = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => string.extend(['\\', c]),
            '\'' => string.push(c),
            _ if c.escape_debug().len() > 1 => string.push_str(&format!("\\U{:08X}", u32::from(c))),
            _ => string.push(c),
        }
    }
    string.push('"');
    string
}
