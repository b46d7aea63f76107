//! A host that is a container with CAP_NET_ADMIN: /proc/sys is there, and cannot be written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::{Cli, Frame, Guest, Lab, Network, Snapshot, frame};

fn container(network: Network) -> Lab {
    let lab = Lab::new(network);
    // A guest's network without IPv6: what its router says of it is what could be believed.
    lab.write_config(&network.config().replace(", \"fd00:100::3/64\"", ""));
    lab.host.sysctl("ipv4/conf/all/rp_filter", "0");
    lab.host.run("mount --bind /proc/sys /proc/sys");
    lab.host.run("mount -o remount,ro,bind /proc/sys");
    lab
}

/// The same behind destination options (RFC 8200), which hide what it is from who looks at the first header alone.
fn with_options(frame: &[u8]) -> Vec<u8> {
    let (head, message) = frame.split_at(14 + 40);
    let mut longer = [head, &[58, 0, 1, 4, 0, 0, 0, 0], message].concat();
    longer[14 + 5] += 8;
    longer[14 + 6] = 60;
    longer
}

/// Whether the host takes a guest for its router that says it is one.
fn is_believed(lab: &Lab, guest: &Guest) -> bool {
    let frame = Frame { from: guest.mac("eth0"), to: [0x33, 0x33, 0, 0, 0, 1] };
    let from = guest.link_local("eth0").unwrap().parse().unwrap();
    let plain = frame.router_advertisement(from, "2001:db8:bad::".parse().unwrap());
    // Two priority tags: the kernel takes one off before the filter sees the frame, and the other one behind it.
    guest.inject(&frame::tagged(&frame::tagged(&plain, 0), 0));
    guest.inject(&with_options(&plain));
    guest.inject(&plain);
    // What comes behind them on the same wire has passed the host's stack later.
    assert!(guest.pings("10.0.100.3"));
    lab.host.ip("-6 route show default").contains("proto ra")
}

#[test]
fn guests_of_a_container_have_their_network() {
    for (network, outside) in [(Network::NAT, true), (Network::HOST_ONLY, false)] {
        let lab = container(network);
        let before = Snapshot::of(&lab.host);
        let one = lab.attach(1);
        lab.settle();
        assert!(one.pings("10.0.100.3"), "{network:?}: the guest reaches its host");
        assert_eq!(one.pings("192.168.1.25"), outside, "{network:?}");
        assert!(!is_believed(&lab, &one), "{network:?}: nobody listens to what the guest announces");
        lab.host.run("tc filter del dev br0 ingress pref 1");
        assert!(is_believed(&lab, &one), "{network:?}: without the filter somebody would");
        lab.ifup(&one).ok();
        // What cannot be set, and need not, is missed by nobody.
        let plan = Cli::new(&lab.host, &["plan", one.tap()]).run().ok();
        assert!(plan.contains("nothing to do"), "{plan}");
        let check = Cli::new(&lab.host, &["check"]).run();
        assert!(!check.out.contains("changed by something else"), "{check:?}");
        assert!(Cli::new(&lab.host, &["apply"]).run().ok().contains("every network is as configured"));
        lab.detach(one);
        lab.assert_as_before("the guest came and went", &before);
    }
}

/// What has no other way is refused, with a way out, and nothing is left.
#[test]
fn what_needs_a_setting_is_refused() {
    let lab = container(Network::NAT);
    lab.write_config(&Network::NAT.config());
    let before = Snapshot::of(&lab.host);
    let one = lab.boot(1);
    let ran = lab.ifup(&one);
    assert!(ran.complains(1).contains("Read-only") && ran.stderr.contains("IPv4"), "{}", ran.stderr);
    one.kill();
    lab.assert_as_before("nothing was done", &before);
}

/// A bridge that is shut to the host needs no setting.
#[test]
fn an_isolated_guest_of_a_container() {
    let lab = container(Network::ISOLATED);
    let before = Snapshot::of(&lab.host);
    let (one, two) = (lab.attach(1), lab.attach(2));
    assert!(one.pings("10.0.100.2"), "guests reach one another");
    assert!(!one.pings("10.0.100.3") && !one.pings("192.168.1.230"), "and nobody else");
    lab.detach(one);
    lab.detach(two);
    lab.assert_as_before("the guests came and went", &before);
}

/// A container whose whole root is read-only, /run with it.
#[test]
fn a_lock_that_cannot_be_written() {
    let lab = Lab::new(Network::NAT);
    let one = lab.boot(1);
    lab.host.run("mount --bind /run /run");
    lab.host.run("mount -o remount,ro,bind /run");
    let ran = lab.ifup(&one);
    assert!(ran.complains(1).contains("cannot lock /run/kvmnet.lock"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--tmpfs /run") && !ran.stderr.contains("/proc/sys"), "{}", ran.stderr);
}
