//! The keys that were set for one network, each value right by itself.
//!
//! In: values as they are written, in the file or in the environment. Out: `Settings`, typed, each value with
//! its place. Never: knows a default, or compares one key with another.

use std::net::IpAddr;

use ipnet::IpNet;

use super::error::{ConfigError, Place, Problem};
use super::keys::{KEYS, key_name};
use super::pattern::Pattern;
use super::value;
use crate::model::{IfName, Key, Mode, Origin, Uplink, Veth};

/// What is wrong with `name` in the place of a key.
pub(super) fn unknown_key(name: &str) -> Problem {
    let words = KEYS.map(|(_, word)| word);
    let problem = Problem::new(format!("unknown key {name:?}"));
    problem
        .hint(format!("the keys are: {}", words.join(", ")))
        .did_you_mean(name, words.into_iter().chain(["network"]))
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting<T> {
    pub value: T,
    pub place: Place,
}

/// What was set. A list that was not set is empty: an empty one cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settings {
    pub mode: Option<Setting<Mode>>,
    pub bridge: Option<Setting<IfName>>,
    pub address: Vec<Setting<IpNet>>,
    pub uplink: Option<Setting<Uplink>>,
    pub nat_source: Option<Setting<IpAddr>>,
    pub veth: Option<Setting<Veth>>,
    pub keep: Option<Setting<bool>>,
    pub confirm: Option<Setting<bool>>,
    pub uplink_managed: Option<Setting<bool>>,
    pub taps: Vec<Setting<Pattern>>,
}

impl Settings {
    /// Takes one value in; what is wrong with it goes to `errors`.
    pub fn set(&mut self, written: &Written<'_>, errors: &mut Vec<ConfigError>) {
        match written.key {
            Key::Mode => self.mode = written.one(value::mode, errors),
            Key::Bridge => self.bridge = written.one(value::new_interface, errors),
            Key::Address => self.address = written.list(value::address, errors),
            Key::Uplink => self.uplink = written.uplink(errors),
            Key::NatSource => self.nat_source = written.one(value::nat_source, errors),
            Key::Veth => self.veth = written.one(value::veth, errors),
            Key::Keep => self.keep = written.flag(errors),
            Key::Confirm => self.confirm = written.flag(errors),
            Key::UplinkManaged => self.uplink_managed = written.one(value::uplink_managed, errors),
            Key::Taps => self.taps = written.list(Pattern::new, errors),
        }
    }

    /// Forgets the value of `key`.
    pub fn unset(&mut self, key: Key) {
        match key {
            Key::Mode => self.mode = None,
            Key::Bridge => self.bridge = None,
            Key::Address => self.address.clear(),
            Key::Uplink => self.uplink = None,
            Key::NatSource => self.nat_source = None,
            Key::Veth => self.veth = None,
            Key::Keep => self.keep = None,
            Key::Confirm => self.confirm = None,
            Key::UplinkManaged => self.uplink_managed = None,
            Key::Taps => self.taps.clear(),
        }
    }

    /// These, and those of `below` where there are none.
    pub fn over(self, below: Settings) -> Settings {
        Settings {
            mode: self.mode.or(below.mode),
            bridge: self.bridge.or(below.bridge),
            address: if self.address.is_empty() { below.address } else { self.address },
            uplink: self.uplink.or(below.uplink),
            nat_source: self.nat_source.or(below.nat_source),
            veth: self.veth.or(below.veth),
            keep: self.keep.or(below.keep),
            confirm: self.confirm.or(below.confirm),
            uplink_managed: self.uplink_managed.or(below.uplink_managed),
            taps: if self.taps.is_empty() { below.taps } else { self.taps },
        }
    }

    /// Where each key that was set comes from.
    pub fn origins(&self) -> Vec<(Key, Origin)> {
        let set = KEYS.iter().filter_map(|(key, _)| Some((*key, self.place(*key)?.origin())));
        set.filter(|(_, origin)| *origin != Origin::Default).collect()
    }

    /// Where the value of a key stands, of a list its first.
    pub fn place(&self, key: Key) -> Option<&Place> {
        fn of<T>(setting: Option<&Setting<T>>) -> Option<&Place> {
            setting.map(|setting| &setting.place)
        }
        match key {
            Key::Mode => of(self.mode.as_ref()),
            Key::Bridge => of(self.bridge.as_ref()),
            Key::Address => of(self.address.first()),
            Key::Uplink => of(self.uplink.as_ref()),
            Key::NatSource => of(self.nat_source.as_ref()),
            Key::Veth => of(self.veth.as_ref()),
            Key::Keep => of(self.keep.as_ref()),
            Key::Confirm => of(self.confirm.as_ref()),
            Key::UplinkManaged => of(self.uplink_managed.as_ref()),
            Key::Taps => of(self.taps.first()),
        }
    }
}

