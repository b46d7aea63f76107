//! The reference lab of the README: a host between two networks of the world, and guests on its taps.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use super::network::{Network, Place};
use super::{Guest, Hook, Machine, Ran, Snapshot, Tap, assert_same, eventually, hooks_dir, within};

/// The host with its hooks, and the machines around it.
pub struct Lab {
    /// `eth3` 192.168.1.230 and fd00:1::230 (the default routes leave there), `eth4` 10.77.0.1 and fd00:77::1,
    /// and 10.99.0.1 and fd00:99::1 on no NIC at all.
    pub host: Machine,
    /// 192.168.1.25 and fd00:1::25 behind `eth3`; 198.51.100.7 and fd00:51::7 stand for the rest of the world.
    pub outside: Machine,
    /// 10.77.0.2 and fd00:77::2 behind `eth4`.
    pub other: Machine,
    pub network: Network,
}

impl Lab {
    /// A lab whose host has the hooks, and the configuration of `network`; no guest is on yet.
    pub fn new(network: Network) -> Self {
        let lab = Self {
            host: Machine::with_private_files(),
            outside: Machine::new(),
            other: Machine::new(),
            network,
        };
        lab.host.enter(install_hooks);
        lab.write_config(&network.config());
        lab.cable(
            "eth3",
            &lab.outside,
            ["192.168.1.230/24", "fd00:1::230/64"],
            ["192.168.1.25/24", "fd00:1::25/64"],
        );
        lab.cable("eth4", &lab.other, ["10.77.0.1/24", "fd00:77::1/64"], ["10.77.0.2/24", "fd00:77::2/64"]);
        add_addresses(&lab.host, "lo", ["10.99.0.1/32", "fd00:99::1/128"]);
        add_addresses(&lab.outside, "lo", ["198.51.100.7/32", "fd00:51::7/128"]);
        // The kernel makes the local route of an address a moment later.
        eventually("the host has its own addresses", || {
            let local = lab.host.ip("-6 route show table local");
            ["fd00:99::1", "fd00:1::230", "fd00:77::1"].iter().all(|address| local.contains(address))
        });
        lab.host.ip("route add default via 192.168.1.25 dev eth3");
        lab.host.ip("-6 route add default via fd00:1::25 dev eth3");
        lab.other.ip("route add default via 10.77.0.1");
        lab.other.ip("-6 route add default via fd00:77::1");
        if lab.host.read_sysctl("bridge/bridge-nf-call-iptables").is_some() {
            lab.bridged_frames_pass_firewall(false);
        }
        lab
    }

    /// Puts `kvmnet` where the hooks find it, so that networks are served.
    pub fn has_kvmnet(&self) {
        self.host.enter(|| fs::copy(hooks_dir().join("kvmnet"), "/etc/kvmnet")).expect("kvmnet is built");
    }

    /// Lays a cable from a NIC of the host to the `eth0` of another machine.
    pub fn cable(&self, nic: &str, far: &Machine, near_addresses: [&str; 2], far_addresses: [&str; 2]) {
        self.host.sysctl("ipv6/conf/default/accept_dad", "0");
        far.sysctl("ipv6/conf/default/accept_dad", "0");
        // The same in every lab, so that two labs can be compared.
        let number = nic.trim_start_matches("eth");
        let (near, out) = (format!("02:00:c0:00:00:0{number}"), format!("02:00:c0:00:01:0{number}"));
        let peer = format!("peer name eth0 address {out} netns {}", far.netns());
        self.host.ip(&format!("link add {nic} address {near} type veth {peer}"));
        add_addresses(&self.host, nic, near_addresses);
        add_addresses(far, "eth0", far_addresses);
        self.host.ip(&format!("link set {nic} up"));
        far.ip("link set eth0 up");
        self.host.sysctl("ipv6/conf/default/accept_dad", "1");
        eventually("the cable carries, and both its ends have their addresses", || {
            has_settled(&self.host, nic) && has_settled(far, "eth0")
        });
    }

    /// Replaces `/etc/kvmnet.conf`.
    pub fn write_config(&self, text: &str) {
        self.host.enter(|| fs::write("/etc/kvmnet.conf", text)).expect("a private /etc can be written");
    }

    /// A guest on its tap; no hook has run yet.
    pub fn boot(&self, number: u8) -> Guest {
        self.boot_at(&self.network.guest(number))
    }

    /// A guest on a tap and with addresses of its own.
    pub fn boot_at(&self, place: &Place) -> Guest {
        self.boot_by(Tap::open, place)
    }

    /// The same with a tap that `open` opens.
    pub fn boot_by(&self, open: fn(&Machine, &str) -> Tap, place: &Place) -> Guest {
        let guest = Guest::boot_by(open, &self.host, &place.tap, &place.mac);
        add_addresses(&guest, "eth0", [&format!("{}/24", place.v4), &format!("{}/64", place.v6)]);
        eventually("the guest has its addresses", || has_settled(&guest, "eth0"));
        guest.ip(&format!("route add default via {}", place.gateway4));
        guest.ip(&format!("-6 route add default via {}", place.gateway6));
        guest
    }

    /// Boots a guest and attaches it, which must succeed.
    #[track_caller]
    pub fn attach(&self, number: u8) -> Guest {
        let guest = self.boot(number);
        self.ifup(&guest).ok();
        guest
    }

    /// Boots and attaches guest `number` of the second network.
    #[track_caller]
    pub fn attach_in_lab(&self, number: u8) -> Guest {
        let guest = self.boot_at(&Place::in_lab(number));
        self.ifup(&guest).ok();
        guest
    }

