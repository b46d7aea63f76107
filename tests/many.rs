//! Hundreds of networks on one host: each hook does its own work, sees who is dead among the others, and no more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use lab::bench::{DOWN, UP};
use lab::{Cli, Hook, Lab, Network, Tap, eventually};

/// So many networks; the receive buffer of a socket holds the interfaces of 92.
const NETWORKS: usize = 400;

fn bridge(number: usize) -> String {
    format!("br-{number}")
}

fn tap(number: usize) -> String {
    format!("t{number}.0")
}

/// The network of this number: of several modes, with and without a veth pair.
fn table(number: usize) -> String {
    let address = format!("address = \"10.{}.{}.1/24\"\n", 100 + number / 200, number % 200);
    let form = match number % 4 {
        0 => "mode = \"isolated\"\n".to_owned(),
        1 => format!("mode = \"nat\"\nuplink = \"eth3\"\n{address}"),
        2 => format!("mode = \"host-only\"\n{address}"),
        _ => format!("mode = \"host-only\"\nveth = \"v{number}\"\n{address}"),
    };
    format!("[network.n{number}]\nbridge = \"{}\"\ntaps = [\"t{number}.*\"]\n{form}", bridge(number))
}

/// The bridges that there are.
fn bridges(lab: &Lab) -> Vec<String> {
    let links = lab.host.ip("-o link show type bridge");
    let names = links.lines().filter_map(|line| line.split(": ").nth(1));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

fn expected(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let mut names: Vec<String> = numbers.map(bridge).collect();
    names.sort();
    names
}

#[test]
fn hundreds_of_networks_with_guests() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&(0..NETWORKS).map(table).collect::<String>());
    let mut taps: Vec<Option<Tap>> = (0..NETWORKS).map(|n| Some(Tap::open(&lab.host, &tap(n)))).collect();
    let hook = |program: &str, number: usize, taps: &[Option<Tap>]| {
        let hook = Hook::new(&lab.host, program, &[&tap(number)]);
        hook.tap(taps[number].as_ref().unwrap()).run().ok();
    };
    for number in 0..NETWORKS {
        hook(UP, number, &taps);
    }
    assert_eq!(bridges(&lab), expected(0..NETWORKS), "each guest has its network, and none was swept");
    // Again, and nothing is done; one leaves and comes back.
    hook(UP, 7, &taps);
    hook(DOWN, 9, &taps);
    assert_eq!(bridges(&lab), expected((0..NETWORKS).filter(|n| *n != 9)), "one guest left");
    // Every third guest is killed. The next hook takes the networks of all of them away, and no other.
    let is_killed = |number: &usize| number % 3 == 0;
    (0..NETWORKS).filter(is_killed).for_each(|number| taps[number] = None);
    eventually("their taps are gone", || !lab.host.ip("-o link show type tun").contains("t399.0"));
    hook(UP, 7, &taps);
    assert_eq!(bridges(&lab), expected((0..NETWORKS).filter(|n| !is_killed(n))), "the dead are swept");
    let tables = lab.host.run("nft list tables");
    assert!(!tables.contains("kvmnet-br-399") && tables.contains("kvmnet-br-398"), "{tables}");
    let status = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(status.contains("t398.0"), "{status}");
    taps.clear();
    Cli::new(&lab.host, &["gc"]).run().ok();
    assert_eq!(bridges(&lab), [""; 0]);
    assert!(!lab.host.run("nft list tables").contains("kvmnet-"));
}
