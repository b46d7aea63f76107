//! Rights: what the kernel asks for is CAP_NET_ADMIN, and not who one is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, NAME, UP};
use lab::{Bench, Hook, Machine, Network, Ran, Snapshot, Tap};

/// Runs a hook for the tap by way of setpriv(1).
fn with(host: &Machine, options: &[&str], program: &str, tap: &Tap) -> Ran {
    let words: Vec<&str> = options.iter().copied().chain([program, NAME]).collect();
    Hook::new(host, "setpriv", &words).tap(tap).run()
}

/// Root of a container that was not given the capability.
#[test]
fn root_without_the_capability() {
    let bench = Bench::new(Network::NAT);
    let host = &bench.lab.host;
    let without = ["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"];
    let before = Snapshot::of(host);
    let ran = with(host, &without, UP, &bench.tap);
    let line = ran.complains(1);
    assert!(line.contains("CAP_NET_ADMIN") && ran.stderr.contains("--cap-add"), "{}", ran.stderr);
    bench.lab.assert_as_before("a refused hook", &before);
    bench.hook(UP).ok();
    bench.assert_on("with it");
    with(host, &without, DOWN, &bench.tap).ok();
    bench.assert_on("nothing is touched, and QEMU ends well");
    bench.hook(DOWN).ok();
    bench.assert_off("with it");
}

/// A user who was given it, and let in to the lock by its group.
#[test]
fn a_user_with_the_capability() {
    let bench = Bench::new(Network::NAT);
    let host = &bench.lab.host;
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let given = ["--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"];
    let options = [&user[..], &given[..]].concat();
    let ran = with(host, &options, UP, &bench.tap);
    let line = ran.complains(1);
    assert!(line.contains("/run/kvmnet.lock") && ran.stderr.contains("install -m 660"), "{}", ran.stderr);
    host.run("install -m 660 -g 65534 /dev/null /run/kvmnet.lock");
    with(host, &options, UP, &bench.tap).ok();
    bench.assert_on("by the user");
    with(host, &user, DOWN, &bench.tap).ok();
    bench.assert_on("not without it, which is no error");
    let line = with(host, &user, UP, &bench.tap);
    assert!(line.complains(1).contains("only root"), "{}", line.stderr);
    with(host, &options, DOWN, &bench.tap).ok();
    bench.assert_off("by the user");
}
