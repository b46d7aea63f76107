//! Who a guest is, and what it has for itself.

use super::*;
use crate::desired::{Desired, Teller};
use crate::model::lease;
use crate::model::{Claim, GuestIdentity, Mac, Need};
use crate::plan::{Refusal, Step, up};

const NAT: &str = "mode = \"nat\"\naddress = [\"10.0.100.3/24\", \"fd00:100::3/64\"]\n";

fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0x12, 0x34, last])
}

impl World {
    /// An ifup by a VM whose command line says this.
    fn started_by(
        &mut self,
        config: &str,
        tap: &str,
        vm: Option<&str>,
        macs: &[Mac],
    ) -> Result<Vec<Step>, Refusal> {
        self.0.starter = GuestIdentity::new(vm, macs.iter().copied());
        self.0.met = vec![Need::Starter, Need::Leases(name("br0")), Need::Leases(name("br-lab"))];
        self.0.besides = Some(name(tap));
        self.0.work_out();
        let desired = Desired { teller: Teller::Starter, ..World::desired(config, tap) };
        let steps: Vec<Step> = up(&desired, &self.0)?.steps().cloned().collect();
        steps.iter().for_each(|step| self.play(step));
        Ok(steps)
    }

    fn claims(&mut self, tap: &str) -> Vec<String> {
        self.link(&name(tap)).altnames.clone()
    }
}

