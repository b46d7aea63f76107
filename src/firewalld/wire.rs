//! The bytes of D-Bus messages (D-Bus specification, "Message Protocol"), as far as calls with texts need them.
//!
//! All messages on one machine have its byte order.

use super::bus::Place;

/// What every message begins with: order, kind, flags, version, and three numbers.
pub const HEAD: usize = 16;
/// All header fields of a message that is heeded, and its body.
const MAX_FIELDS: usize = 16 << 10;
const MAX_BODY: usize = 256 << 10;

const ORDER: u8 = if cfg!(target_endian = "little") { b'l' } else { b'B' };
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The bus shall not start a program that does not run.
const NO_AUTO_START: u8 = 2;
const VERSION: u8 = 1;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub kind: Kind,
    /// The number of the call that it answers.
    pub to: Option<u32>,
    signature: String,
    body: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Return,
    /// With its name.
    Error(String),
    Other,
}

impl Answer {
    /// All texts of one that is a text, a path, or a list of texts; of several values the first. None for any other.
    pub fn texts(&self) -> Option<Vec<String>> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        match self.signature.as_bytes() {
            [b's' | b'o', ..] => Some(vec![reader.text()?]),
            b"as" => {
                let end = reader.u32()? as usize + reader.at;
                let mut texts = Vec::new();
                while reader.at < end {
                    texts.push(reader.text()?);
                }
                (reader.at == end).then_some(texts)
            }
            _ => None,
        }
    }

    /// One text.
    pub fn text(&self) -> Option<String> {
        match self.signature.as_str() {
            "s" | "o" => self.texts()?.into_iter().next(),
            _ => None,
        }
    }

    /// The number of one that is a number.
    pub fn number(&self) -> Option<u32> {
        (self.signature == "u").then(|| Reader { bytes: &self.body, at: 0 }.u32())?
    }
}

/// A call.
pub fn call(serial: u32, [name, path, interface]: Place, method: &str, texts: &[&str]) -> Vec<u8> {
    let mut body = Writer::default();
    texts.iter().for_each(|text| body.text(text));
    let mut fields = Writer::default();
    let named =
        [(PATH, "o", path), (INTERFACE, "s", interface), (MEMBER, "s", method), (DESTINATION, "s", name)];
    for (field, kind, value) in named {
        fields.field(field, kind);
        fields.text(value);
    }
    if !texts.is_empty() {
        fields.field(SIGNATURE, "g");
        fields.signature(&"s".repeat(texts.len()));
    }
    let mut message = Writer(vec![ORDER, CALL, NO_AUTO_START, VERSION]);
    [body.0.len() as u32, serial, fields.0.len() as u32].into_iter().for_each(|number| message.u32(number));
    message.0.extend(fields.0);
    message.align(8);
    message.0.extend(body.0);
    message.0
}

/// How long the fields are that follow this head, and the body behind them; None for what is not to be read.
pub fn lengths(head: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Reader { bytes: head, at: 4 };
    let (body, _serial, fields) = (reader.u32()? as usize, reader.u32()?, reader.u32()? as usize);
    let is_readable = head[0] == ORDER && head[3] == VERSION && fields <= MAX_FIELDS && body <= MAX_BODY;
    is_readable.then(|| (fields.next_multiple_of(8), body))
}

