//! `kvmnet run`: a tap on its network, and QEMU in the place of this process, as a user without any rights over networks.
//!
//! ```text
//! tap ──► network ──► arguments with its files ──► user ──► execve
//! ```
//!
//! In: what to run, as whom, on which network. Out: nothing, as another program is in this process, or why there is not.
//! Never: leaves a process beside it, or the network changed where the program cannot be run.

mod command;
mod user;

use std::ffi::{CString, OsString};
use std::fs::{File, OpenOptions, read_to_string};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::execvpe;

use crate::account::Account;
use crate::config::{self, Environment};
use crate::desired::Desired;
use crate::error::Error;
use crate::inherited::Inherited;
use crate::log::{self, Level};
use crate::model::{IfName, Mac, Network, Own, fnv1a};
use crate::plan::Refusal;
use crate::run::{self, Teller};
pub use crate::tun::MOST_QUEUES;
use crate::tun::{Shape, Tap};
use crate::vmm;

use command::Net;

/// What to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The network, else the one that the environment or the tap's name says.
    pub network: Option<String>,
    /// Whom to run it as, else who called sudo.
    pub user: Option<String>,
    /// How many queues the tap gets.
    pub queues: u16,
    /// The tap's name; `%d` in it is the first number that is free.
    pub tap: IfName,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Runs it. Returns only where that fails; the network is as before then. `inherited` is how the caller has signals handled,
/// and so will the program.
pub fn launch(launch: &Launch, inherited: &Inherited) -> Error {
    match prepare(launch) {
        Ok(ready) => ready.become_it(inherited),
        Err(error) => error,
    }
}

/// All that is left is to become the program.
struct Ready {
    /// What it gets, in the order in which it is told of them.
    files: Vec<File>,
    arguments: Vec<OsString>,
    account: Option<Account>,
}

fn prepare(launch: &Launch) -> Result<Ready, Error> {
    run::require_rights()?;
    let account = user::of(launch.user.as_deref())?;
    let source = |source| Error::NewTap { tap: launch.tap, source };
    let tap = Tap::new(&launch.tap, Shape { queues: launch.queues, vnet_hdr: true }).map_err(source)?;
    let network = config::load_named(&Environment::of_process(), launch.network.as_deref(), &tap.name)?;
    let vhosts = vhosts(tap.queues.len());
    let arguments = attach(launch, &tap, &vhosts, network)?;
    let files = tap.queues.into_iter().chain(vhosts).collect();
    Ok(Ready { files, arguments, account })
}

/// Attaches the tap; the command line with its files and a MAC that no other guest has.
fn attach(launch: &Launch, tap: &Tap, vhosts: &[File], network: Network) -> Result<Vec<OsString>, Error> {
    let numbers = |files: &[File]| files.iter().map(File::as_raw_fd).collect::<Vec<RawFd>>();
    let (taps, vhosts) = (numbers(&tap.queues), numbers(vhosts));
    let mut macs = macs(launch, tap, &network).into_iter();
    let mut mac = macs.next().unwrap_or(vmm::DEFAULT_MAC);
    loop {
        let arguments =
            Net { taps: taps.clone(), vhosts: vhosts.clone(), mac }.in_command(&launch.command)?;
        let files = taps.iter().map(|file| (file.unsigned_abs(), tap.name)).collect();
        let desired = Desired {
            teller: Teller::Command(words(&arguments), files),
            ..Desired::new(tap.name, network.clone())
        };
        match (run::attach_held(&desired), macs.next()) {
            (Err(Error::Refused(Refusal::OfAnotherGuest { own: Own::Mac(other), .. })), Some(next))
                if other == mac =>
            {
                mac = next;
            }
            (done, _) => {
                let done = done?;
                log::write("kvmnet", Level::Info, &done.summary);
                done.notes.iter().for_each(|note| remark(note));
                done.left.iter().for_each(|error| log::write("kvmnet", Level::Error, &error.to_string()));
                return Ok(arguments);
            }
        }
    }
}

/// A line for whoever started it.
fn remark(note: &str) {
    let _ = writeln!(io::stderr(), "kvmnet: {note}");
}

fn words(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// The kernel's own half of virtio-net, once for each queue (`Documentation/virt/kvm/vhost`); none where it is missing or
/// closed: QEMU does without.
fn vhosts(count: usize) -> Vec<File> {
    let open = |_| OpenOptions::new().read(true).write(true).open("/dev/vhost-net");
    (0..count).map(open).collect::<io::Result<_>>().unwrap_or_default()
}

/// The MAC of the NIC: the one that the configuration has for it; else one that this machine always makes of the VM's name;
/// where that has none, or another guest has its MAC, one that is made with the tap's.
fn macs(launch: &Launch, tap: &Tap, network: &Network) -> Vec<Mac> {
    if let Some(mac) = network.guest_macs.first() {
        return vec![*mac];
    }
    let machine = read_to_string("/etc/machine-id").unwrap_or_default();
    let name = vmm::name(&words(&launch.command));
    let with_tap = format!("{} {}", name.clone().unwrap_or_default(), tap.name);
    name.into_iter().chain([with_tap]).map(|name| derived(&[machine.trim(), &network.name, &name])).collect()
}

/// Locally administered, and none of QEMU's own.
fn derived(names: &[&str]) -> Mac {
    let [_, _, _, b, c, d, e, f] = fnv1a(names.join("\0").as_bytes()).to_be_bytes();
    Mac([0x56, b, c, d, e, f])
}

impl Ready {
    fn become_it(self, inherited: &Inherited) -> Error {
        let error = match user::change_to(self.account.as_ref()) {
            Ok(()) => {
                inherited.restore();
                self.execute()
            }
            Err(source) => Error::System { doing: "give up the rights of root".to_owned(), source },
        };
        // The tap goes with its files, and the network as after the end of any guest. The error that counts is the one above.
        drop(self.files);
        let _ = run::sweep(&mut |_| {});
        error
    }

    /// Returns only where it fails.
    fn execute(&self) -> Error {
        let program = self.arguments.first().map(|program| program.to_string_lossy().into_owned());
        let errno = match self.try_execute() {
            Err(errno) => errno,
            Ok(never) => match never {},
        };
        Error::CannotRun { program: program.unwrap_or_default(), errno }
    }

    fn try_execute(&self) -> nix::Result<std::convert::Infallible> {
        let arguments = texts(self.arguments.iter().cloned())?;
        let environment = texts(user::environment(self.account.as_ref()))?;
        for file in &self.files {
            fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let program = arguments.first().ok_or(Errno::ENOENT)?;
        execvpe(program, &arguments, &environment)
    }
}

fn texts(words: impl Iterator<Item = OsString>) -> nix::Result<Vec<CString>> {
    words.map(|word| CString::new(word.into_vec()).map_err(|_| Errno::EINVAL)).collect()
}
