//! `guest_mac`: the MACs of the guest's NIC.

use super::{Form, Key, PLAIN, Problem, Value};
use crate::model::Mac;

pub(crate) static KEY: Key = Key {
    word: "guest_mac",
    #[cfg(test)]
    meaning: "the MAC of this guest, or its MACs, where QEMU's command line does not say it",
    is_of_guest: true,
    form: Form::List,
    set: |network, entry| entry.list(parse).map(|macs| network.guest_macs = macs),
    get: |network| (!network.guest_macs.is_empty()).then(|| Value::list(&network.guest_macs)),
    ..PLAIN
};

fn parse(text: &str) -> Result<Mac, Problem> {
    let is_written = text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    let Some(mac) = text.parse::<Mac>().ok().filter(|_| is_written) else {
        let problem = Problem::new(format!("{text:?} is not a MAC"));
        return Err(problem.hint("like \"52:54:00:12:34:57\""));
    };
    if mac.is_group() || mac.0 == [0; 6] {
        return Err(
            Problem::new(format!("{mac} is the MAC of no NIC")).hint("the second digit of one is even")
        );
    }
    Ok(mac)
}
