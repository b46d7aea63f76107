//! What a hook is started with: its name, variables, standard files, signals.

use std::fs;

use crate::kit::{self, Empty, Journal, exists, is_port, script, two_networks};
use crate::lab::{Lab, Network, Snapshot};

/// A hook reached as `qemu-ifup-lab` serves the network `lab`, whatever the tap's name.
#[test]
fn a_network_by_the_name_of_the_hook() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    lab.link_hook("qemu-ifup-lab", "qemu-ifup");
    lab.link_hook("qemu-ifdown-lab", "qemu-ifdown");
    let before = Snapshot::of(&lab.host);
    let scripts = "script=/etc/qemu-ifup-lab,downscript=/etc/qemu-ifdown-lab";
    let one = Empty::run(&lab, &format!("-netdev tap,id=n0,ifname=vif0.0,{scripts}"));
    lab.settle_bridge("br-lab");
    assert!(is_port(&lab, "vif0.0", "br-lab") && !exists(&lab, "br0"));
    one.stop();
    lab.assert_as_before("the guest is gone", &before);
}

/// What a person puts before `qemu-system-x86_64` reaches the hooks: a network by its name, single keys, another file.
/// The down script has the same variables, and needs none of them.
#[test]
fn variables_before_the_command() {
    let lab = two_networks(Network::NAT, Network::HOST_ONLY);
    lab.host
        .enter(|| fs::write("/run/other.conf", Network::ISOLATED.config().replace("br0", "br-file")))
        .unwrap();
    let before = Snapshot::of(&lab.host);
    for (variables, bridge) in [
        ("KVMNET_NETWORK=lab", "br-lab"),
        ("KVMNET_MODE=host-only KVMNET_BRIDGE=br-env KVMNET_ADDRESS=10.0.150.3/24", "br-env"),
        ("KVMNET_MODE=bridged KVMNET_UPLINK=eth3", "br0"),
        ("KVMNET_CONFIG=/run/other.conf", "br-file"),
    ] {
        let env = format!("env {variables}");
        let one = Empty::start(&lab, &env, "-netdev tap,id=n0,ifname=vif0.0").running(&lab);
        lab.settle_bridge(bridge);
        assert!(is_port(&lab, "vif0.0", bridge), "{variables}");
        if variables.contains("KVMNET_CONFIG") {
            lab.host.enter(|| fs::remove_file("/run/other.conf")).unwrap();
        }
        one.stop();
        lab.assert_as_before(variables, &before);
    }
}

/// A wrong variable is a wrong configuration: QEMU does not start, and nothing is touched.
#[test]
fn a_wrong_variable() {
    let lab = kit::lab(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let (status, said) =
        Empty::start(&lab, "env KVMNET_MODE=brigded", "-netdev tap,id=n0,ifname=vif0.0").ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("KVMNET_MODE") && said.contains("status 512"), "{said}");
    lab.assert_as_before("nothing started", &before);
}

/// Makes QEMU's hooks scripts that end by running the real ones, with `redirections` and through `wrapper`.
fn wrap_hooks(lab: &Lab, prepare: &str, wrapper: &str, redirections: &str) -> String {
    for hook in ["ifup", "ifdown"] {
        let text = format!("{prepare}\nexec {wrapper} /etc/qemu-{hook} \"$@\" {redirections}");
        script(lab, &format!("/etc/wrapped-{hook}"), &text);
    }
    "-netdev tap,id=n0,ifname=vif0.0,script=/etc/wrapped-ifup,downscript=/etc/wrapped-ifdown".to_owned()
}

/// Hooks without standard files work, and what they have to say goes to no file that they open, the lock least of all.
#[test]
fn closed_standard_files() {
    for network in [Network::NAT, Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT }] {
        let lab = kit::lab(network);
        let mut journal = Journal::of(&lab);
        let before = Snapshot::of(&lab.host);
        let qemu = Empty::start(&lab, "", &wrap_hooks(&lab, "", "", "<&- >&- 2>&-"));
        if network == Network::NAT {
            let one = qemu.running(&lab);
            assert!(is_port(&lab, "vif0.0", "br0"));
            one.stop();
            assert_eq!(journal.runs("qemu-ifdown", "vif0.0"), 1);
        } else {
            let (status, said) = qemu.ends();
            assert!(status.code() == Some(1) && said.contains("status 256"), "{said}");
            assert!(journal.lines().iter().any(|line| line.contains("eth9")), "the log has it");
        }
        let lock = lab.host.enter(|| fs::read_to_string("/run/kvmnet.lock")).unwrap();
        assert_eq!(lock, "", "nothing was written into the lock");
        lab.assert_as_before("hooks without standard files", &before);
    }
}

/// A hook whose reader is gone fails as it would have otherwise, and is not killed by SIGPIPE, whatever QEMU left of it.
#[test]
fn a_reader_that_is_gone() {
    let lab = kit::lab(Network { uplink: "uplink  = \"eth9\"\n", ..Network::NAT });
    let before = Snapshot::of(&lab.host);
    // A pipe that is open for writing, and nobody reads.
    let broken = "rm -f /run/pipe; mkfifo /run/pipe; exec 3<>/run/pipe 4>/run/pipe 3<&-";
    for signal in ["default", "ignore"] {
        let arguments = wrap_hooks(&lab, broken, &format!("env --{signal}-signal=PIPE"), "2>&4 4>&-");
        let (status, said) = Empty::start(&lab, "", &arguments).ends();
        assert!(status.code() == Some(1) && said.contains("status 256"), "{signal}: {said}");
        lab.assert_as_before("a hook that nobody heard", &before);
    }
}
