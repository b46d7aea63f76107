//! The programs built for musl do what those built for glibc do. `tests/run` builds them where the target is installed, and
//! says so where it is not; without them this is ignored, and counts as nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::env;
use std::path::PathBuf;

use lab::{Cli, Hook, Lab, Network, Snapshot, use_hooks};

#[test]
#[ignore = "KVMNET_TEST_MUSL must name the directory with programs built for musl"]
fn programs_built_for_musl() {
    use_hooks(PathBuf::from(env::var_os("KVMNET_TEST_MUSL").expect("the programs are built")));
    let lab = Lab::new(Network::NAT);
    let before = Snapshot::of(&lab.host);
    // Arguments and environment come to a program in another way with each C library.
    assert!(Hook::new(&lab.host, "/etc/qemu-ifup", &[]).run().complains(2).contains("missing"));
    let one = lab.boot(1);
    let ran = lab.hook("/etc/qemu-ifup", &one).env("KVMNET_MODE", "nta").run();
    assert!(ran.says(2).contains("KVMNET_MODE"));
    lab.ifup(&one).ok();
    lab.settle();
    assert_eq!(one.pings_each(&["10.0.100.3", "192.168.1.25", "fd00:1::25"].map(str::to_owned)), [true; 3]);
    let status = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(status.contains("vif0.0"), "{status}");
    lab.detach(one);
    lab.assert_as_before("the guest came and went", &before);
}