    /// Runs `qemu-ifup` for a guest's tap.
    pub fn ifup(&self, guest: &Guest) -> Ran {
        self.hook("/etc/qemu-ifup", guest).run()
    }

    /// Runs `qemu-ifdown` for a guest's tap.
    pub fn ifdown(&self, guest: &Guest) -> Ran {
        self.hook("/etc/qemu-ifdown", guest).run()
    }

    /// A hook about to run for a guest's tap, as its QEMU would start it.
    pub fn hook(&self, program: &str, guest: &Guest) -> Hook<'_> {
        Hook::new(&self.host, program, &[guest.tap()]).tap(guest.tap_fd())
    }

    /// Shuts a guest down: its hook runs, which must succeed, and then its tap goes.
    #[track_caller]
    pub fn detach(&self, guest: Guest) {
        self.ifdown(&guest).ok();
        drop(guest);
    }

    /// The outside machine learns the way to the guests' networks: through the host.
    pub fn outside_knows_the_way(&self) {
        for network in ["10.0.100.0/24", "10.0.200.0/24", "10.77.0.0/24"] {
            self.outside.ip(&format!("route replace {network} via 192.168.1.230"));
        }
        for network in ["fd00:100::/64", "fd00:200::/64", "fd00:77::/64"] {
            self.outside.ip(&format!("-6 route replace {network} via fd00:1::230"));
        }
    }

    /// Some other program has made the host a router, machine-wide.
    pub fn host_forwards_for_others(&self) {
        self.host.sysctl("ipv4/ip_forward", "1");
        self.host.sysctl("ipv6/conf/all/forwarding", "1");
    }

    /// Whether the host's IP firewalls see frames between two ports of a bridge (br_netfilter, as Docker has it).
    pub fn bridged_frames_pass_firewall(&self, pass: bool) {
        let value = if pass { "1" } else { "0" };
        for family in ["iptables", "ip6tables", "arptables"] {
            self.host.sysctl(&format!("bridge/bridge-nf-call-{family}"), value);
        }
    }

    /// Waits until the bridge carries and duplicate detection is over: from then on the host's addresses answer.
    #[track_caller]
    pub fn settle(&self) {
        self.settle_bridge("br0");
    }

    /// The same where one address stays out of use, as another machine has it.
    #[track_caller]
    pub fn settle_but_for(&self, address: &str) {
        eventually("the bridge carries, and no other address of the host is tentative", || {
            let tentative = self.host.ip("-6 -o addr show tentative");
            self.host.ip("link show br0").contains("state UP")
                && tentative.lines().all(|line| line.contains(address))
        });
    }

    /// The same for a bridge of another name.
    #[track_caller]
    pub fn settle_bridge(&self, bridge: &str) {
        eventually("the bridge carries, and no address of the host is tentative", || {
            self.host.ip(&format!("link show {bridge}")).contains("state UP")
                && self.host.ip("-6 addr show tentative").is_empty()
        });
    }

    /// Interfaces that were just made look whether another machine has their addresses, and are another sight afterwards. Without
    /// carrier that comes to no end.
    #[track_caller]
    pub fn wait_for_addresses(&self) {
        eventually("no address of an interface with carrier is tentative", || {
            let tentative = self.host.ip("-6 -o addr show tentative");
            let mut names = tentative.lines().filter_map(|line| line.split_whitespace().nth(1));
            names.all(|name| !self.host.ip(&format!("link show dev {name}")).contains("LOWER_UP"))
        });
    }

    /// Fails the test unless the host is, or within seconds comes to be, as it was: links and addresses need a
    /// moment to settle.
    #[track_caller]
    pub fn assert_as_before(&self, what: &str, before: &Snapshot) {
        within(Duration::from_secs(20), || Snapshot::of(&self.host) == *before);
        assert_same(what, before, &Snapshot::of(&self.host));
    }

    /// Another name for a hook: `/etc/qemu-ifup-lab`.
    pub fn link_hook(&self, name: &str, hook: &str) {
        self.host.enter(|| symlink(hook, format!("/etc/{name}"))).expect("a private /etc can be written");
    }
}

/// Puts the hooks under test where QEMU looks for them; the configuration is written by the lab alone.
fn install_hooks() {
    for hook in ["qemu-ifup", "qemu-ifdown"] {
        let (built, installed) = (hooks_dir().join(hook), format!("/etc/{hook}"));
        let _none_before = fs::remove_file(&installed);
        fs::copy(&built, &installed)
            .unwrap_or_else(|error| panic!("the hook {} must be built: {error}", built.display()));
        fs::set_permissions(&installed, fs::Permissions::from_mode(0o755)).expect("a hook can be run");
    }
}

/// Gives an interface an IPv4 and an IPv6 address.
fn add_addresses(machine: &Machine, interface: &str, [v4, v6]: [&str; 2]) {
    machine.ip(&format!("addr add {v4} dev {interface}"));
    machine.ip(&format!("-6 addr add {v6} dev {interface} nodad"));
}

/// Whether an interface has its link-local and its global IPv6 address, and the machine answers for both.
fn has_settled(machine: &Machine, interface: &str) -> bool {
    let local = machine.ip(&format!("-6 route show table local type local dev {interface}"));
    let tentative = machine.ip(&format!("-6 addr show dev {interface} tentative"));
    local.lines().count() == 2 && tentative.is_empty()
}
