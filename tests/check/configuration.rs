//! The file and the environment.

use serde_json::Value;

use crate::lab::{Cli, Lab, Network};
use crate::report::{Report, check, line};

/// Everything that is wrong is told at once: values, keys, and networks that are in each other's way.
#[test]
fn all_errors_are_told() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(
        "mode = \"nta\"\n\
         brige = \"br0\"\n\
         keep = \"yes\"\n\
         [network.one]\n\
         bridge = \"br-one\"\n\
         address = \"10.0.101.0/24\"\n\
         [network.two]\n\
         bridge = \"br-two\"\n\
         address = \"10.0.103.1/24\"\n\
         [network.three]\n\
         bridge = \"br-two\"\n\
         address = \"10.0.103.77/24\"\n",
    );
    let report = check(&lab);
    assert_eq!(report.status, 1);
    assert_eq!(report.json["networks"], Value::Null);
    let found: Vec<_> = report.findings().iter().map(line).collect();
    let places = [(1, 8), (2, 1), (3, 8), (6, 11), (11, 10), (12, 11)];
    assert_eq!(found, places.map(|(line, column)| (Some(line), Some(column))), "{:#}", report.json);
    let said = Cli::new(&lab.host, &["check"]).run();
    assert!(said.out.contains("/etc/kvmnet.conf:1:8: problem: mode: "), "{}", said.out);
    assert!(said.out.contains("    fix: did you mean \"bridge\"?\n"), "{}", said.out);
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
}

#[test]
fn two_networks_with_one_bridge_or_one_subnet() {
    let lab = Lab::new(Network::NAT);
    let table = Network::NAT.lab_table();
    lab.write_config(&(Network::NAT.config() + &table.replace("br-lab", "br0")));
    check(&lab).alone("problem", "configuration", &["br0", "belongs to the network"]);
    lab.write_config(&(Network::NAT.config() + &table.replace("10.0.200.3", "10.0.100.77")));
    check(&lab).alone("problem", "configuration", &["10.0.100.77/24", "overlaps"]);
}

#[test]
fn no_toml() {
    let lab = Lab::new(Network::NAT);
    lab.write_config("mode = nat\n");
    let report = check(&lab);
    assert_eq!(line(report.alone("problem", "configuration", &["/etc/kvmnet.conf"])), (Some(1), Some(8)));
}

/// The errors of the environment and those of the file, together.
#[test]
fn the_environment() {
    let lab = Lab::new(Network::NAT);
    lab.write_config("mode = \"nta\"\n");
    let with = |variables: &[(&str, &str)]| {
        let cli = Cli::new(&lab.host, &["check", "--json"]);
        Report::of(variables.iter().fold(cli, |cli, (name, value)| cli.env(name, value)).run())
    };
    let report = with(&[("KVMNET_MDOE", "nat"), ("KVMNET_ADDRESS", "\u{1b}[31m")]);
    let found: Vec<&Value> = report.findings().iter().map(|finding| &finding["place"]).collect();
    assert!(report.status == 1 && found.len() == 3, "{:#}", report.json);
    assert!(found.iter().any(|place| place["variable"] == "KVMNET_MDOE"), "{:#}", report.json);
    assert!(found.iter().any(|place| place["variable"] == "KVMNET_ADDRESS"), "{:#}", report.json);
    assert!(found.iter().any(|place| place["line"] == 1), "{:#}", report.json);
    let text = Cli::new(&lab.host, &["check"]).env("KVMNET_ADDRESS", "\u{1b}[31m").run().out;
    assert!(!text.contains('\u{1b}') && text.contains("KVMNET_ADDRESS: problem: "), "{text}");
    lab.write_config(&Network::NAT.config());
    with(&[("KVMNET_NETWORK", "no-such")]).alone("problem", "configuration", &["no-such"]);
    with(&[("KVMNET_CONFIG", "/no/such")]).alone("problem", "configuration", &["/no/such"]);
    // A variable is looked at as if a guest were to start with it.
    let report = with(&[("KVMNET_UPLINK", "eth9")]);
    report.alone("problem", "uplink", &["\"variable\":\"KVMNET_UPLINK\"", "eth9"]);
    assert_eq!(with(&[("KVMNET_UPLINK", "eth4")]).status, 0);
}

#[test]
fn whoever_may_write_the_file() {
    let lab = Lab::new(Network::NAT);
    lab.host.run("chmod 666 /etc/kvmnet.conf");
    check(&lab).alone("problem", "configuration", &["/etc/kvmnet.conf", "chmod go-w"]);
    lab.host.run("chmod 644 /etc/kvmnet.conf");
    lab.host.run("chown 65534 /etc/kvmnet.conf");
    check(&lab).alone("problem", "configuration", &["65534", "chown root:root"]);
    // What another user may not read is not wrong, it is not seen.
    lab.host.run("chown 0 /etc/kvmnet.conf");
    lab.host.run("chmod 600 /etc/kvmnet.conf");
    let report = Report::of(Cli::new(&lab.host, &["check", "--json"]).user(65534).run());
    report.only("note", "configuration", &["cannot open it"]);
    assert_eq!((report.status, &report.json["complete"]), (0, &false.into()));
}

/// What is wrong with the configuration hides nothing of what is wrong with the machine.
#[test]
fn the_machine_is_looked_at_all_the_same() {
    let lab = Lab::new(Network::NAT);
    lab.attach(1).kill();
    lab.write_config("mode = \"nta\"\n");
    let report = check(&lab);
    report.only("problem", "configuration", &[]);
    report.only("problem", "leftover", &["network default"]);
}
