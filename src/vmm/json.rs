//! A JSON object as QEMU's options have it: keys with plain values. (A whole reader would be a fiftieth of a hook.)

/// The keys of the object that a text is, each with its value: a text without its quotes, anything else as it is written.
pub fn object(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader { rest: text };
    let object = reader.object()?;
    reader.rest.trim_start().is_empty().then_some(object)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn object(&mut self) -> Option<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        self.take('{')?;
        if self.take('}').is_some() {
            return Some(pairs);
        }
        loop {
            let key = self.text()?;
            self.take(':')?;
            pairs.push((key, self.value()?));
            if self.take(',').is_none() {
                return self.take('}').map(|()| pairs);
            }
        }
    }

    /// A character, after any white space.
    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(wanted)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    fn text(&mut self) -> Option<String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                plain if plain.is_ascii_control() && plain != '\x7f' => return None,
                plain => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode()?,
            plain @ ('"' | '\\' | '/') => plain,
            _ => return None,
        })
    }

    /// One or, beyond the first 65,536, two units of UTF-16.
    fn unicode(&mut self) -> Option<char> {
        let mut units = vec![self.unit()?];
        if (0xd800..0xdc00).contains(units.first()?) {
            self.rest = self.rest.strip_prefix("\\u")?;
            units.push(self.unit()?);
        }
        let mut chars = char::decode_utf16(units);
        chars.next()?.ok().filter(|_| chars.next().is_none())
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = self.rest.get(4..)?;
        u16::from_str_radix(digits, 16).ok()
    }

    fn value(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let before = self.rest;
        if before.starts_with('"') {
            return self.text();
        }
        // What is in brackets is read to their end.
        let mut depth = 0_usize;
        loop {
            match self.rest.chars().next()? {
                '"' => self.text().map(drop)?,
                ',' | '}' | ']' if depth == 0 => break,
                c => {
                    self.next();
                    match c {
                        '{' | '[' => depth += 1,
                        '}' | ']' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
        let read = before.get(..before.len() - self.rest.len())?.trim_end();
        (!read.is_empty()).then(|| read.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    /// The same as a whole reader says, of what is JSON.
    #[test]
    fn reads_what_another_reader_does() {
        for text in [
            r#"{"type":"tap","fd":"33","vhost":true,"queues":4}"#,
            r#" { "driver" : "virtio-net-pci" , "mac" : "52:54:00:12:34:99" } "#,
            r#"{}"#,
            r#"{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00"}"#,
            r#"{"a":[1,{"b":"]}"}],"c":null,"d":-1.5e3,"e":{"f":[]}}"#,
            r#"{"漢":"字"}"#,
        ] {
            let serde_json::Value::Object(expected) = serde_json::from_str(text).unwrap() else { panic!() };
            let mut expected: Vec<_> = expected.into_iter().collect();
            expected.sort_by(|one, other| one.0.cmp(&other.0));
            let mut found = object(text).unwrap();
            found.sort();
            assert_eq!(found.len(), expected.len(), "{text}");
            for ((key, value), (wanted, json)) in found.iter().zip(&expected) {
                let plain = json.as_str().map(str::to_owned);
                let is_same = plain.map_or_else(
                    || serde_json::from_str::<serde_json::Value>(value).unwrap() == *json,
                    |plain| plain == *value,
                );
                assert!(key == wanted && is_same, "{text}: {key} {value}");
            }
        }
    }

    #[test]
    fn what_is_no_object_is_none() {
        let all = r#"{"type":"tap","a":[1,{"b":"\ud83d\ude00"}],"c":true}"#;
        for length in (0..all.len()).filter(|length| all.is_char_boundary(*length)) {
            assert_eq!(object(&all[..length]), None, "{length}");
        }
        for text in [
            "tap,id=n0",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{\"a\":\"\\x\"}",
            "{a:1}",
            "{\"a\":\"\\ud83d\"}",
            "{\"a\":\"\\u+123\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":1]",
            "{\"a\":[1}",
        ] {
            assert_eq!(object(text), None, "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert_eq!(object(&deep), None);
    }
}
