//! Entries of one kind: how what stands behind their word is read and written.

use ipnet::IpNet;

use crate::model::{Mac, Veth};

/// What stands behind the word of an entry.
pub(super) trait Value: Sized {
    /// Reads it.
    fn parse(text: &str) -> Option<Self>;

    /// As it is read.
    fn text(&self) -> String;
}

/// All entries of one kind that a record has.
pub(super) trait Entries {
    /// Takes an entry with this value, or with none; None where it cannot be.
    fn read(&mut self, value: Option<&str>) -> Option<()>;

    /// The value of each.
    fn values(&self) -> Vec<Option<String>>;
}

/// One that says all by being there.
impl Entries for bool {
    fn read(&mut self, value: Option<&str>) -> Option<()> {
        value.is_none().then(|| *self = true)
    }

    fn values(&self) -> Vec<Option<String>> {
        self.then_some(None).into_iter().collect()
    }
}

/// One at most.
impl<V: Value> Entries for Option<V> {
    fn read(&mut self, value: Option<&str>) -> Option<()> {
        *self = Some(V::parse(value?)?);
        Some(())
    }

    fn values(&self) -> Vec<Option<String>> {
        self.iter().map(|value| Some(value.text())).collect()
    }
}

/// As many as there are.
impl<V: Value> Entries for Vec<V> {
    fn read(&mut self, value: Option<&str>) -> Option<()> {
        self.push(V::parse(value?)?);
        Some(())
    }

    fn values(&self) -> Vec<Option<String>> {
        self.iter().map(|value| Some(value.text())).collect()
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for IpNet {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for Mac {
    fn parse(text: &str) -> Option<Self> {
        Mac::parse(text)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Value for Veth {
    fn parse(text: &str) -> Option<Self> {
        Veth::named(text).ok()
    }

    fn text(&self) -> String {
        self.name().to_owned()
    }
}
