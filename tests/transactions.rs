//! What was finished stays finished, and a network that cannot be cleaned up now is in nobody's way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, UP, settled};
use lab::{Call, Cli, Fault, Lab, Network, Place, Snapshot, Tap, Traced, eventually};

/// The tap of the second network's guest.
const NEXT: &str = "lab0.0";

/// A lab whose first guest was killed, so that the next hook sweeps its network; and the tap of a guest of the second.
struct Killed {
    lab: Lab,
    tap: Tap,
    before: Snapshot,
}

impl Killed {
    fn new(network: Network, second: Network) -> Self {
        let lab = Lab::new(network);
        lab.write_config(&format!("{}{}", network.config(), second.lab_table()));
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        let tap = Tap::open(&lab.host, NEXT);
        let before = settled(&lab);
        lab.attach(1).kill();
        Self { lab, tap, before }
    }

    fn hook(&self, program: &str, at: Option<(&Call, Fault)>) -> Traced {
        Traced::run(&self.lab.host, program, (NEXT, &self.tap), at)
    }

    /// The calls of a hook by which it changes something, as seen in a lab of the same kind.
    fn changes(network: Network, second: Network, program: &str) -> Vec<Call> {
        let killed = Self::new(network, second);
        let calls = killed.hook(program, None).calls();
        calls.into_iter().filter(|call| call.changes).collect()
    }
}

/// The host is on its LAN.
#[track_caller]
fn host_is_home(lab: &Lab) {
    eventually("the host reaches the outside by both families", || {
        lab.host.pings("192.168.1.25") && lab.host.pings("fd00:1::25") && lab.host.pings("198.51.100.7")
    });
}

/// A bridged guest was killed, and the ifup of another network's guest fails at any of its changes: what it swept before is
/// not taken back, so the host has its addresses and routes.
#[test]
fn a_failed_ifup_leaves_the_host_its_addresses() {
    let (network, second) = (Network::BRIDGED, Network::NAT);
    let mut failed = 0;
    for call in Killed::changes(network, second, UP) {
        let killed = Killed::new(network, second);
        let ran = killed.hook(UP, Some((&call, Fault::Error("EPERM")))).ran;
        failed += usize::from(ran.status != 0);
        host_is_home(&killed.lab);
        killed.hook(UP, None).ran.ok();
        killed.hook(DOWN, None).ran.ok();
        killed.lab.assert_as_before(&format!("EPERM at {call}, and again without"), &killed.before);
    }
    assert!(failed >= 3, "the guest's own steps fail, too: {failed}");
}

/// A network that cannot be taken down: the others' guests come and go, it is named, and it goes once it can.
#[test]
fn a_network_that_cannot_be_undone_stops_nobody() {
    for network in [Network::NAT, Network::BRIDGED, Network::ISOLATED, Network::HOST_ONLY_VETH] {
        let sweep = Killed::changes(network, Network::ISOLATED, UP).remove(0);
        let killed = Killed::new(network, Network::ISOLATED);
        killed.hook(UP, Some((&sweep, Fault::Error("EPERM")))).ran.ok();
        let links = killed.lab.host.ip("link show");
        assert!(links.contains("br0:"), "{}: it is left standing: {links}", network.mode);
        let port = killed.lab.host.ip(&format!("link show {NEXT}"));
        assert!(port.contains("master br-lab"), "{}: the guest is on: {port}", network.mode);
        killed.hook(DOWN, None).ran.ok();
        killed.lab.assert_as_before("it goes with the next hook", &killed.before);
    }
}

/// A lab whose guests were killed on two networks, and the run of `kvmnet gc` there.
fn gc(at: Option<(&Call, Fault)>) -> (Lab, Snapshot, Traced) {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{}", Network::NAT.config(), Network::NAT.lab_table()));
    let before = settled(&lab);
    let (one, other) = (lab.attach(1), lab.boot_at(&Place::in_lab(1)));
    lab.ifup(&other).ok();
    one.kill();
    other.kill();
    let kvmnet = lab::hooks_dir().join("kvmnet").display().to_string();
    let traced = Traced::run(&lab.host, &kvmnet, ("gc", &Tap::open(&lab.host, "any")), at);
    (lab, before, traced)
}

/// `kvmnet gc` sweeps what it can, names what it cannot, and says so by its status.
#[test]
fn gc_names_what_it_leaves() {
    let calls = gc(None).2.calls();
    let first = calls.iter().find(|call| call.changes).unwrap();
    let (lab, before, traced) = gc(Some((first, Fault::Error("EPERM"))));
    assert_eq!(traced.ran.status, 1, "{:?}", traced.ran);
    assert!(traced.ran.stderr.contains("is left standing"), "{:?}", traced.ran);
    let left = lab.host.ip("-br link show type bridge");
    assert_eq!(left.lines().count(), 1, "the other one went: {left}");
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("both are gone", &before);
}

/// The NIC that a killed guest's network has is wanted by another one: it is given back first, and taken with all it has.
#[test]
fn a_nic_goes_from_an_unused_network_to_the_next() {
    let killed = Killed::new(Network::BRIDGED, Network::BRIDGED);
    killed.hook(UP, None).ran.ok();
    killed.lab.settle_bridge("br-lab");
    let address = killed.lab.host.ip("-o -4 addr show dev br-lab");
    assert!(address.contains("192.168.1.230/24"), "{address}");
    host_is_home(&killed.lab);
    killed.hook(DOWN, None).ran.ok();
    killed.lab.assert_as_before("the guest has left", &killed.before);
}

/// The same for a network that goes out by that NIC.
#[test]
fn a_network_goes_out_by_the_nic_of_an_unused_one() {
    for second in [Network::NAT, Network { uplink: "", ..Network::NAT }, Network::ROUTED] {
        let lab = Lab::new(Network::BRIDGED);
        lab.write_config(&format!("{}{}", Network::BRIDGED.config(), second.lab_table()));
        let before = settled(&lab);
        lab.attach(1).kill();
        lab.outside_knows_the_way();
        let guest = lab.attach_in_lab(1);
        eventually("the guest reaches the outside", || guest.pings("192.168.1.25"));
        lab.detach(guest);
        lab.assert_as_before(second.mode, &before);
    }
}
