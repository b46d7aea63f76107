//! The rule by which udev sweeps after a guest that was killed, with a real udev that hears of this host's interfaces
//! alone: the kernel tells of an interface only those who listen in its network namespace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lab::{Lab, Machine, Network, Process, Snapshot, Tap, eventually, hooks_dir};
use nix::sys::signal::Signal;

/// What install.sh installs, but for the path of the program.
const RULE: &str = include_str!("../share/60-kvmnet.rules");

/// Starts udev on a host, with kvmnet's rule and no other.
fn udev(host: &Machine, program: &str) -> Process {
    for folder in ["/etc/udev/rules.d", "/usr/lib/udev/rules.d"] {
        host.enter(|| fs::create_dir_all(folder)).unwrap();
        host.run(&format!("mount -t tmpfs rules {folder}"));
    }
    let rule = RULE.replace("@kvmnet@", program);
    host.enter(|| fs::write("/etc/udev/rules.d/60-kvmnet.rules", rule)).unwrap();
    let udev = host.start("/usr/lib/systemd/systemd-udevd", &["--resolve-names=never"]);
    eventually("udev listens", || {
        assert!(!udev.has_ended(), "udev must go on: {}", udev.printed());
        host.try_run("udevadm control --ping").status.success()
    });
    udev
}

/// A QEMU that never runs a guest: it makes its tap, runs its hook, and holds the tap.
fn guest(lab: &Lab, tap: &str) -> Process {
    let netdev = format!("tap,id=n0,ifname={tap}");
    let options = ["-machine", "none", "-display", "none", "-nodefaults", "-S", "-netdev", &netdev];
    let qemu = lab.host.start("qemu-system-x86_64", &options);
    let link = format!("ip link show {tap}");
    eventually("the guest's tap is on its bridge", || {
        assert!(!qemu.has_ended(), "QEMU must go on: {}", qemu.printed());
        String::from_utf8_lossy(&lab.host.try_run(&link).stdout).contains(" master br0 ")
    });
    qemu
}

fn kill(mut qemu: Process) {
    qemu.signal(Signal::SIGKILL);
    qemu.wait();
}

#[test]
fn a_tap_that_vanishes_starts_the_sweep() {
    let lab = Lab::new(Network::NAT);
    let script = "#!/bin/sh\necho \"$INTERFACE: $*\" >>/run/lab/seen\n";
    let program = "/run/lab/a stand-in";
    lab.host.enter(|| {
        fs::write(program, script).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    });
    let _udev = udev(&lab.host, program);
    let seen = || lab.host.enter(|| fs::read_to_string("/run/lab/seen")).unwrap_or_default();

    let qemu = guest(&lab, "vif0.0");
    lab.host.ip("link add br-gone type bridge");
    lab.host.ip("link del br-gone");
    lab.host.run("udevadm settle");
    assert_eq!(seen(), "", "a bridge that goes is not a guest, and a tap that comes is not a reason");

    kill(qemu);
    eventually("the sweep has begun", || seen() == "vif0.0: gc\n");
}

#[test]
fn a_guest_that_is_killed_leaves_nothing() {
    let lab = Lab::new(Network::NAT);
    let before = Snapshot::of(&lab.host);
    let _udev = udev(&lab.host, hooks_dir().join("kvmnet").to_str().unwrap());
    let qemu = guest(&lab, "vif0.0");
    let other = guest(&lab, "vif1.0");
    kill(qemu);
    lab.host.run("udevadm settle");
    assert!(lab.host.ip("link show br0").contains("br0"), "the other guest still has its network");
    kill(other);
    eventually("the network is swept", || Snapshot::of(&lab.host) == before);
}

