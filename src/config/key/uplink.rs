//! `uplink`: the way out.

use super::{
    ConfigError, Entry, Form, IfName, Key, Mode, Network, Origin, PLAIN, Problem, Section, Value, mode,
};
use crate::config::consistency::belongs_to;
use crate::model::Uplink;

pub(crate) static KEY: Key = Key {
    word: "uplink",
    #[cfg(test)]
    meaning: "bridged: the NIC by any of its names, \"auto\", or \"none\" for a bridge as it is; it must be said; routed, nat: one or a list, optional",
    default: Some("auto"),
    is_used: |mode| mode.forwards() || mode == Mode::Bridged,
    form: Form::List,
    set,
    get: |network| match &network.uplink {
        Uplink::DefaultRoute => Some(Value::list(["auto"])),
        Uplink::Named(names) => Some(Value::list(names)),
        Uplink::None => Some(Value::list([NONE])),
    },
    digest: |network| Some(format!("{:?}", network.uplink)),
    check: |section, _| {
        let errors = not_one_nic(section).into_iter().chain(no_way_out(section));
        errors.chain(own_interfaces(section)).collect()
    },
    ..PLAIN
};

/// The bridge is used as it is.
const NONE: &str = "none";

fn set(network: &mut Network, entry: &Entry) -> Result<(), Vec<ConfigError>> {
    if let [item] = entry.items() {
        if item.one(|text| Ok(text == NONE)) == Ok(true) {
            network.uplink = Uplink::None;
            return Ok(());
        }
    }
    // None is "auto".
    let words = entry.list(|text| if text == "auto" { Ok(None) } else { Ok(Some(IfName::new(text)?)) })?;
    let errors = words.iter().zip(entry.items()).enumerate().filter_map(|(at, (word, item))| {
        let problem = match word {
            None if words.len() > 1 => Problem::new("\"auto\" cannot stand beside other names")
                .hint("write uplink = \"auto\" alone, or the names alone"),
            Some(name) if words.iter().take(at).any(|before| before == word) => {
                Problem::new(format!("duplicate interface \"{name}\""))
            }
            _ => return None,
        };
        Some(item.error(problem))
    });
    let errors: Vec<ConfigError> = errors.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let names: Option<Vec<IfName>> = words.into_iter().collect();
    network.uplink = names.map_or(Uplink::DefaultRoute, Uplink::Named);
    Ok(())
}

/// A NIC is taken over only if it is named, and only one.
fn not_one_nic(section: &Section) -> Option<ConfigError> {
    if section.network.mode != Mode::Bridged {
        return None;
    }
    match (&section.network.uplink, section.used(&KEY)) {
        (Uplink::Named(names), Some(entry)) if names.len() != 1 => {
            Some(entry.error(Problem::new(format!("bridged takes one uplink, found {}", names.len()))))
        }
        (Uplink::DefaultRoute, Some(entry)) if entry.place == Origin::Default => {
            let mode = section.used(&mode::KEY)?;
            let hint = match mode.place {
                Origin::Environment(_) => {
                    "set KVMNET_UPLINK to the NIC, or to auto for the one with the default route"
                }
                _ => "write uplink = \"auto\" for the NIC with the default route, or the name of another",
            };
            Some(mode.error(Problem::new("bridged needs an uplink").hint(hint)))
        }
        _ => None,
    }
}

/// What the host forwards goes somewhere.
fn no_way_out(section: &Section) -> Option<ConfigError> {
    let is_wrong = section.network.uplink == Uplink::None && section.network.mode != Mode::Bridged;
    let entry = section.used(&KEY).filter(|_| is_wrong)?;
    let problem = Problem::new(format!("{} needs a way out", section.network.mode));
    Some(
        entry.error(
            problem.hint("mode = \"host-only\" has none; uplink = \"none\" is for mode = \"bridged\""),
        ),
    )
}

/// Uplinks are not interfaces that kvmnet makes.
fn own_interfaces(section: &Section) -> Vec<ConfigError> {
    let (Uplink::Named(names), Some(entry)) = (&section.network.uplink, section.used(&KEY)) else {
        return Vec::new();
    };
    let taken = names.iter().filter_map(|name| section.interfaces.iter().find(|(_, own)| own == name));
    let hint = (section.network.mode == Mode::Bridged)
        .then(|| "write the NIC that is to be in the bridge, or is in it already, or \"auto\"".to_owned());
    taken.map(|(of, name)| entry.error(belongs_to(of, *name).hint_if(hint.clone()))).collect()
}
