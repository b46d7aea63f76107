//! What killed guests left behind goes at once where no udev starts `kvmnet gc`: their ports are watched here anyway.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::{env, mem};

/// Runs `kvmnet gc`, one at a time.
#[derive(Default)]
pub struct Sweep {
    running: Option<Child>,
    /// A guest has left since the last one began.
    is_due: bool,
}

impl Sweep {
    /// Has it run where a guest `has_left`. One that left by its hook has left nothing, and nothing is changed then.
    pub fn look(&mut self, has_left: bool) {
        self.is_due |= has_left && !is_unit();
        if self.running.as_mut().is_some_and(|running| matches!(running.try_wait(), Ok(None))) {
            return;
        }
        self.running = None;
        if mem::take(&mut self.is_due) {
            self.running = start().ok();
        }
    }
}

/// Whether systemd has started this process (systemd.exec(5)): udev does it there.
fn is_unit() -> bool {
    env::var_os("INVOCATION_ID").is_some()
}

/// It is a process of its own: closing the lock file in this one would end the claim on the network.
fn start() -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("kvmnet").arg("gc").env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