/// What systemd is asked for, by a stand-in.
#[test]
fn a_network_that_is_served_has_its_service_started() {
    let lab = Lab::new(Network::NAT);
    let stand_in = "/run/lab/systemctl";
    lab.host.enter(|| {
        fs::write(stand_in, "#!/bin/sh\necho \"$*\" >>/run/lab/asked\n").unwrap();
        fs::set_permissions(stand_in, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all("/run/systemd/system").unwrap();
    });
    lab.host.run(&format!("mount --bind {stand_in} /usr/bin/systemctl"));
    let _udev = udev(&lab.host, "/bin/true");
    let asked = || lab.host.enter(|| fs::read_to_string("/run/lab/asked")).unwrap_or_default();
    lab.host.ip("link add br-other type bridge");
    lab.write_config(&(Network::NAT.config() + &Network::ROUTED.lab_table()));
    let (one, three) = (lab.attach(1), lab.attach_in_lab(1));
    lab.host.run("udevadm settle");
    let [first, lab_network] =
        ["br0", "br\\x2dlab"].map(|name| format!("--no-block start kvmnet-serve@{name}.service\n"));
    assert_eq!(
        asked(),
        format!("{first}{lab_network}"),
        "whether anything is to be told there, the service finds out"
    );
    let change = |bridge: &str| {
        let uevent = format!("/sys/class/net/{bridge}/uevent");
        lab.host.enter(|| fs::write(uevent, "change").unwrap());
        lab.host.run("udevadm settle");
    };
    ["br-other", "br-lab"].into_iter().for_each(change);
    assert_eq!(asked(), format!("{first}{lab_network}"), "neither is to be served");
    change("br0");
    assert_eq!(asked(), format!("{first}{lab_network}{first}"));
    lab.detach(one);
    lab.detach(three);
}

/// Programs that manage interfaces are told by udev that these are none of theirs.
#[test]
fn managers_leave_alone_what_kvmnet_made() {
    for (network, made) in [(Network::NAT, "br0"), (Network::ISOLATED, "br0"), (Network::NAT_VETH, "veth1.1")]
    {
        let lab = Lab::new(network);
        let _udev = udev(&lab.host, "/bin/true");
        lab.host.ip("link add br-other type bridge");
        lab.host.ip("tuntap add dev tap9 mode tap");
        let one = lab.attach(1);
        lab.host.run("udevadm settle");
        let says = |link: &str, word: &str| {
            let path = format!("--path=/sys/class/net/{link}");
            let said = lab.host.run(&format!("udevadm info --query=property {path}"));
            said.lines().any(|line| line == word)
        };
        let told = |link: &str| [says(link, "NM_UNMANAGED=1"), says(link, "KVMNET=1")];
        assert_eq!(told(made), [true, true], "{network:?}: {made}");
        // As it is with the next event at the latest: with the first one the hook may not have begun.
        lab.host.run("udevadm trigger --action=change --subsystem-match=net");
        lab.host.run("udevadm settle");
        assert_eq!(told(one.tap()), [true, true], "{network:?}: the guest's tap");
        for link in ["br-other", "eth3", "tap9"] {
            assert_eq!(told(link), [false, false], "{network:?}: {link}");
        }
        lab.detach(one);
    }
}

/// What udev says of a link by now, as with the next event at the latest.
fn says_of(lab: &Lab, link: &str, word: &str) -> bool {
    lab.host.run("udevadm trigger --action=change --subsystem-match=net");
    lab.host.run("udevadm settle");
    let said = lab.host.run(&format!("udevadm info --query=property --path=/sys/class/net/{link}"));
    said.lines().any(|line| line == word)
}

/// Its flags tell, before a hook has begun. One that stays is of whoever made it, and no other program goes by that.
#[test]
fn a_tap_of_a_virtual_machine_is_known_at_once() {
    let lab = Lab::new(Network::NAT);
    let _udev = udev(&lab.host, "/bin/true");
    let _machine = Tap::open_with_headers(&lab.host, "tap7");
    let _vpn = Tap::open(&lab.host, "tap8");
    lab.host.ip("tuntap add dev tap9 mode tap vnet_hdr");
    lab.host.run("udevadm settle");
    let said = lab.host.run("udevadm info --query=property --path=/sys/class/net/tap7");
    assert!(said.contains("NM_UNMANAGED=1") && !said.contains("KVMNET"), "{said}");
    for tap in ["tap8", "tap9"] {
        assert!(!says_of(&lab, tap, "NM_UNMANAGED=1"), "{tap}");
    }
}

/// Of one in bridged mode NetworkManager has to know that its NIC is a port; one that was there is its owner's.
#[test]
fn a_bridge_that_others_have_to_know_is_not_hidden() {
    for (network, before) in [(Network::BRIDGED, ""), (Network::NAT, "link add br0 type bridge")] {
        let lab = Lab::new(network);
        if !before.is_empty() {
            lab.host.ip(before);
        }
        let _udev = udev(&lab.host, "/bin/true");
        let one = lab.attach(1);
        for word in ["NM_UNMANAGED=1", "KVMNET=1"] {
            assert!(!says_of(&lab, "br0", word), "{network:?}: {word}");
        }
        assert!(says_of(&lab, one.tap(), "KVMNET=1"), "{network:?}: the tap is kvmnet's");
        lab.detach(one);
    }
}
