//! The value of an option of QEMU's: keys with values.

use super::json;

/// Keys and values in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Reads `tap,id=n0,ifname=vif0.0` or JSON. The first value may come without its key, which is `first`; any other
    /// word alone is a switch that is on. A doubled comma is a comma in the value (`get_opt_name_value` of QEMU).
    pub fn read(text: &str, first: &str) -> Self {
        if let Some(object) = json::object(text) {
            return Self(object);
        }
        // No word of a command line has a NUL in it.
        let text = text.replace(",,", "\0");
        let plain = |text: &str| text.replace('\0', ",");
        let options = text.split_terminator(',').enumerate();
        let pairs = options.map(|(number, option)| match option.split_once('=') {
            Some((key, value)) if !key.contains('\0') => (key.to_owned(), plain(value)),
            _ if number == 0 => (first.to_owned(), plain(option)),
            _ => (plain(option), "on".to_owned()),
        });
        Self(pairs.collect())
    }

    /// The value of `key`: the last one, where there are several.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let options = Options::read("tap,id=n0,ifname=a,,b=c,vhost,id=n1", "type");
        let found = ["type", "id", "ifname", "vhost", "fd"].map(|key| options.get(key));
        assert_eq!(found, [Some("tap"), Some("n1"), Some("a,b=c"), Some("on"), None]);
        let options = Options::read(r#"{"type": "tap", "fd": "33", "vhost": true}"#, "type");
        let found = ["type", "fd", "vhost"].map(|key| options.get(key));
        assert_eq!(found, [Some("tap"), Some("33"), Some("true")]);
        assert_eq!(Options::read("", "type"), Options::default());
    }
}
