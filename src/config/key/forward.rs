//! `forward`: ports of the host that lead to the guest.

use std::net::IpAddr;

use super::{ConfigError, Form, Key, Mode, PLAIN, Problem, Section, Value};
use crate::model::{Forward, Protocol};

/// Each port is an element of a map.
const MAX_PORTS: u16 = 1024;

pub(crate) static KEY: Key = Key {
    word: "forward",
    #[cfg(test)]
    meaning: "routed, nat: ports of the host that lead to the guest, as in QEMU's hostfwd: `[\"2222:22\", \"udp/5353:53\"]`",
    is_used: Mode::forwards,
    is_of_guest: true,
    form: Form::List,
    set: |network, entry| entry.list(parse).map(|forwards| network.forwards = forwards),
    get: |network| (!network.forwards.is_empty()).then(|| Value::list(&network.forwards)),
    check: |section, _| twice(section),
    ..PLAIN
};

/// Each port leads to one place.
fn twice(section: &Section) -> Vec<ConfigError> {
    let forwards = &section.network.forwards;
    let Some(entry) = section.used(&KEY) else { return Vec::new() };
    let all = forwards.iter().zip(entry.items()).enumerate();
    let errors =
        all.filter_map(|(at, (forward, item))| {
            let earlier = forwards.iter().take(at).find(|earlier| earlier.overlaps(forward))?;
            Some(item.error(Problem::new(format!(
                "\"{forward}\" has a port of \"{earlier}\", which is before it"
            ))))
        });
    errors.collect()
}

/// `2222:22`, `udp/5353:53`, `127.0.0.1:8080:80`, `[::]:443:443`, `3000-3010:3000`
fn parse(text: &str) -> Result<Forward, Problem> {
    let (protocol, rest) = protocol(text)?;
    let (rest, to) = rest.rsplit_once(':').ok_or_else(|| form(text))?;
    let (listen, ports) = match rest.rsplit_once(':') {
        Some((address, ports)) => (Some(listen(address)?), ports),
        None => (None, rest),
    };
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(first, text)?, port(last, text)?),
        None => (port(ports, text)?, port(ports, text)?),
    };
    let to = port(to, text)?;
    let Some(more) = last.checked_sub(first) else {
        let problem = Problem::new(format!("the range \"{first}-{last}\" ends before it begins"));
        return Err(problem.hint(format!("did you mean \"{last}-{first}\"?")));
    };
    if more >= MAX_PORTS {
        return Err(Problem::new(format!("\"{first}-{last}\" is more than {MAX_PORTS} ports")));
    }
    if to.checked_add(more).is_none() {
        return Err(Problem::new(format!("the guest has no port for {last}: they end at 65535")));
    }
    Ok(Forward { protocol, listen, first, last, to })
}

fn protocol(text: &str) -> Result<(Protocol, &str), Problem> {
    match text.split_once('/') {
        None => Ok((Protocol::Tcp, text)),
        Some(("tcp", rest)) => Ok((Protocol::Tcp, rest)),
        Some(("udp", rest)) => Ok((Protocol::Udp, rest)),
        Some((word, _)) => {
            Err(Problem::new(format!("unknown protocol {word:?} (tcp, udp)"))
                .did_you_mean(word, ["tcp", "udp"]))
        }
    }
}

/// An IPv6 address is in brackets, as its colons are not those around it.
fn listen(text: &str) -> Result<IpAddr, Problem> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    };
    let Some(address) = address else {
        let is_bare = inner.is_none() && text.parse::<IpAddr>().is_ok();
        let hint = is_bare.then(|| format!("put it in brackets: \"[{text}]\""));
        let problem = Problem::new(format!("{text:?} is not an address of the host"));
        return Err(problem.hint("127.0.0.1 or [::1] for the host itself").hint_if(hint));
    };
    if address.is_multicast() {
        return Err(Problem::new(format!("{address} is a multicast address, which no host can have")));
    }
    Ok(address)
}

fn port(text: &str, whole: &str) -> Result<u16, Problem> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if is_plain && port != 0 => Ok(port),
        _ if is_plain => Err(Problem::new(format!("{text} is not a port")).hint("from 1 to 65535")),
        _ => Err(form(whole)),
    }
}

fn form(text: &str) -> Problem {
    let problem = Problem::new(format!("{text:?} does not say which port leads where"));
    problem.hint("the host's port, a colon, the guest's: \"2222:22\"; \"udp/5353:53\", \"127.0.0.1:8080:80\", \"[::1]:8080:80\", \"3000-3010:3000\"")
}
