//! The arguments, as QEMU gives them to its own helper (`net_bridge_run_helper` in net/tap.c).

use std::ffi::OsString;

use super::{HELP, NAME};
use crate::error::Error;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    Text(String),
    Tap { network: String, socket: i32, vnet_hdr: bool },
}

pub fn read(arguments: &[OsString]) -> Result<Request, Error> {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    let (mut network, mut socket, mut vnet_hdr) = (None, None, false);
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        match option {
            "--help" | "-h" => return Ok(Request::Text(HELP.to_owned())),
            "--version" | "-V" => {
                return Ok(Request::Text(format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))));
            }
            "--use-vnet" if value.is_none() => vnet_hdr = true,
            "--br" => network = value.or_else(|| words.next()),
            "--fd" => socket = value.or_else(|| words.next()),
            _ => return Err(usage(format!("unknown option {word:?}"))),
        }
    }
    let network =
        network.filter(|name| !name.is_empty()).ok_or_else(|| usage("--br is missing".to_owned()))?;
    let socket = socket.ok_or_else(|| usage("--fd is missing".to_owned()))?;
    let socket = socket.parse().ok().filter(|number| *number >= 0);
    let socket = socket.ok_or_else(|| usage("--fd is the number of an open file".to_owned()))?;
    Ok(Request::Tap { network, socket, vnet_hdr })
}

fn usage(problem: String) -> Error {
    Error::Usage { problem, program: NAME }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn as_qemu_gives_them() {
        let wanted = |vnet_hdr| Request::Tap { network: "lab".to_owned(), socket: 7, vnet_hdr };
        for line in ["helper --use-vnet --fd=7 --br=lab", "helper --br lab --fd 7 --use-vnet"] {
            assert_eq!(read(&words(line)).unwrap(), wanted(true), "{line}");
        }
        assert_eq!(read(&words("helper --fd=7 --br=lab")).unwrap(), wanted(false));
        assert!(matches!(read(&words("helper --help")).unwrap(), Request::Text(_)));
    }

    #[test]
    fn all_else_is_refused() {
        for line in [
            "helper",
            "",
            "helper --br=lab",
            "helper --fd=7",
            "helper --fd=7 --br=",
            "helper --fd=x --br=lab",
            "helper --fd=-1 --br=lab",
            "helper --fd=99999999999999999999 --br=lab",
            "helper --fd=7 --br=lab more",
            "helper --use-vnet=on --fd=7 --br=lab",
            "helper --config=/tmp/x --fd=7 --br=lab",
        ] {
            assert!(read(&words(line)).is_err(), "{line}");
        }
        assert!(read(&[]).is_err());
    }
}
