//! Looking, with what holds of every look.

use serde_json::Value;

use crate::lab::{Cli, Lab, eventually};
use crate::schema;

/// What `kvmnet status` says, as data and as text.
pub struct Seen {
    pub data: Value,
    pub text: String,
}

/// Looks as root.
#[track_caller]
pub fn look(lab: &Lab) -> Seen {
    look_with(lab, |cli| cli)
}

/// Looks as somebody else, or in another environment. The data are as documented; the text has no line that is longer
/// than a terminal, and no colours, because it goes into a pipe.
#[track_caller]
pub fn look_with<'a>(lab: &'a Lab, with: impl Fn(Cli<'a>) -> Cli<'a>) -> Seen {
    let json = with(Cli::new(&lab.host, &["status", "--json"])).run().ok();
    let data: Value = serde_json::from_str(&json).expect("--json prints JSON");
    let errors = schema::errors(&schema::documented(), &data);
    assert_eq!(errors, [] as [&str; 0], "{json}");
    let text = with(Cli::new(&lab.host, &["status"])).run().ok();
    let is_good = |line: &str| line.chars().count() <= 80 && !line.contains(char::is_control);
    assert!(text.lines().all(is_good), "{text}");
    Seen { data, text }
}

/// Looks until it looks so: what is learned of guests is learned when they talk.
#[track_caller]
pub fn look_until(what: &str, lab: &Lab, holds: impl Fn(&Seen) -> bool) -> Seen {
    let mut seen = look(lab);
    eventually(what, || {
        seen = look(lab);
        holds(&seen)
    });
    seen
}

impl Seen {
    /// The network of this name.
    #[track_caller]
    pub fn network(&self, name: &str) -> &Value {
        let networks = self.data["networks"].as_array().unwrap();
        let found = networks.iter().find(|network| network["name"] == name);
        found.unwrap_or_else(|| panic!("there is a network {name}: {}", self.data))
    }

    /// The guest on this tap.
    #[track_caller]
    pub fn guest(&self, tap: &str) -> &Value {
        let networks = self.data["networks"].as_array().unwrap();
        let guests = networks.iter().flat_map(|network| network["guests"].as_array().unwrap());
        let mut guests = guests.chain(self.data["strays"].as_array().unwrap());
        guests.find(|guest| guest["tap"] == tap).unwrap_or_else(|| panic!("{tap} is there: {}", self.data))
    }

    /// A change of the default network: its former and its present value.
    #[track_caller]
    pub fn change(&self, what: &str) -> [Option<&str>; 2] {
        let changes = self.network("default")["changes"].as_array().unwrap();
        let found = changes.iter().find(|change| change["what"] == what);
        let found = found.unwrap_or_else(|| panic!("{what} is among the changes: {changes:#?}"));
        ["before", "now"].map(|key| found[key].as_str())
    }

    /// Fails the test unless the text has all these words, with any space between them.
    #[track_caller]
    pub fn says(&self, words: &str) {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat(&self.text).contains(&flat(words)), "it says {words:?}:\n{}", self.text);
    }
}

/// The texts of a list.
pub fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
