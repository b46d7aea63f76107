//! All that a host's kernel knows of its network, as sorted lines of text that can be compared and read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Machine;

/// What changes by itself: numbers the kernel counts up or down, and numbers it gives out.
const VOLATILE: [&str; 26] = [
    "ifindex",
    "link_index",
    "link_netnsid",
    "stats",
    "stats64",
    "hello_timer",
    "tcn_timer",
    "gc_timer",
    "topology_change_timer",
    "forward_delay_timer",
    "message_age_timer",
    "hold_timer",
    "topology_change",
    "topology_change_detected",
    "valid_life_time",
    "preferred_life_time",
    "expires",
    "used",
    "age",
    "cacheinfo",
    // How the kernel came by an address, which nobody else can say.
    "stable-privacy",
    // What a bridge has learned.
    "fdb_n_learned",
    "mcast_n_groups",
    // The number of a bridge's port, in three notations.
    "no",
    "id",
    "designated_port",
];

/// Links, addresses, routes of all tables, rules, permanent neighbours, the nft ruleset and the settings under
/// `/proc/sys/net`, with what changes by itself left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    lines: BTreeSet<String>,
}

impl Snapshot {
    /// The state of a machine. Taps are left out, for they belong to QEMU; but not that one has an address or a route.
    pub fn of(machine: &Machine) -> Self {
        let taps = taps(machine);
        let mut lines = BTreeSet::new();
        for (what, command) in [
            ("link", "ip -d -j link show"),
            ("address", "ip -j addr show"),
            ("route", "ip -4 -d -j route show table all"),
            ("route6", "ip -6 -d -j route show table all"),
            ("rule", "ip -4 -j rule show"),
            ("rule6", "ip -6 -j rule show"),
            ("neighbour", "ip -j neigh show nud permanent"),
            ("proxy", "ip -j neigh show proxy"),
            ("token", "ip -j token list"),
            ("bridge port", "bridge -d -j link show"),
        ] {
            add_objects(&mut lines, what, &machine.run(command), &taps);
        }
        for (number, line) in machine.run("nft -s list ruleset").lines().enumerate() {
            lines.insert(format!("nft {number:4}: {line}"));
        }
        machine.enter(|| add_settings(&mut lines, &taps));
        Self { lines }
    }

    /// The same without the protocols of addresses (who gave them): the `ip` of Debian 12 cannot set them.
    #[must_use]
    pub fn without_address_protocols(mut self) -> Self {
        let forget = |line: String| match (line.starts_with("address "), line.split_once("\"protocol\":\"")) {
            (true, Some((before, rest))) => {
                before.to_owned() + rest.split_once("\",").map_or("", |(_, after)| after)
            }
            _ => line,
        };
        self.lines = self.lines.into_iter().map(forget).collect();
        self
    }

    /// The lines that are only in this one. Of an interface that the other lacks altogether, its settings are not
    /// listed.
    fn without(&self, other: &Self) -> String {
        let only: Vec<&String> = self.lines.difference(&other.lines).collect();
        let new = only.iter().filter_map(|line| line.strip_prefix("link ")?.split_once(" ifname = "));
        let new: Vec<String> = new.map(|(name, _)| format!("/{name}/")).collect();
        let worth_telling =
            |line: &String| !(line.starts_with('/') && new.iter().any(|name| line.contains(name)));
        only.into_iter()
            .filter(|line| worth_telling(line))
            .fold(String::new(), |text, line| text + "    " + line + "\n")
    }
}

/// Fails the test, and says what differs, unless both states are the same.
#[track_caller]
pub fn assert_same(what: &str, before: &Snapshot, after: &Snapshot) {
    assert!(
        before == after,
        "{what}: the host must be as it was\n  it had:\n{}  it has:\n{}",
        before.without(after),
        after.without(before),
    );
}

/// The names of the machine's taps.
fn taps(machine: &Machine) -> Vec<String> {
    let links: Vec<Value> = parse(&machine.run("ip -d -j link show"));
    let kind = |link: &Value| link["linkinfo"]["info_kind"] == "tun";
    links
        .iter()
        .filter(|link| kind(link))
        .filter_map(|link| Some(link["ifname"].as_str()?.to_owned()))
        .collect()
}

/// `ip -j` prints nothing at all where it has nothing to show.
fn parse(json: &str) -> Vec<Value> {
    if json.trim().is_empty() { Vec::new() } else { serde_json::from_str(json).expect("ip prints JSON") }
}

/// Adds what an `ip -j` or `bridge -j` command printed: links one property a line, everything else one object a
/// line.
fn add_objects(lines: &mut BTreeSet<String>, what: &str, json: &str, taps: &[String]) {
    let about_tap = |object: &Value| {
        ["ifname", "dev"]
            .iter()
            .any(|key| object[key].as_str().is_some_and(|name| taps.iter().any(|tap| tap == name)))
    };
    // That a tap has an address, or a route, is the host's business.
    let is_hosts = matches!(what, "address" | "route" | "route6");
    for mut object in parse(json) {
        if about_tap(&object) && !is_hosts {
            continue;
        }
        forget_volatile(&mut object);
        let name = object["ifname"].as_str().unwrap_or_default().to_owned();
        match (&object, what) {
            (Value::Object(properties), "link") => {
                lines.extend(properties.iter().map(|(key, value)| format!("{what} {name} {key} = {value}")));
            }
            (Value::Object(properties), "address") => {
                let addresses = properties.get("addr_info").and_then(Value::as_array);
                lines.extend(
                    addresses.into_iter().flatten().map(|address| format!("{what} {name} {address}")),
                );
            }
            _ => drop(lines.insert(format!("{what} {object}"))),
        }
    }
}

/// Takes the volatile properties out, at any depth. A lifetime that runs is told from one that does not.
fn forget_volatile(value: &mut Value) {
    match value {
        Value::Object(properties) => {
            properties.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            properties.values_mut().for_each(forget_volatile);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_volatile),
        _ => {}
    }
}

/// Adds the settings of all interfaces but the taps, and those of the machine. Must run on the machine.
fn add_settings(lines: &mut BTreeSet<String>, taps: &[String]) {
    let net = Path::new("/proc/sys/net");
    for directory in ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"] {
        for interface in fs::read_dir(net.join(directory)).into_iter().flatten().flatten() {
            if !taps.iter().any(|tap| interface.file_name() == tap.as_str()) {
                add_files(lines, &interface.path());
            }
        }
    }
    add_files(lines, &net.join("bridge"));
    for file in ["ipv4/ip_forward", "ipv4/ip_nonlocal_bind", "ipv6/bindv6only"] {
        add_file(lines, &net.join(file));
    }
}

fn add_files(lines: &mut BTreeSet<String>, directory: &Path) {
    for file in fs::read_dir(directory).into_iter().flatten().flatten() {
        add_file(lines, &file.path());
    }
}

/// A setting that cannot be read (`stable_secret` before it is set) has no line.
fn add_file(lines: &mut BTreeSet<String>, file: &Path) {
    if let Ok(value) = fs::read_to_string(file) {
        lines.insert(format!("{} = {}", file.display(), value.trim_end()));
    }
}
