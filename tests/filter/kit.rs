//! Networks whose guests have a filter.

use crate::lab::{Guest, Hook, Lab, Network};

/// A lab whose network has these keys besides.
pub fn lab_with(network: Network, keys: &str) -> Lab {
    let lab = Lab::new(network);
    lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
    lab.write_config(&format!("{}{keys}", network.config()));
    lab
}

/// The hook of a guest that says who it is: its MAC, and both its addresses.
pub fn hook_of<'a>(lab: &'a Lab, guest: &Guest, number: u8) -> Hook<'a> {
    let place = lab.network.guest(number);
    lab.hook("/etc/qemu-ifup", guest)
        .env("KVMNET_GUEST_MAC", &place.mac)
        .env("KVMNET_GUEST_ADDRESS", &format!("{},{}", place.v4, place.v6))
}

/// A guest that is attached, and says who it is.
#[track_caller]
pub fn attach(lab: &Lab, number: u8) -> Guest {
    let guest = lab.boot(number);
    hook_of(lab, &guest, number).run().ok();
    guest
}

/// The program of the guest's own filter, as `tc` shows it; empty where there is none.
pub fn program(lab: &Lab, guest: &Guest) -> String {
    let shown = lab.host.run(&format!("tc filter show dev {} ingress pref 2", guest.tap()));
    shown.split_once("bytecode").map(|(_, program)| program.to_owned()).unwrap_or_default()
}

/// All rules, with their handles, and without what guests have sent until now.
pub fn rules(lab: &Lab) -> String {
    let rules = lab.host.run("nft -a list ruleset");
    rules.lines().filter(|line| !line.contains(" expires ")).collect()
}
