//! kvmnet is installed beside a neighbour, serves guests of all modes and is taken away again: the neighbour's files and rules are byte
//! for byte what they were, or what its own reload or end makes of them.

use crate::docker::Docker;
use crate::docker_nft::DockerNft;
use crate::firewalld::Firewalld;
use crate::iptables::{Legacy, Restored};
use crate::lab::{Guest, Lab, Network, Snapshot};
use crate::libvirt::Libvirt;
use crate::matrix::COLUMNS;
use crate::neighbour::Neighbour;
use crate::nftables::{Debian, Workstation};
use crate::traces::{Traces, install, make_bare, uninstall, uninstall_with_guests_on};
use crate::ufw::Ufw;

fn bare() -> Lab {
    let lab = Lab::new(Network::NAT);
    make_bare(&lab);
    lab
}

/// What a neighbour makes of a host that never had kvmnet: at first, reloaded, removed.
fn alone<N: Neighbour>() -> [Traces; 3] {
    let lab = bare();
    let mut neighbour = N::start(&lab);
    let at_first = Traces::of(&lab.host);
    neighbour.reload(&lab);
    let reloaded = Traces::of(&lab.host);
    neighbour.remove(&lab);
    [at_first, reloaded, Traces::of(&lab.host)]
}

/// Where its chain is only named, a first guest's hook has something to say.
#[track_caller]
fn come(lab: &mut Lab, network: Network) -> [Guest; 2] {
    lab.network = network;
    lab.write_config(&network.config());
    let guests = [1, 2].map(|number| lab.boot(number));
    for guest in &guests {
        let ran = lab.ifup(guest);
        assert_eq!(ran.status, 0, "{network:?}: {}", ran.stderr);
    }
    lab.settle();
    guests
}

#[track_caller]
fn go(lab: &Lab, guests: [Guest; 2]) {
    guests.into_iter().for_each(|guest| lab.detach(guest));
}

/// What the drop-ins of the services run. Where others' rules are only named, it says so.
#[track_caller]
fn applied(lab: &Lab) {
    lab.host.run("env -i /usr/local/bin/kvmnet apply --yes --quiet");
}

fn leaves_no_trace<N: Neighbour>() {
    let [at_first, reloaded, removed] = alone::<N>();
    let mut lab = bare();
    let mut neighbour = N::start(&lab);
    let (before, network) = (Traces::of(&lab.host), Snapshot::of(&lab.host));

    install(&lab);
    for (mode, networks) in COLUMNS {
        let guests = come(&mut lab, networks[0]);
        neighbour.has_heard(&lab, true, mode);
        go(&lab, guests);
        neighbour.has_heard(&lab, false, mode);
    }
    let guests = come(&mut lab, Network::NAT);
    neighbour.has_heard(&lab, true, "guests that stay");
    uninstall_with_guests_on(&lab);
    drop(guests);
    Traces::of(&lab.host).assert_untouched_since(&before, "guests came and went");
    lab.assert_as_before("guests came and went", &network);

    install(&lab);
    let guests = come(&mut lab, Network::NAT);
    neighbour.reload(&lab);
    applied(&lab);
    neighbour.has_heard(&lab, true, "reloaded");
    go(&lab, guests);
    neighbour.has_heard(&lab, false, "reloaded");
    uninstall(&lab);
    Traces::of(&lab.host).assert_changed_by([&at_first, &reloaded], &before, "it was reloaded meanwhile");

    install(&lab);
    let guests = come(&mut lab, Network::NAT);
    neighbour.has_heard(&lab, true, "it will go");
    neighbour.remove(&lab);
    applied(&lab);
    go(&lab, guests);
    uninstall(&lab);
    Traces::of(&lab.host).assert_changed_by([&at_first, &removed], &before, "it was removed meanwhile");
}

/// As it is before kvmnet is installed.
struct FirewalldAlone(Firewalld);

impl Neighbour for FirewalldAlone {
    fn start(lab: &Lab) -> Self {
        let firewalld = Firewalld::of(lab, false);
        lab.host.run("rm /etc/kvmnet");
        Self(firewalld)
    }

    fn reload(&mut self, lab: &Lab) {
        self.0.reload(lab);
    }

    fn remove(self, lab: &Lab) {
        self.0.remove(lab);
    }

    fn has_heard(&self, lab: &Lab, of_guests: bool, what: &str) {
        self.0.has_heard(lab, of_guests, what);
    }

    fn assert_goes_on(&self, _: &Lab, _: &Guest, _: &str) {}
}

macro_rules! each {
    ($($name:ident: $neighbour:ty),* $(,)?) => {
        $(#[test]
        fn $name() {
            leaves_no_trace::<$neighbour>();
        })*
    };
}

each! {
    docker: Docker,
    dockers_nftables_rules: DockerNft,
    ufw: Ufw,
    firewalld: FirewalldAlone,
    libvirt: Libvirt,
    nftables_of_debian: Debian,
    nftables_that_drop: Workstation,
    iptables_restore: Restored,
    iptables_legacy: Legacy,
}
