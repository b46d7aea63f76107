//! The names that a shell may offer.
//!
//! In: the configuration, the kernel. Out: names. Never: complains; what cannot be read has no names.

use crate::config::{self, Environment};
use crate::model::{Facts, Link, Question};
use crate::netlink::route::Rtnl;
use crate::terminal::shell_word;

/// The networks of the configuration.
pub fn networks() -> Vec<String> {
    let file = config::open(&Environment::of_process());
    file.map(|file| file.names().map(str::to_owned).collect()).unwrap_or_default()
}

/// All taps.
pub fn taps() -> Vec<String> {
    names(|_| true)
}

/// The taps that could be attached: those on no bridge.
pub fn free_taps() -> Vec<String> {
    names(|tap| tap.master.is_none())
}

/// The taps that kvmnet attached.
pub fn attached_taps() -> Vec<String> {
    names(Link::is_attached)
}

/// Shells take what is offered as it stands, so a name that would have to be quoted is not.
fn names(is_wanted: impl Fn(&Link) -> bool) -> Vec<String> {
    let mut facts = Facts::default();
    let asked = Rtnl::open().and_then(|mut rtnl| rtnl.ask(&[Question::Taps], &mut facts));
    let taps = facts.links.iter().filter(|link| asked.is_ok() && link.is_tap() && is_wanted(link));
    let names = taps.map(|tap| tap.name.to_string());
    names.filter(|name| shell_word(name) == *name).collect()
}
