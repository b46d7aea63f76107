//! What killed guests left behind goes at once where no udev starts `kvmnet gc`: their ports are watched here anyway.
//!
//! A process of its own starts it, from before the server gives up its rights: a sweep changes networks, and may have to start the
//! server of another. Nor may this one ever close the lock's file, which would end its claim on the network.

use std::env;
use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::libc;
use nix::unistd::{ForkResult, fork};

/// What it is called in a list of processes.
const NAME: &CStr = c"kvmnet-sweep";

/// Has `kvmnet gc` run, one at a time.
pub struct Sweep(Option<UnixStream>);

impl Sweep {
    /// Begins the process that does it. It ends when this value goes, however it goes.
    pub fn begin() -> io::Result<Self> {
        if is_unit() {
            return Ok(Self(None));
        }
        let (told, tell) = UnixStream::pair()?;
        // Nobody waits for one that sweeps.
        tell.set_nonblocking(true)?;
        // SAFETY: the process has one thread.
        match unsafe { fork() }? {
            ForkResult::Parent { .. } => Ok(Self(Some(tell))),
            ForkResult::Child => {
                drop(tell);
                sweep_when_told(told);
                // SAFETY: nothing of the parent's is to be put right here.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Has it run where a guest `has_left`. One that left by its hook has left nothing, and nothing is changed then.
    pub fn look(&mut self, has_left: bool) {
        if let (Some(tell), true) = (&mut self.0, has_left) {
            // One that is full says the same.
            let _ = tell.write(&[0]);
        }
    }
}

/// Whether systemd has started this process (systemd.exec(5)): udev does it there.
fn is_unit() -> bool {
    env::var_os("INVOCATION_ID").is_some()
}

/// In the child: until the other end is closed. What came while it swept is one more sweep.
fn sweep_when_told(mut told: UnixStream) {
    // SAFETY: the option takes a pointer to a text that stays.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) };
    let mut bytes = [0; 64];
    while told.read(&mut bytes).is_ok_and(|count| count > 0) {
        let _ = sweep();
    }
}

fn sweep() -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("kvmnet").arg("gc").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop)
}