/// The value of a key as it is written.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub key: Key,
    pub place: Place,
    pub shape: Shape<'a>,
}

/// What kind of value that is.
#[derive(Debug)]
pub(super) enum Shape<'a> {
    Text(&'a str),
    List(Vec<Written<'a>>),
    Flag(bool),
    /// A number or a date, as it is written.
    Bare(&'a str),
    Table,
}

/// What a value that is no switch consists of.
pub(super) const TEXT: &str = "a text in quotes";
/// What a switch is.
pub(super) const FLAG: &str = "true or false";

impl Written<'_> {
    fn error(&self, problem: Problem) -> ConfigError {
        ConfigError::of_key(self.key, self.place.clone(), problem)
    }

    fn expected(&self, what: &str) -> Problem {
        let found = match &self.shape {
            Shape::Text(text) => format!("{text:?}"),
            Shape::List(_) => "a list".to_owned(),
            Shape::Flag(flag) => flag.to_string(),
            Shape::Bare(text) => (*text).to_owned(),
            Shape::Table => "a table".to_owned(),
        };
        Problem::new(format!("expected {what}, found {found}"))
    }

    /// The value where there is to be one text.
    fn one<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, Problem>,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Setting<T>> {
        let value = match &self.shape {
            Shape::Text(text) => parse(text),
            Shape::Bare(bare) => Err(self.expected(TEXT).hint(format!("put it in quotes: {bare:?}"))),
            _ => Err(self.expected(TEXT)),
        };
        match value {
            Ok(value) => Some(Setting { value, place: self.place.clone() }),
            Err(problem) => {
                errors.push(self.error(problem));
                None
            }
        }
    }

    /// The values where there may be one text or a list of them.
    fn list<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, Problem>,
        errors: &mut Vec<ConfigError>,
    ) -> Vec<Setting<T>> {
        match &self.shape {
            Shape::List(items) if items.is_empty() => {
                let problem = Problem::new("the list is empty");
                errors.push(self.error(problem.hint("leave the key out where there is nothing to say")));
                Vec::new()
            }
            Shape::List(items) => items.iter().filter_map(|item| item.one(&parse, errors)).collect(),
            _ => self.one(parse, errors).into_iter().collect(),
        }
    }

    fn flag(&self, errors: &mut Vec<ConfigError>) -> Option<Setting<bool>> {
        if let Shape::Flag(value) = self.shape {
            return Some(Setting { value, place: self.place.clone() });
        }
        let problem = self.expected(FLAG);
        let meant = match self.shape {
            Shape::Text("true" | "yes" | "on" | "1") | Shape::Bare("1") => Some(true),
            Shape::Text("false" | "no" | "off" | "0") | Shape::Bare("0") => Some(false),
            _ => None,
        };
        errors.push(self.error(match (&self.shape, meant, &self.place) {
            (Shape::Text("true" | "false"), _, _) => problem.hint("leave the quotes out"),
            (_, Some(meant), Place::Line { .. }) => {
                problem.hint(format!("write {} = {meant}", key_name(self.key)))
            }
            _ => problem,
        }));
        None
    }

    fn uplink(&self, errors: &mut Vec<ConfigError>) -> Option<Setting<Uplink>> {
        let words = self.list(value::uplink, errors);
        let mut names = Vec::new();
        for word in &words {
            match &word.value {
                None if words.len() == 1 => {
                    return Some(Setting { value: Uplink::DefaultRoute, place: self.place.clone() });
                }
                None => {
                    let problem = Problem::new("\"auto\" is there beside other names");
                    let problem = problem.hint("write uplink = \"auto\" alone, or the names alone");
                    errors.push(ConfigError::of_key(self.key, word.place.clone(), problem));
                }
                Some(name) if names.contains(name) => {
                    let problem = Problem::new(format!("\"{name}\" is there twice"));
                    errors.push(ConfigError::of_key(self.key, word.place.clone(), problem));
                }
                Some(name) => names.push(*name),
            }
        }
        (!names.is_empty()).then(|| Setting { value: Uplink::Named(names), place: self.place.clone() })
    }
}
