//! What a guest of a served network has, whatever firewall is beside it.

use std::time::Duration;

use crate::dns::{A, Answer, ask};
use crate::kit::Serving;
use crate::lab::{Guest, eventually, within};

pub const HOST: &str = "10.0.100.3";

/// A guest that comes anew: it gets its address and names, and gets out, by both families.
#[track_caller]
pub fn comes(serving: &Serving, number: u8, what: &str) -> Guest {
    let guest = serving.attach(number);
    let told = serving.lease(&guest, what);
    assert!(told["new_ip_address"].starts_with("10.0.100."), "{what}: {told:?}");
    let is_known = || ask(&guest, HOST, "host.kvm", A) == Answer::Found(vec![HOST.to_owned()]);
    assert!(within(Duration::from_secs(10), is_known), "{what}: names");
    eventually("the guest has made itself an address of what was announced", || {
        guest.ip("-6 addr show dev eth0 scope global").contains("fd00:100::")
    });
    let v6 = || guest.pings("fd00:100::3") && guest.pings("fd00:1::25");
    assert!(within(Duration::from_secs(5), || guest.pings("192.168.1.25") && v6()), "{what}: it gets out");
    guest
}
