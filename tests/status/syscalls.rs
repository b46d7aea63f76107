//! That each question is asked once, whatever the number of guests.

use std::fs;

use crate::kit::look;
use crate::lab::{Hook, Lab, Network, hooks_dir};

/// What one look asks the kernel: the messages it sends, and the files it opens but for those of processes.
fn questions(lab: &Lab) -> Vec<String> {
    let program = hooks_dir().join("kvmnet");
    let arguments = ["-f", "-o", "/run/lab/trace", program.to_str().unwrap(), "status"];
    Hook::new(&lab.host, "/usr/bin/strace", &arguments).run().ok();
    let trace = lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
    let is_question =
        |line: &&str| line.contains("sendto(") || (line.contains("openat(") && !line.contains("\"/proc/"));
    trace.lines().filter(is_question).map(str::to_owned).collect()
}

#[test]
fn a_hundred_taps_are_asked_for_as_two_are() {
    let lab = Lab::new(Network::NAT);
    let (_one, _two) = (lab.attach(1), lab.attach(2));
    let few = questions(&lab);
    for number in 0..100 {
        lab.host.ip(&format!("tuntap add many{number} mode tap"));
        lab.host.ip(&format!("link set many{number} master br0 up"));
        lab.host.run(&format!("bridge fdb add 52:54:00:00:00:{number:02x} dev many{number} master static"));
        lab.host
            .ip(&format!("neigh add 10.0.100.{} lladdr 52:54:00:00:00:{number:02x} dev br0", 100 + number));
    }
    let many = questions(&lab);
    let seen = look(&lab);
    assert_eq!(seen.network("default")["guests"].as_array().unwrap().len(), 102);
    assert_eq!(seen.guest("many7")["addresses"][0], "10.0.100.107", "and all of them are known");
    assert_eq!(few.len(), many.len(), "with few:\n{}\nwith many:\n{}", few.join("\n"), many.join("\n"));
    // Tables, rules of the network, links, addresses, forwarding databases, neighbours, forwarding, routes of both families.
    assert_eq!(few.iter().filter(|line| line.contains("sendto(")).count(), 9, "{}", few.join("\n"));
}
