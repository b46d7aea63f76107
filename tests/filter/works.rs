//! What a guest with a filter does all day, and how much of it others have to hear.

use std::time::Instant;

use crate::kit::{attach, hook_of, lab_with, program};
use crate::lab::{Frame, Network, Pings, eventually, frame};
use crate::serving::Serving;

const ONE: &str = "filter = true\nguest_mac = \"52:54:00:12:34:56\"\n";

/// It is told its address, makes itself one of IPv6, looks whether somebody has it, and reaches everybody.
#[test]
fn a_guest_that_asks_for_its_address() {
    let serving = Serving::configured(&format!("{}{ONE}", Network::NAT.config()));
    let one = serving.attach(1);
    one.sysctl("ipv6/conf/eth0/accept_dad", "1");
    one.ip("link set eth0 down");
    one.ip("link set eth0 up");
    let kept = serving.lab.host.ip("link show dev vif0.0");
    let kept = kept.split(" at=").nth(1).and_then(|rest| rest.split([' ', '\n']).next()).unwrap().to_owned();
    let told = serving.lease(&one, "web");
    assert_eq!(told["new_ip_address"], kept, "it is given the address that it can use");
    assert!(one.pings("192.168.1.25"), "the outside answers");
    eventually("it has an IPv6 address that nobody else has", || {
        let shown = one.ip("-6 addr show dev eth0 scope global");
        shown.contains("fd00:100::5054:ff:fe12:3456") && !shown.contains("tentative")
    });
    eventually("the outside answers over IPv6", || one.pings("fd00:1::25"));
    let before = program(&serving.lab, &one);
    serving.lab.ifup(&one).ok();
    assert!(program(&serving.lab, &one) == before, "nothing changes");
    // Another one that it gives itself is not its own.
    one.ip("addr flush dev eth0 scope global");
    one.ip("addr add 10.0.100.99/24 dev eth0");
    assert!(!one.pings("10.0.100.3"));
}

#[test]
fn reports_of_groups_are_heard() {
    let lab = lab_with(Network::NAT, "filter = true\n");
    let (one, two) = (attach(&lab, 1), attach(&lab, 2));
    lab.settle();
    let before = two.count();
    eventually("a report of groups comes to the other guest", || {
        one.ip("link set eth0 down");
        one.ip("link set eth0 up");
        let is_report = |frame: &Vec<u8>| {
            frame::ethertype(frame) == Some(frame::IPV6) && frame[20] == 0 && frame.get(62) == Some(&143)
        };
        two.heard_since(before).iter().any(is_report)
    });
}

#[test]
fn tags_where_they_are_allowed() {
    let lab = lab_with(Network::NAT, "filter = true\n");
    let (one, two) = (attach(&lab, 1), attach(&lab, 2));
    lab.settle();
    let send = Frame { from: one.mac("eth0"), to: two.mac("eth0") };
    let (own, other) = ("10.0.100.1".parse().unwrap(), "10.0.100.2".parse().unwrap());
    let good = frame::tagged(&send.udp4(own, other, "tagged"), 7);
    let spoofed = frame::tagged(&send.udp4("10.0.100.9".parse().unwrap(), other, "tagged"), 7);
    let twice = frame::tagged(&good, 7);
    let plain = send.udp4(own, other, "the last one");
    let arrives = |frames: &[&Vec<u8>]| {
        let before = two.count();
        frames.iter().for_each(|frame| one.inject(frame));
        eventually("the last frame arrives", || {
            one.inject(&plain);
            two.heard_since(before).contains(&plain)
        });
        let heard = two.heard_since(before);
        frames.iter().filter(|frame| heard.contains(frame)).count()
    };
    assert_eq!(arrives(&[&good, &spoofed, &twice]), 0);
    hook_of(&lab, &one, 1).env("KVMNET_ALLOW_VLAN_TAGS", "true").run().ok();
    assert_eq!((arrives(&[&good]), arrives(&[&spoofed, &twice])), (1, 0));
}

/// A storm of one guest is not everybody's, and others do not notice it.
#[test]
fn a_storm_is_bounded() {
    let lab = lab_with(Network::NAT, "filter = true\n");
    let (one, two, three) = (attach(&lab, 1), attach(&lab, 2), attach(&lab, 4));
    lab.settle();
    let own = "10.0.100.1".parse().unwrap();
    let from = one.mac("eth0");
    let storm = Frame { from, to: frame::BROADCAST }.udp4(own, [10, 0, 100, 255].into(), "storm");
    let group = Frame { from, to: [1, 0, 0x5e, 0, 0, 5] }.udp4(own, [224, 0, 0, 5].into(), "storm");
    let pings = Pings::start(&three, "10.0.100.3");
    pings.await_answers(10);
    let (before, begin) = (two.count(), Instant::now());
    for _ in 0..200_000 {
        one.inject(&storm);
        one.inject(&group);
    }
    let last = Frame { from, to: two.mac("eth0") }.udp4(own, [10, 0, 100, 2].into(), "the last one");
    eventually("what is for one guest arrives", || {
        one.inject(&last);
        two.heard_since(before).contains(&last)
    });
    let heard = two.heard_since(before);
    let came = heard.iter().filter(|frame| **frame == storm || **frame == group).count();
    let most = 500 + 1000 * (begin.elapsed().as_secs() as usize + 1);
    println!("400000 frames to all, {came} came to another guest, {most} at most");
    assert!((500..=most).contains(&came), "{came} of {most}");
    pings.await_answers(10);
    let answers = pings.stop();
    assert!(answers.lost.is_empty(), "{answers:?}");
}
