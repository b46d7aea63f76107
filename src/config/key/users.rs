//! `users`: who may put guests on the network without being root.

use super::{Form, Key, PLAIN, Problem, Value};

pub(crate) static KEY: Key = Key {
    word: "users",
    #[cfg(test)]
    meaning: "who may start guests on the network by `kvmnet-bridge-helper`: `[\"alice\", \"@kvm\"]`, a user and a group",
    form: Form::List,
    is_of_guest: true,
    set: |network, entry| entry.list(parse).map(|users| network.users = users),
    get: |network| (!network.users.is_empty()).then(|| Value::list(&network.users)),
    ..PLAIN
};

/// A name or a number; a group's has `@` in front.
fn parse(text: &str) -> Result<String, Problem> {
    let name = text.strip_prefix('@').unwrap_or(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty()
        || name.starts_with('-')
        || name.len() > 32
        || !name.trim_end_matches('$').chars().all(is_plain)
    {
        let problem = Problem::new(format!("{text:?} is not the name of a user or a group"));
        return Err(problem.hint("a user like \"alice\", or a group like \"@kvm\""));
    }
    Ok(text.to_owned())
}
