//! `bridge`: the bridge that the taps are ports of.

use super::{ConfigError, IfName, Key, PLAIN, Problem, Section, Value};

pub(crate) static KEY: Key = Key {
    word: "bridge",
    #[cfg(test)]
    meaning: "made if it is not there; one that is there is used and left as it was found, unless it is a LAN or another program's",
    default: Some("br0"),
    is_own: true,
    set: |network, entry| entry.one(new_interface).map(|name| network.bridge = name),
    get: |network| Some(Value::text(network.bridge)),
    digest: |network| Some(network.bridge.to_string()),
    makes: |network| vec![network.bridge],
    check: |section, _| Vec::from_iter(missing(section)),
    ..PLAIN
};

/// The name of an interface that kvmnet is to make.
pub(super) fn new_interface(text: &str) -> Result<IfName, Problem> {
    let name = IfName::new(text)?;
    // The kernel replaces %d with a number, and has directories of these names under /proc/sys/net.
    if text.contains('%') || matches!(text, "all" | "default" | "lo") {
        return Err(Problem::new(format!("{text:?} is a name that the kernel keeps for itself")));
    }
    Ok(name)
}

fn missing(section: &Section) -> Option<ConfigError> {
    let name = section.name();
    let suggested = IfName::new(&format!("br-{name}")).map_or("br1".to_owned(), |name| name.to_string());
    let hint = format!("write bridge = {suggested:?} under [network.{name}]");
    section.used(&KEY).is_none().then(|| section.missing("bridge", hint))
}
