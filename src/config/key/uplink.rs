//! `uplink`: the way out.

use super::{
    ConfigError, Draft, Entry, Form, IfName, Key, Mode, Network, Origin, PLAIN, Problem, Value, mode,
};
use crate::config::consistency::belongs_to;
use crate::model::Uplink;

pub(crate) static KEY: Key = Key {
    word: "uplink",
    #[cfg(test)]
    meaning: "bridged: the NIC by any of its names, or \"auto\"; it must be said; routed, nat: one or a list, optional",
    default: Some("auto"),
    is_used: |mode| mode.forwards() || mode == Mode::Bridged,
    form: Form::List,
    set,
    get: |network| match &network.uplink {
        Uplink::DefaultRoute => Some(Value::list(["auto"])),
        Uplink::Named(names) => Some(Value::list(names)),
    },
    digest: |network| Some(format!("{:?}", network.uplink)),
    check: |draft, _| not_one_nic(draft).into_iter().chain(own_interfaces(draft)).collect(),
    ..PLAIN
};

fn set(network: &mut Network, entry: &Entry) -> Result<(), Vec<ConfigError>> {
    // None is "auto".
    let words = entry.list(|text| match text {
        "auto" => Ok(None),
        _ => Ok(Some(IfName::new(text)?)),
    })?;
    let names: Vec<IfName> = words.iter().copied().flatten().collect();
    let errors = words.iter().zip(entry.items()).enumerate().filter_map(|(at, (word, item))| match word {
        None if words.len() > 1 => {
            let problem = Problem::new("\"auto\" cannot stand beside other names");
            Some(item.error(problem.hint("write uplink = \"auto\" alone, or the names alone")))
        }
        Some(name) if words.iter().take(at).any(|before| before == word) => {
            Some(item.error(Problem::new(format!("duplicate interface \"{name}\""))))
        }
        _ => None,
    });
    let errors: Vec<ConfigError> = errors.collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    network.uplink = if names.is_empty() { Uplink::DefaultRoute } else { Uplink::Named(names) };
    Ok(())
}

/// A NIC is taken over only if it is named, and only one.
fn not_one_nic(draft: &Draft<'_>) -> Option<ConfigError> {
    if draft.network.mode != Mode::Bridged {
        return None;
    }
    match (&draft.network.uplink, draft.entry(&KEY)) {
        (Uplink::Named(names), Some(entry)) if names.len() != 1 => {
            Some(entry.error(Problem::new(format!("bridged takes one uplink, found {}", names.len()))))
        }
        (Uplink::DefaultRoute, Some(entry)) if entry.place == Origin::Default => {
            let mode = draft.entry(&mode::KEY)?;
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

/// Uplinks are not interfaces that kvmnet makes.
fn own_interfaces(draft: &Draft<'_>) -> Vec<ConfigError> {
    let (Uplink::Named(names), Some(entry)) = (&draft.network.uplink, draft.entry(&KEY)) else {
        return Vec::new();
    };
    let taken = names.iter().filter_map(|name| draft.interfaces.iter().find(|(_, own)| own == name));
    let errors = taken.map(|(of, name)| {
        let problem = belongs_to(of, *name);
        entry.error(match draft.network.mode {
            Mode::Bridged => {
                problem.hint("write the NIC that is to be in the bridge, or is in it already, or \"auto\"")
            }
            _ => problem,
        })
    });
    errors.collect()
}