#[test]
fn a_guest_has_its_mac_and_its_address_for_itself() {
    let mut world = World::lab();
    let config = format!("{NAT}guest_address = \"10.0.100.7\"\n");
    world.started_by(&config, "vif0.0", Some("Web 1"), &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br0-525400123457", "kvmnet-br0-10.0.100.7"]);
    let alias = world.link(&name("vif0.0")).alias.clone();
    assert!(alias.ends_with(" vm=web-1 nic=52:54:00:12:34:57 at=10.0.100.7"), "{alias}");
    // Again, and by somebody who knows nothing of the guest.
    assert_eq!(world.started_by(&config, "vif0.0", Some("Web 1"), &[mac(0x57)]).unwrap(), []);
    assert_eq!(world.started_by(NAT, "vif0.0", None, &[]).unwrap(), []);
    assert_eq!(world.up(NAT, "vif0.0"), [], "as `kvmnet apply` does");
    world.down("vif0.0");
    assert_eq!((world.claims("vif0.0"), world.link(&name("vif0.0")).alias.as_str()), (Vec::new(), ""));
}

#[test]
fn a_second_guest_with_the_same_is_refused() {
    let mut world = World::lab();
    let config = format!("{NAT}guest_address = \"10.0.100.7\"\n");
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    let refusal = world.started_by(NAT, "vif1.0", None, &[mac(0x57)]).unwrap_err();
    assert_eq!(refusal.to_string(), "52:54:00:12:34:57 is the MAC of vif0.0 (web)");
    assert!(refusal.hint().unwrap().contains("mac=52:54:00:"), "{:?}", refusal.hint());
    let refusal = world.started_by(&config, "vif1.0", Some("web"), &[mac(0x58)]).unwrap_err();
    assert_eq!(refusal.to_string(), "10.0.100.7 is the address of vif0.0 (web)");
    // One VM may have one MAC on two NICs; what the first has stays its own.
    world.0.same_vm = vec![name("vif0.0")];
    world.started_by(&config, "vif1.0", Some("web"), &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif1.0"), [""; 0]);
    let alias = world.link(&name("vif1.0")).alias.clone();
    assert!(alias.ends_with(" vm=web nic=52:54:00:12:34:57"), "{alias}");
}

#[test]
fn names_and_networks_without_a_use_for_them() {
    let mut world = World::lab();
    for config in ["mode = \"host-only\"\n", "mode = \"isolated\"\n", "mode = \"nat\"\ndhcp = false\n"] {
        world.started_by(config, "vif0.0", Some("web"), &[mac(0x56)]).unwrap();
        world.started_by(config, "vif1.0", Some("web"), &[mac(0x56)]).unwrap();
        for tap in ["vif0.0", "vif1.0"] {
            assert_eq!(world.claims(tap), [""; 0], "{config}");
            assert!(!world.link(&name(tap)).alias.contains("vm="), "{config}");
            world.down(tap);
        }
    }
}

/// Two VMs may be called the same.
#[test]
fn one_name_for_two() {
    let mut world = World::lab();
    world.started_by(NAT, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    world.started_by(NAT, "vif1.0", Some("web"), &[mac(0x58)]).unwrap();
}

#[test]
fn the_configuration_wins_over_the_command_line() {
    let mut world = World::lab();
    let config = format!("{NAT}guest_mac = \"52:54:00:12:34:60\"\n");
    world.started_by(&config, "vif0.0", None, &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br0-525400123460"]);
    // Of several MACs, the one that is on this tap.
    let config = format!("{NAT}guest_mac = [\"52:54:00:12:34:61\", \"52:54:00:12:34:62\"]\n");
    world.started_by(&config, "vif1.0", None, &[mac(0x62)]).unwrap();
    assert_eq!(world.claims("vif1.0"), ["kvmnet-br0-525400123462"]);
}

#[test]
fn what_is_no_longer_so_goes() {
    let mut world = World::lab();
    let nat = format!("{NAT}uplink = \"eth3\"\n");
    world.link(&name("vif0.0")).tun.as_mut().unwrap().persistent = true;
    world.started_by(&nat, "vif0.0", Some("one"), &[mac(0x57)]).unwrap();
    world.started_by(&nat, "vif0.0", Some("two"), &[mac(0x58)]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br0-525400123458"]);
    let moved = "mode = \"host-only\"\ndhcp = true\nbridge = \"br-lab\"\naddress = \"10.0.101.3/24\"\n";
    world.started_by(moved, "vif0.0", Some("two"), &[mac(0x58)]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br-lab-525400123458"]);
    world.started_by(&moved.replace("true", "false"), "vif0.0", Some("two"), &[mac(0x58)]).unwrap();
    assert_eq!(world.claims("vif0.0"), [""; 0]);
}

#[test]
fn an_address_that_no_guest_can_have() {
    let mut world = World::lab();
    let desired = |address: &str| {
        let mut desired = World::desired(NAT, "vif0.0");
        desired.network.guest_addresses = vec![address.parse().unwrap()];
        desired
    };
    for (address, why) in [
        ("10.0.101.7", "is in no subnet of it"),
        ("10.0.100.3", "is the host's own"),
        ("10.0.100.0", "is that of the subnet itself"),
        ("10.0.100.255", "is the broadcast address"),
        ("fd00:100::", "is that of the subnet itself"),
    ] {
        world.0.work_out();
        let refusal = up(&desired(address), &world.0).unwrap_err();
        assert_eq!(refusal.to_string(), format!("{address}, the guest's address on network default, {why}"));
        assert!(refusal.hint().is_some());
    }
    assert!(up(&desired("10.0.100.7"), &world.0).is_ok());
}

#[test]
fn a_forward_leads_somewhere() {
    let mut world = World::lab();
    let config = format!("{NAT}forward = \"2222:22\"\n");
    let refusal = world.started_by(&config, "vif0.0", Some("web"), &[]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "`forward` leads to no address: nothing says which one the guest on vif0.0 has"
    );
    assert!(refusal.hint().unwrap().contains("guest_mac"));
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    // It has an address of its own from now on, and the next guest another.
    let other = format!("{NAT}forward = \"2223:22\"\n");
    world.started_by(&other, "vif1.0", Some("two"), &[mac(0x58)]).unwrap();
    let [one, two] = ["vif0.0", "vif1.0"].map(|tap| world.claims(tap)[1].clone());
    assert!(one.starts_with("kvmnet-br0-10.0.100.") && two.starts_with("kvmnet-br0-10.0.100."));
    assert_ne!(one, two);
    // The same one again, unless another guest has it by then.
    world.down("vif0.0");
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif0.0")[1], one);
    world.down("vif0.0");
    let taken = format!("{NAT}guest_address = \"{}\"\n", one.trim_start_matches("kvmnet-br0-"));
    world.started_by(&taken, "vif1.0", Some("two"), &[mac(0x58)]).unwrap();
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    assert_ne!(world.claims("vif0.0")[1], one);
}

/// It keeps the address that it has, and gets none that another one may still have.
#[test]
fn a_forward_leads_to_the_address_that_the_guest_has() {
    let mut world = World::lab();
    let config = format!("{NAT}forward = \"2222:22\"\n");
    let lease = |last: u8, address: &str| lease::line(&format!("0 {} {address} web *", mac(last))).unwrap();
    world.0.leases = vec![lease(0x57, "10.0.100.77"), lease(0x58, "10.9.9.9")];
    world.started_by(&config, "vif0.0", None, &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif0.0")[1], "kvmnet-br0-10.0.100.77");
    let config = config.replace("2222", "2223");
    // Its own is of a subnet that the network had once; what it gets instead is nobody's yet.
    world.started_by(&config, "vif1.0", None, &[mac(0x58)]).unwrap();
    let first = world.claims("vif1.0")[1].clone();
    world.down("vif1.0");
    let address = first.trim_start_matches("kvmnet-br0-").to_owned();
    world.0.leases.push(lease(0x59, &address));
    world.started_by(&config, "vif1.0", None, &[mac(0x58)]).unwrap();
    assert_ne!(world.claims("vif1.0")[1], first);
}

/// IPv6 addresses are made of MACs, and nothing is kept for them; without DHCP there is nothing to know.
#[test]
fn a_forward_of_one_family() {
    let mut world = World::lab();
    let config = format!("{NAT}forward = \"[::]:2222:22\"\n");
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br0-525400123457"]);
    world.down("vif0.0");
    let refusal =
        world.started_by(&format!("{config}dhcp = false\n"), "vif0.0", None, &[mac(0x57)]).unwrap_err();
    assert!(refusal.to_string().starts_with("`forward` leads to no address"), "{refusal}");
    let fixed = format!("{config}dhcp = false\nguest_address = \"fd00:100::7\"\n");
    world.started_by(&fixed, "vif0.0", None, &[]).unwrap();
    assert_eq!(world.claims("vif0.0"), ["kvmnet-br0-fd00:100::7"]);
}

/// A record may be forged, or of a network that had other subnets.
#[test]
fn a_record_is_believed_only_where_it_can_be_true() {
    let mut world = World::lab();
    world.link(&name("vif0.0")).alias =
        "kvmnet:tap on=br0 vm=web nic=52:54:00:12:34:57 at=10.9.9.9 at=10.0.100.3 at=10.0.100.8".to_owned();
    world.up(NAT, "vif0.0");
    let claims = ["kvmnet-br0-525400123457", "kvmnet-br0-10.0.100.8"];
    assert_eq!(world.claims("vif0.0"), claims);
    let claim: Claim = claims[0].parse().unwrap();
    assert!(world.0.facts.claimant(&claim).is_some());
}

/// A client keeps its lease as long as it runs: the server would give the second guest another address, and what leads to it
/// would lead to the first.
#[test]
fn an_address_that_a_running_guest_was_given_is_not_kept_for_another() {
    let mut world = World::lab();
    let lease = |last: u8| lease::line(&format!("0 {} 10.0.100.9 web *", mac(last))).unwrap();
    let config = format!("{NAT}guest_address = \"10.0.100.9\"\nforward = \"2222:22\"\n");
    world.started_by(NAT, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    world.0.leases = vec![lease(0x57)];
    let refusal = world.started_by(&config, "vif1.0", None, &[mac(0x58)]).unwrap_err();
    assert_eq!(refusal.to_string(), "10.0.100.9 is the address of vif0.0 (web)");
    // It may have it for good; and of a guest that is gone, anybody.
    world.started_by(&config, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    world.0.leases = vec![lease(0x59)];
    world.down("vif0.0");
    world.started_by(&config, "vif1.0", None, &[mac(0x58)]).unwrap();
    assert_eq!(world.claims("vif1.0"), ["kvmnet-br0-525400123458", "kvmnet-br0-10.0.100.9"]);
    // Who has it keeps it.
    world.0.leases = vec![lease(0x57)];
    world.started_by(NAT, "vif0.0", Some("web"), &[mac(0x57)]).unwrap();
    world.started_by(&config, "vif1.0", None, &[mac(0x58)]).unwrap();
}

/// `kvmnet apply` after an edit knows the guest's ports by its record alone.
#[test]
fn a_forward_follows_the_network_to_another_subnet() {
    let mut world = World::lab();
    world.started_by(&format!("{NAT}forward = \"2222:22\"\n"), "vif0.0", None, &[mac(0x57)]).unwrap();
    let before = world.claims("vif0.0")[1].clone();
    assert!(before.starts_with("kvmnet-br0-10.0.100."), "{before}");
    world.up(&NAT.replace("10.0.100.3", "10.0.150.3"), "vif0.0");
    assert_eq!(world.claims("vif0.0")[1], before.replace("10.0.100.", "10.0.150."));
    assert!(world.link(&name("vif0.0")).alias.ends_with(" fwd=2222:22"));
    // Without DHCP it is still the address that is kept for it.
    let [last, without] = [world.claims("vif0.0")[1].clone(), NAT.replace("10.0.100.3", "10.0.150.3")];
    world.up(&format!("{without}dhcp = false\n"), "vif0.0");
    assert_eq!(world.claims("vif0.0"), [last]);
    assert!(world.link(&name("vif0.0")).alias.ends_with(" fwd=2222:22"));
}

/// The first guest of a network starts before what tells it its address.
#[test]
fn no_port_of_what_tells_guests_their_addresses_leads_to_a_guest() {
    for port in ["53", "udp/53", "udp/67", "10.0.100.3:53", "udp/547"] {
        let config = format!("{NAT}forward = \"{port}:53\"\n");
        let refusal = World::lab().started_by(&config, "vif0.0", None, &[mac(0x57)]).unwrap_err();
        let text = refusal.to_string();
        assert!(text.ends_with("is where guests of the network ask for addresses or names"), "{text}");
        let config = format!("{config}dhcp = false\nguest_address = [\"10.0.100.7\", \"fd00:100::7\"]\n");
        World::lab().started_by(&config, "vif0.0", None, &[mac(0x57)]).unwrap();
    }
    for port in ["192.168.1.230:53", "67", "udp/192.168.1.230:53"] {
        let config = format!("{NAT}forward = \"{port}:53\"\n");
        World::lab().started_by(&config, "vif0.0", None, &[mac(0x57)]).unwrap();
    }
}

/// The steps of a plan that are about the filter.
fn of_filter(steps: &[Step]) -> Vec<String> {
    let all = steps.iter().map(ToString::to_string);
    all.filter(|text| text.contains("pref 2") || text.contains("group 18") || text.contains("table bridge"))
        .map(|text| text.split([':', '{', ',']).next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_filter_comes_changes_and_goes() {
    for config in [
        "mode = \"isolated\"\n",
        "mode = \"host-only\"\n",
        "mode = \"nat\"\n",
        "mode = \"nat\"\nveth = \"veth1\"\n",
    ] {
        let mut world = World::lab();
        let filter = format!("{config}filter = true\n");
        let steps = world.started_by(&filter, "vif0.0", None, &[mac(0x57)]).unwrap();
        let put = of_filter(&steps);
        assert!(put[0].starts_with("nft 'table bridge kvmnet-br0"), "{config} {put:?}");
        assert!(
            put[1].starts_with("ip link set vif0.0 group 18")
                && put[2].starts_with("tc filter replace dev vif0.0")
        );
        let program = |world: &World| world.0.facts.guest_filters.clone();
        let first = program(&world);
        assert_eq!(world.started_by(&filter, "vif0.0", None, &[mac(0x57)]).unwrap(), [], "{config}");
        assert_eq!(world.up(&filter, "vif0.0"), [], "as `kvmnet apply` does");
        // One without a filter leaves the rules alone.
        let other = world.started_by(config, "vif1.0", None, &[mac(0x58)]).unwrap();
        assert_eq!(of_filter(&other), [""; 0], "{config}");
        world.up(&format!("{filter}allow_vlan_tags = true\n"), "vif0.0");
        assert_ne!(program(&world), first, "an edit, and apply");
        world.up(config, "vif0.0");
        assert_eq!(program(&world), []);
        let tap = world.link(&name("vif0.0"));
        assert!(
            tap.group == 0 && !tap.alias.contains("filter") && !tap.alias.contains("g=0"),
            "{}",
            tap.alias
        );
        world.started_by(&filter, "vif0.0", None, &[mac(0x57)]).unwrap();
        world.down("vif0.0");
        assert_eq!(program(&world), []);
        let tap = world.link(&name("vif0.0"));
        assert!(tap.group == 0 && tap.alias.is_empty(), "{}", tap.alias);
        world.down("vif1.0");
        assert_eq!(world.0.tables, [], "{config}");
    }
}

/// Nobody knows whom to let through.
#[test]
fn a_filter_needs_a_mac() {
    let mut world = World::lab();
    for config in ["mode = \"isolated\"\n", "mode = \"nat\"\n"] {
        let config = format!("{config}filter = true\n");
        let refusal = world.started_by(&config, "vif0.0", None, &[]).unwrap_err();
        assert_eq!(refusal.to_string(), "vif0.0 cannot have a filter: the MAC of its guest is not known");
        assert!(refusal.hint().unwrap().contains("guest_mac"));
        world
            .started_by(&format!("{config}guest_mac = \"52:54:00:12:34:57\"\n"), "vif0.0", None, &[])
            .unwrap();
        world.down("vif0.0");
    }
    let host = Mac::of_bridge(&name("br0"));
    let refusal = world.started_by("mode = \"nat\"\nfilter = true\n", "vif0.0", None, &[host]).unwrap_err();
    assert!(refusal.to_string().contains("is the host's own MAC on br0"), "{refusal}");
}
