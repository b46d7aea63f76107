//! What the two hooks share: arguments, messages, exit status.

use std::ffi::OsString;

use crate::error::Error;
use crate::inherited;
use crate::log::{self, Level};
use crate::model::IfName;
use crate::run::{self, Done};
use crate::terminal::{lines, printable};

/// Which hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `qemu-ifup`
    Up,
    /// `qemu-ifdown`
    Down,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Hook::Up => "qemu-ifup",
            Hook::Down => "qemu-ifdown",
        }
    }

    fn help(self) -> String {
        let name = self.name();
        let what = match self {
            Hook::Up => "Attaches TAP to its network, which is made if it is not there.",
            Hook::Down => "Takes TAP off its network, which goes with its last guest.",
        };
        format!(
            "Usage: {name} TAP\n\n{what}\n\
             QEMU runs it, as in:\n  \
               qemu-system-x86_64 … -nic tap,ifname=vif0.0,\\\n    \
               script=/etc/qemu-ifup,downscript=/etc/qemu-ifdown\n\n\
             The network is set in /etc/kvmnet.conf, and for one VM by KVMNET_ variables\n\
             (KVMNET_MODE=isolated). A link {name}-NAME serves the network NAME.\n\n\
             Some switches and most clouds allow one MAC on a port; there use\n\
             mode = \"routed\" or \"nat\", not \"bridged\".\n\n\
             Exit status: 0 done; 1 failed, nothing changed;\n             \
             2 wrong usage or configuration, nothing touched.\n"
        )
    }
}

enum Request {
    Text(String),
    Tap(IfName),
}

/// The whole of a hook; gives its exit status.
pub fn main(hook: Hook, arguments: &[OsString]) -> u8 {
    inherited::put_right();
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let result = read(hook, &arguments).and_then(|request| match request {
        Request::Text(text) => Ok(Some(text)),
        Request::Tap(tap) => serve(hook, &program, &tap).map(|done| {
            log::write(hook.name(), Level::Info, &done.summary);
            done.notes.iter().for_each(|note| remark(hook, note));
            // The guest is well; what another one left is for whoever reads the log.
            done.left.iter().for_each(|error| log::write(hook.name(), Level::Error, &error.to_string()));
            None
        }),
    });
    match result {
        Ok(text) => {
            text.iter().for_each(|text| print(text, false));
            0
        }
        Err(error) => fail(hook, &error),
    }
}

fn serve(hook: Hook, program: &str, tap: &IfName) -> Result<Done, Error> {
    match hook {
        Hook::Up => {
            let name = program.rsplit('/').next().unwrap_or_default();
            run::up(tap, name.strip_prefix("qemu-ifup-"), &mut |_| {})
        }
        Hook::Down => run::down(tap),
    }
}

fn read(hook: Hook, arguments: &[String]) -> Result<Request, Error> {
    let usage = |problem: String| Err(Error::Usage { problem, program: hook.name() });
    match arguments {
        [argument] if argument == "--help" || argument == "-h" => Ok(Request::Text(hook.help())),
        [argument] if argument == "--version" || argument == "-V" => {
            Ok(Request::Text(format!("{} {}\n", hook.name(), env!("CARGO_PKG_VERSION"))))
        }
        [argument] if argument.starts_with('-') => usage(format!("unknown option {argument:?}")),
        [name] => IfName::new(name).map(Request::Tap).or_else(|error| usage(error.to_string())),
        [] => usage("the name of a tap is missing".to_owned()),
        [_, ..] => usage(format!("one argument expected, {} given", arguments.len())),
    }
}

/// One line on stderr, which QEMU shows to the person, and the same in the log; a second one with a way out.
fn fail(hook: Hook, error: &Error) -> u8 {
    let mut text = lines(&format!("{}: {error}\n", hook.name()));
    if let Some(hint) = error.hint() {
        text.push_str(&format!("hint: {}\n", printable(&hint)));
    }
    print(&text, true);
    log::write(hook.name(), Level::Error, &error.to_string());
    error.exit_status()
}

/// What the guest will miss, for whoever starts it.
fn remark(hook: Hook, note: &str) {
    print(&format!("{}: {}\n", hook.name(), printable(note)), true);
    log::write(hook.name(), Level::Error, note);
}

/// Writes to stdout or stderr; a reader that is gone is not an error of the hook's.
pub(crate) fn print(text: &str, to_stderr: bool) {
    use std::io::Write;
    let _ = if to_stderr {
        std::io::stderr().write_all(text.as_bytes())
    } else {
        let mut stdout = std::io::stdout();
        // Nobody else flushes: `main` is C's.
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
}
