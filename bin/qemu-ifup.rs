//! `/etc/qemu-ifup`: see [`kvmnet::hook`].

use std::process::ExitCode;

use kvmnet::hook::{self, Hook};

fn main() -> ExitCode {
    hook::main(Hook::Up)
}