/// Reads a message.
pub fn answer(head: &[u8], fields: &[u8], body: Vec<u8>) -> Option<Answer> {
    let length = Reader { bytes: head, at: 12 }.u32()? as usize;
    let mut reader = Reader { bytes: fields.get(..length)?, at: 0 };
    let (mut to, mut error, mut signature) = (None, String::new(), String::new());
    while reader.at < length {
        reader.align(8);
        let field = reader.u8()?;
        match (field, reader.signature()?.as_str()) {
            (REPLY_SERIAL, "u") => to = Some(reader.u32()?),
            (ERROR_NAME, "s") => error = reader.text()?,
            (SIGNATURE, "g") => signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.u32()?),
            _ => return None,
        }
    }
    let kind = match head.get(1)? {
        &RETURN => Kind::Return,
        &ERROR => Kind::Error(error),
        _ => Kind::Other,
    };
    Some(Answer { kind, to, signature, body })
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_ne_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// Of at most 255 types.
    fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    fn field(&mut self, field: u8, kind: &str) {
        self.align(8);
        self.0.push(field);
        self.signature(kind);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_ne_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.ended(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.u8()?.into();
        self.ended(length)
    }

    /// A text with the zero behind it.
    fn ended(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        (self.u8()? == 0).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PLACE: Place = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];

    /// An answer as a bus would send it.
    fn sent(kind: u8, to: u32, signature: &str, body: Vec<u8>) -> Vec<u8> {
        let mut fields = Writer::default();
        fields.field(REPLY_SERIAL, "u");
        fields.u32(to);
        fields.field(ERROR_NAME, "s");
        fields.text("org.example.Error");
        fields.field(SIGNATURE, "g");
        fields.signature(signature);
        let mut message = Writer(vec![ORDER, kind, 0, VERSION]);
        [body.len() as u32, 7, fields.0.len() as u32].into_iter().for_each(|number| message.u32(number));
        message.0.extend(fields.0);
        message.align(8);
        message.0.extend(body);
        message.0
    }

    fn read(bytes: &[u8]) -> Option<Answer> {
        let head = bytes.get(..HEAD)?;
        let (fields, body) = lengths(head)?;
        let rest = &bytes[HEAD..];
        answer(head, rest.get(..fields)?, rest.get(fields..fields + body)?.to_vec())
    }

    fn texts(texts: &[&str]) -> Vec<u8> {
        let mut list = Writer::default();
        texts.iter().for_each(|text| list.text(text));
        let mut body = Writer::default();
        body.u32(list.0.len() as u32);
        body.0.extend(list.0);
        body.0
    }

    /// As dbus-monitor shows such a call on the wire: with both texts behind padding, and their types.
    #[test]
    fn a_call_is_what_the_specification_says() {
        let bytes = call(3, PLACE, "Get", &["a", "bc"]);
        assert_eq!(bytes[..4], [ORDER, 1, 2, 1]);
        let (fields, body) = lengths(&bytes).unwrap();
        assert_eq!((bytes.len(), body), (HEAD + fields + body, 15));
        assert_eq!(bytes[HEAD + fields..][..8], [1u32.to_ne_bytes(), [b'a', 0, 0, 0]].concat()[..]);
    }

    #[test]
    fn answers_are_read() {
        let list = read(&sent(RETURN, 3, "as", texts(&["br0", "veth1.1"]))).unwrap();
        assert_eq!((list.kind, list.to), (Kind::Return, Some(3)));
        let list = read(&sent(RETURN, 3, "as", texts(&["br0", "veth1.1"]))).unwrap();
        assert_eq!(list.texts().unwrap(), ["br0", "veth1.1"]);
        assert_eq!((list.text(), list.number()), (None, None));
        let number = read(&sent(RETURN, 3, "u", 7u32.to_ne_bytes().to_vec())).unwrap();
        assert_eq!((number.number(), number.texts()), (Some(7), None));
        let mut body = Writer::default();
        body.text("INVALID_ZONE: kvmnet");
        let error = read(&sent(ERROR, 3, "s", body.0)).unwrap();
        assert_eq!(error.text().as_deref(), Some("INVALID_ZONE: kvmnet"));
        assert_eq!(error.kind, Kind::Error("org.example.Error".to_owned()));
    }

    /// Whatever is cut off, or says another length than it has, is refused or read; nothing else happens.
    #[test]
    fn what_lies_about_its_length_is_harmless() {
        let whole = sent(RETURN, 3, "as", texts(&["br0", "veth1.1"]));
        for at in 0..whole.len() {
            let _cut = read(&whole[..at]).map(|answer| answer.texts());
            for value in [0, 1, 8, 0x7f, 0x80, 0xff] {
                let mut forged = whole.clone();
                forged[at] = value;
                let _ = read(&forged).map(|answer| (answer.texts(), answer.number(), answer.text()));
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_not_read() {
        let mut head = sent(RETURN, 3, "s", Vec::new());
        head[4..8].copy_from_slice(&(MAX_BODY as u32 + 1).to_ne_bytes());
        assert_eq!(lengths(&head), None);
        head[4..8].copy_from_slice(&0u32.to_ne_bytes());
        head[12..16].copy_from_slice(&(MAX_FIELDS as u32 + 1).to_ne_bytes());
        assert_eq!(lengths(&head), None);
    }
}
