//! On a bridge of somebody else's, where a guest is only a port.

use crate::kit::program;
use crate::lab::{Capture, Frame, Lab, Network, Place, eventually, frame};

const CONFIG: &str = "mode = \"bridged\"\nuplink = \"none\"\nbridge = \"virbr0\"\nfilter = true\n";

fn with_virbr0() -> Lab {
    let lab = Lab::new(Network::BRIDGED);
    lab.write_config(CONFIG);
    lab.host.ip("link add virbr0 address 52:54:00:99:99:99 type bridge");
    lab.host.ip("addr add 192.168.122.1/24 dev virbr0");
    lab.host.ip("link set virbr0 up");
    lab
}

fn place(lab: &Lab, number: u8) -> Place {
    let (gateway4, v4) = ("192.168.122.1".to_owned(), format!("192.168.122.{number}"));
    Place { v4, gateway4, ..lab.network.guest(number) }
}

/// A guest of which only its MAC is known can have any address but the host's.
#[test]
fn the_hosts_address_is_the_hosts() {
    let lab = with_virbr0();
    let (first, second) = (place(&lab, 2), place(&lab, 3));
    let (one, two) = (lab.boot_at(&first), lab.boot_at(&second));
    let mac = |place: &Place| place.mac.clone();
    let refused = lab.hook("/etc/qemu-ifup", &one).env("KVMNET_GUEST_MAC", "52:54:00:99:99:99").run();
    assert!(refused.complains(1).contains("is the host's own MAC on virbr0"), "{refused:?}");
    lab.hook("/etc/qemu-ifup", &one).env("KVMNET_GUEST_MAC", &mac(&first)).run().ok();
    lab.hook("/etc/qemu-ifup", &two).env("KVMNET_GUEST_MAC", &mac(&second)).run().ok();
    assert!(!program(&lab, &one).is_empty());
    assert!(!lab.host.run("nft list tables").contains("kvmnet"), "nothing of kvmnet's but on the tap");
    eventually("the host answers", || one.pings("192.168.122.1") && two.pings("192.168.122.2"));
    let own = Frame { from: one.mac("eth0"), to: frame::BROADCAST };
    let arp = |sender: [u8; 4]| own.arp_request(sender.into(), [192, 168, 122, 3].into());
    let taken = [arp([192, 168, 122, 1]), own.udp4([192, 168, 122, 1].into(), [255; 4].into(), "spam")];
    let other = Frame { from: [0x52, 0x54, 0, 0x99, 0x99, 0x99], ..own }.udp4(
        [192, 168, 122, 2].into(),
        [255; 4].into(),
        "x",
    );
    let good = arp([192, 168, 122, 77]);
    let heard = two.count();
    let mut host = Capture::of_stack(&lab.host, frame::ARP);
    taken.iter().chain([&other, &good]).for_each(|frame| one.inject(frame));
    eventually("another address is as good", || two.heard_since(heard).contains(&good));
    assert!(!two.heard_since(heard).iter().any(|frame| taken.contains(frame) || *frame == other));
    assert!(!host.frames().contains(&taken[0]));
    lab.ifdown(&two).ok();
    lab.ifdown(&one).ok();
    for guest in [&one, &two] {
        let shown = lab.host.ip(&format!("link show dev {}", guest.tap()));
        assert!(program(&lab, guest).is_empty() && !shown.contains("kvmnet"), "{shown}");
    }
}
