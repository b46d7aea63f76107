//! What the command line of a VM tells: its name, and the MAC of its NIC on a tap (qemu(1), firecracker's `--id`,
//! crosvm's and lkvm's `--name`).
//!
//! In: the words of the command line. Out: what it says. Never: asks the VM.

use crate::model::Mac;

/// What QEMU gives the first NIC that is given none (`qemu_macaddr_default_if_unset`), in every VM the same.
const DEFAULT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// The program, without its directory.
pub fn program(command: &[String]) -> String {
    let path = command.first().map(String::as_str).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The name that the command line gives the VM.
pub fn name(command: &[String]) -> Option<String> {
    let is_firecracker = program(command).starts_with("firecracker");
    let option = |word: &str| matches!(word, "-name" | "--name") || (is_firecracker && word == "--id");
    let apart = command.windows(2).find_map(|pair| match pair {
        [word, value] if option(word) => Some(value.as_str()),
        _ => None,
    });
    let value = apart.or_else(|| command.iter().find_map(|word| word.strip_prefix("--name=")))?;
    let options = options(value);
    // The first word may stand without its key.
    let named = |key: &str| options.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let bare = options.first().filter(|(key, _)| key.is_empty()).map(|(_, value)| value.clone());
    let name = named("guest").or(bare)?;
    (!name.is_empty()).then_some(name)
}

/// The MAC of the NIC on `tap`, as QEMU's command line gives it, or QEMU where that is silent.
pub fn mac(command: &[String], tap: &str) -> Option<Mac> {
    let nics: Vec<(&str, Vec<(String, String)>)> = command
        .windows(2)
        .filter_map(|pair| match pair {
            [word, value] => {
                let word = word.strip_prefix('-')?;
                Some((word.strip_prefix('-').unwrap_or(word), options(value)))
            }
            _ => None,
        })
        .filter(|(word, _)| matches!(*word, "nic" | "net" | "netdev" | "device"))
        .collect();
    let get = |options: &[(String, String)], wanted: &str| {
        options.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone())
    };
    let (word, host_side) =
        nics.iter().find(|(_, options)| get(options, "ifname").as_deref() == Some(tap))?;
    let guest_side = match *word {
        "nic" => Some(host_side),
        // All of `-net` is on one hub.
        "net" => nics.iter().find(|(word, options)| *word == "net" && is(options, "nic")).map(|(_, nic)| nic),
        _ => {
            let id = get(host_side, "id")?;
            let is_its = |options: &[(String, String)]| get(options, "netdev").as_ref() == Some(&id);
            nics.iter().find(|(_, options)| is_its(options)).map(|(_, nic)| nic)
        }
    }?;
    let given = |options: &[(String, String)]| get(options, "mac").or_else(|| get(options, "macaddr"));
    match given(guest_side) {
        Some(text) => Mac::parse(&text),
        // Which of several NICs without a MAC gets which is QEMU's own business.
        None => {
            let is_nic = |word: &str, options: &[(String, String)]| match word {
                "net" => is(options, "nic"),
                "device" => get(options, "netdev").is_some(),
                word => word == "nic",
            };
            let silent =
                nics.iter().filter(|(word, options)| is_nic(word, options) && given(options).is_none());
            (silent.count() == 1).then_some(DEFAULT_MAC)
        }
    }
}

fn is(options: &[(String, String)], kind: &str) -> bool {
    options.first().is_some_and(|(key, value)| key.is_empty() && value == kind)
}

/// `a,b=c` as keys and values (`get_opt_name_value` of QEMU); a word without a key has an empty one, and a doubled comma
/// is one of the value's.
fn options(mut text: &str) -> Vec<(String, String)> {
    let mut options = Vec::new();
    while !text.is_empty() {
        let key = match text.find(['=', ',']).and_then(|end| text.split_at_checked(end)) {
            Some((key, rest)) if rest.starts_with('=') => {
                text = rest.strip_prefix('=').unwrap_or(rest);
                key
            }
            _ => "",
        };
        let (value, rest) = value(text);
        text = rest;
        options.push((key.to_owned(), value));
    }
    options
}

/// The value that `text` begins with, and what comes behind it.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(',') {
        value.push_str(before);
        match behind.strip_prefix(',') {
            Some(behind) => {
                value.push(',');
                rest = behind;
            }
            None => return (value, behind),
        }
    }
    value.push_str(rest);
    (value, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_name_is_found_as_people_write_it() {
        for (line, expected) in [
            ("qemu-system-x86_64 -name web -m 128", Some("web")),
            ("/usr/bin/qemu-system-x86_64 --name web", Some("web")),
            ("qemu -name guest=web-1,debug-threads=on", Some("web-1")),
            ("qemu -name web,process=x", Some("web")),
            ("qemu -name process=x,guest=web", Some("web")),
            ("qemu -name a,,b=c", Some("a,b=c")),
            ("qemu -name debug-threads=on", None),
            ("qemu -m 128", None),
            ("qemu -name", None),
            ("/opt/firecracker --id vm7 --api-sock x", Some("vm7")),
            ("qemu --id vm7", None),
            ("lkvm run --name=web", Some("web")),
        ] {
            assert_eq!(name(&words(line)).as_deref(), expected, "{line}");
        }
        assert_eq!(program(&words("/opt/firecracker --id vm7")), "firecracker");
    }

    #[test]
    fn a_mac_is_found_on_its_tap() {
        let given = Some(Mac([0x52, 0x54, 0, 0, 0, 7]));
        for (line, expected) in [
            ("qemu -nic tap,ifname=vif0.0,mac=52:54:00:00:00:07", given),
            ("qemu -net nic,macaddr=52:54:00:00:00:07 -net tap,ifname=vif0.0", given),
            ("qemu -netdev tap,id=a,ifname=vif0.0 -device e1000,netdev=a,mac=52:54:00:00:00:07", given),
            ("qemu -netdev tap,id=a,ifname=vif0.0 -device e1000,netdev=a", Some(DEFAULT_MAC)),
            ("qemu -net nic -net tap,ifname=vif0.0", Some(DEFAULT_MAC)),
            ("qemu -nic tap,ifname=vif0.0", Some(DEFAULT_MAC)),
            ("qemu -nic tap,ifname=vif0.0 -nic tap,ifname=vif1.0", None),
            ("qemu -nic tap,ifname=vif0.0 -nic tap,ifname=vif1.0,mac=52:54:00:00:00:07", Some(DEFAULT_MAC)),
            ("qemu -netdev tap,id=a,ifname=vif0.0", None),
            ("qemu -nic tap,ifname=vif1.0,mac=52:54:00:00:00:07", None),
            ("qemu -nic user", None),
        ] {
            assert_eq!(mac(&words(line), "vif0.0"), expected, "{line}");
        }
    }
}
