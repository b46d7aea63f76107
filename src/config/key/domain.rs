//! `domain`: the DNS domain of the guests.

use super::{Key, Mode, PLAIN, Problem, Value};

const DEFAULT: &str = "kvm";

pub(crate) static KEY: Key = Key {
    word: "domain",
    #[cfg(test)]
    meaning: "with `dhcp`: guests are `NAME.kvm` to each other, and the host is `host.kvm`",
    default: Some(DEFAULT),
    is_used: Mode::has_host_address,
    set: |network, entry| entry.one(parse).map(|domain| network.domain = domain),
    get: |network| Some(Value::text(&network.domain)),
    digest: |network| {
        let domain = Some(&network.domain).filter(|domain| !domain.is_empty() && *domain != DEFAULT);
        domain.map(|domain| format!("domain={domain}"))
    },
    ..PLAIN
};

/// Labels of letters, digits and hyphens, with dots between them (RFC 1123, 2.1). Short enough for the record on the bridge.
fn parse(text: &str) -> Result<String, Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 63 || !text.split('.').all(is_label) {
        let problem = Problem::new(format!("{text:?} is not a domain"));
        return Err(
            problem.hint("at most 63 letters, digits, hyphens and dots, like \"kvm\" or \"vm.example.org\"")
        );
    }
    if text.eq_ignore_ascii_case("local") {
        let problem = Problem::new("\"local\" is the domain of multicast DNS (RFC 6762)".to_owned());
        return Err(problem.hint("another word, like \"kvm\""));
    }
    Ok(text.to_ascii_lowercase())
}
