//! Entries of one kind: how what stands behind their word is read and written.

use std::fmt::Display;
use std::str::FromStr;

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
impl<V: FromStr + Display> Entries for Option<V> {
    fn read(&mut self, value: Option<&str>) -> Option<()> {
        *self = Some(value?.parse().ok()?);
        Some(())
    }

    fn values(&self) -> Vec<Option<String>> {
        self.iter().map(|value| Some(value.to_string())).collect()
    }
}

/// As many as there are.
impl<V: FromStr + Display> Entries for Vec<V> {
    fn read(&mut self, value: Option<&str>) -> Option<()> {
        self.push(value?.parse().ok()?);
        Some(())
    }

    fn values(&self) -> Vec<Option<String>> {
        self.iter().map(|value| Some(value.to_string())).collect()
    }
}
