//! The record on a guest's tap: that kvmnet attached it, and what it changed on a tap that outlives its guest.

use std::fmt;

/// How every such alias begins.
const PREFIX: &str = "kvmnet:tap";

/// The ifalias of an attached tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapMark {
    /// The former MTU of a persistent tap.
    pub mtu: Option<u32>,
    /// The former address generation mode of a persistent tap.
    pub addr_gen: Option<u32>,
    /// Its former alias.
    pub alias: String,
}

impl TapMark {
    /// Reads the alias of a tap; None where kvmnet did not attach it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        let (words, alias) = text.split_once(" was=").unwrap_or((text, ""));
        let mut mark = TapMark { alias: alias.to_owned(), ..Self::default() };
        for word in words.split_whitespace() {
            match word.split_once('=')? {
                ("mtu", value) => mark.mtu = Some(value.parse().ok()?),
                ("gen", value) => mark.addr_gen = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(mark)
    }
}

impl fmt::Display for TapMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        if let Some(mtu) = self.mtu {
            write!(f, " mtu={mtu}")?;
        }
        if let Some(mode) = self.addr_gen {
            write!(f, " gen={mode}")?;
        }
        if !self.alias.is_empty() {
            write!(f, " was={}", self.alias)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        for text in ["kvmnet:tap", "kvmnet:tap mtu=9000 gen=0 was=the web server", "kvmnet:tap was=x"] {
            assert_eq!(TapMark::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TapMark::parse("kvmnet:nat default 00000000"), None);
        assert_eq!(TapMark::parse("web server"), None);
    }
}
