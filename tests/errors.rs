//! What goes wrong, one test each: the exit status, one clear line and a hint on stderr, and a host that is as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use lab::bench::{NAME, UP};
use lab::{Bench, Guest, Hook, Lab, Monitor, Network, Ran, Snapshot, eventually};

/// The hook failed.
const FAILED: i32 = 1;
/// The command line or the configuration is wrong.
const USAGE: i32 = 2;

/// Runs a hook that must be refused: with this status, with a line that contains all these words, and with
/// nothing changed.
#[track_caller]
fn refused(lab: &Lab, status: i32, words: &[&str], run: impl FnOnce(&Lab) -> Ran) {
    lab.wait_for_addresses();
    let before = Snapshot::of(&lab.host);
    let ran = run(lab);
    // What is wrong with a configuration or an override may need no hint: the line names its place and its value.
    let line =
        if words.iter().any(|word| word.starts_with("/etc/kvmnet.conf:") || word.starts_with("KVMNET_")) {
            ran.says(status)
        } else {
            ran.complains(status)
        };
    for word in words {
        assert!(line.contains(word), "the line must speak of {word}: {line}");
    }
    lab.assert_as_before("a refused hook", &before);
}

fn run(lab: &Lab, hook: &str, arguments: &[&str]) -> Ran {
    Hook::new(&lab.host, hook, arguments).run()
}

#[test]
fn no_argument() {
    let lab = Lab::new(Network::NAT);
    for hook in ["/etc/qemu-ifup", "/etc/qemu-ifdown"] {
        refused(&lab, USAGE, &[], |lab| run(lab, hook, &[]));
    }
}

#[test]
fn two_arguments() {
    let lab = Lab::new(Network::NAT);
    for hook in ["/etc/qemu-ifup", "/etc/qemu-ifdown"] {
        refused(&lab, USAGE, &[], |lab| run(lab, hook, &["vif0.0", "vif1.0"]));
    }
}

#[test]
fn a_name_that_no_interface_can_have() {
    let lab = Lab::new(Network::NAT);
    for name in ["sixteen-letters-", "a/b", "", ".", "..", "a b"] {
        refused(&lab, USAGE, &[], |lab| run(lab, "/etc/qemu-ifup", &[name]));
    }
}

#[test]
fn a_tap_that_does_not_exist() {
    let lab = Lab::new(Network::NAT);
    refused(&lab, FAILED, &["vif9.0"], |lab| run(lab, "/etc/qemu-ifup", &["vif9.0"]));
}

#[test]
fn a_nic_instead_of_a_tap() {
    let lab = Lab::new(Network::NAT);
    refused(&lab, FAILED, &["eth3"], |lab| run(lab, "/etc/qemu-ifup", &["eth3"]));
    refused(&lab, FAILED, &["eth3"], |lab| run(lab, "/etc/qemu-ifdown", &["eth3"]));
}

#[test]
fn a_tun_instead_of_a_tap() {
    let lab = Lab::new(Network::NAT);
    lab.host.ip("tuntap add dev tun0 mode tun");
    refused(&lab, FAILED, &["tun0"], |lab| run(lab, "/etc/qemu-ifup", &["tun0"]));
}

/// A lab whose guest 1 waits for its hook.
fn about_to_start(network: Network) -> (Lab, Guest) {
    let lab = Lab::new(network);
    let one = lab.boot(1);
    (lab, one)
}

#[test]
fn an_uplink_that_does_not_exist() {
    for network in [Network::ROUTED, Network::NAT, Network::BRIDGED] {
        let (lab, one) = about_to_start(Network { uplink: "uplink  = \"eth9\"\n", ..network });
        refused(&lab, FAILED, &["eth9"], |lab| lab.ifup(&one));
    }
}

#[test]
fn an_uplink_that_cannot_be_taken() {
    let (lab, one) = about_to_start(Network { uplink: "uplink  = \"lo\"\n", ..Network::BRIDGED });
    refused(&lab, FAILED, &["lo"], |lab| lab.ifup(&one));
    let (lab, one) = about_to_start(Network::BRIDGED);
    lab.host.ip("link add br-lan type bridge");
    lab.host.ip("link set eth3 master br-lan");
    refused(&lab, FAILED, &["eth3", "br-lan"], |lab| lab.ifup(&one));
}

#[test]
fn a_bridged_network_that_names_no_uplink() {
    let (lab, one) = about_to_start(Network { uplink: "", ..Network::BRIDGED });
    refused(&lab, USAGE, &["uplink"], |lab| lab.ifup(&one));
}

#[test]
fn a_full_bridge() {
    // A Linux bridge has 1023 ports. With so many interfaces a snapshot of them all would take half a minute.
    let (lab, one) = about_to_start(Network::HOST_ONLY);
    let ports =
        (0..1023).map(|port| format!("link add port{port} type ifb\nlink set port{port} master br0\n"));
    let ports = ports.collect::<String>();
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set br0 up");
    lab.host.enter(|| fs::write("/run/lab/ports", ports)).unwrap();
    lab.host.ip("-batch /run/lab/ports");
    // Without carrier it comes to no end whether another machine has the bridge's address.
    let addresses = || lab.host.ip("addr show dev br0").replace(" tentative", "");
    let bridge = || addresses() + &lab.host.ip("route") + &lab.host.run("nft list ruleset");
    let before = bridge();
    let ran = lab.ifup(&one);
    let line = ran.complains(FAILED);
    assert!(line.contains("br0") && line.contains("vif0.0"), "{line}");
    assert_eq!(bridge(), before);
    assert!(!lab.host.ip("link show dev vif0.0").contains(",UP"), "the tap is as it was");
    lab.host.ip("link del port0");
    lab.ifup(&one).ok();
}

#[test]
fn not_root() {
    let (lab, one) = about_to_start(Network::NAT);
    let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", "/etc/qemu-ifup", "vif0.0"];
    let hook = Hook::new(&lab.host, "/usr/bin/setpriv", &arguments).tap(one.tap_fd());
    refused(&lab, FAILED, &[], |_| hook.run());
}

#[test]
fn no_nftables_in_the_kernel() {
    // The kernel of a machine without nf_tables refuses the socket: so does this one, to this one program.
    let (lab, one) = about_to_start(Network::NAT);
    let trace = "/run/lab/trace";
    let traced = |extra: &[&str]| {
        let arguments =
            [&["-f", "-o", trace, "-e", "trace=socket"], extra, &["/etc/qemu-ifup", "vif0.0"]].concat();
        Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(one.tap_fd()).run()
    };
    traced(&[]).ok();
    lab.ifdown(&one).ok();
    let sockets = lab.host.enter(|| fs::read_to_string(trace)).unwrap();
    let calls = sockets.lines().filter(|line| line.contains("socket("));
    let number =
        calls.clone().position(|call| call.contains("NETLINK_NETFILTER")).expect("the hook speaks nftables");
    let refuse = format!("inject=socket:error=EPROTONOSUPPORT:when={}", number + 1);
    refused(&lab, FAILED, &["nftables"], |_| traced(&["-e", &refuse]));
}

#[test]
fn an_address_that_another_interface_has() {
    let (lab, one) = about_to_start(Network::NAT);
    lab.host.ip("addr add 10.0.100.3/32 dev eth4");
    refused(&lab, FAILED, &["10.0.100.3", "eth4"], |lab| lab.ifup(&one));
    let (lab, one) = about_to_start(Network::HOST_ONLY);
    lab.host.ip("-6 addr add fd00:100::3/128 dev eth4 nodad");
    eventually("its route", || lab.host.run("ip -6 route show table local").contains("fd00:100::3 dev eth4"));
    refused(&lab, FAILED, &["fd00:100::3", "eth4"], |lab| lab.ifup(&one));
}

#[test]
fn a_subnet_that_collides_with_a_route() {
    for route in ["10.0.100.0/24", "10.0.100.128/25", "10.0.0.0/16"] {
        let (lab, one) = about_to_start(Network::NAT);
        lab.host.ip(&format!("route add {route} via 192.168.1.25"));
        refused(&lab, FAILED, &[route], |lab| lab.ifup(&one));
    }
}

#[test]
fn a_bridge_that_carries_the_default_route() {
    for network in [Network::HOST_ONLY, Network::ROUTED, Network::NAT] {
        let (lab, one) = about_to_start(network);
        lab.host.ip("link add br0 type bridge");
        lab.host.ip("addr add 172.20.0.1/24 dev br0");
        lab.host.ip("link set br0 up");
        lab.host.ip("route replace default via 172.20.0.2 dev br0");
        refused(&lab, FAILED, &["br0"], |lab| lab.ifup(&one));
    }
}

#[test]
fn an_isolated_network_on_a_bridge_where_the_host_has_an_address() {
    let (lab, one) = about_to_start(Network::ISOLATED);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("addr add 172.20.0.1/24 dev br0");
    lab.host.ip("link set br0 up");
    refused(&lab, FAILED, &["br0", "172.20.0.1"], |lab| lab.ifup(&one));
}

#[test]
fn a_bridge_name_that_is_no_bridge() {
    let (lab, one) = about_to_start(Network::NAT);
    lab.host.ip("link add br0 type veth peer name br1");
    refused(&lab, FAILED, &["br0"], |lab| lab.ifup(&one));
}

#[test]
fn a_wrong_configuration_names_file_line_and_what_was_meant() {
    let (lab, one) = about_to_start(Network::NAT);
    let wrong: [(&str, &[&str]); 8] = [
        ("mode = \"nat\"\nbrige = \"br0\"\n", &["/etc/kvmnet.conf:2:1", "brige"]),
        ("mode = \"nta\"\n", &["/etc/kvmnet.conf:1:", "nta"]),
        ("mode = \"nat\"\naddress = \"10.0.100.0/24\"\n", &["/etc/kvmnet.conf:2:", "10.0.100.0/24"]),
        ("mode = \"nat\"\naddress = \"10.0.100.255/24\"\n", &["/etc/kvmnet.conf:2:", "10.0.100.255/24"]),
        ("address = 7\n", &["/etc/kvmnet.conf:1:", "address"]),
        ("bridge = \"sixteen-letters-\"\n", &["/etc/kvmnet.conf:1:", "sixteen-letters-"]),
        ("keep = \"yes\"\n", &["/etc/kvmnet.conf:1:", "keep"]),
        ("mode = \n", &["/etc/kvmnet.conf:1:"]),
    ];
    for (text, words) in wrong {
        lab.write_config(text);
        refused(&lab, USAGE, words, |lab| lab.ifup(&one));
    }
    lab.write_config("mode = \"nat\"\nbrige = \"br0\"\n");
    let said = lab.ifup(&one).stderr;
    assert!(said.contains("did you mean") && said.contains("bridge"), "{said}");
}

#[test]
fn two_networks_that_share_a_bridge_or_a_subnet() {
    let (lab, one) = about_to_start(Network::NAT);
    let table = Network::NAT.lab_table();
    lab.write_config(&(Network::NAT.config() + &table.replace("br-lab", "br0")));
    refused(&lab, USAGE, &["br0"], |lab| lab.ifup(&one));
    lab.write_config(&(Network::NAT.config() + &table.replace("10.0.200.3", "10.0.100.77")));
    refused(&lab, USAGE, &["10.0.100."], |lab| lab.ifup(&one));
}

#[test]
fn a_configuration_that_others_may_write() {
    let (lab, one) = about_to_start(Network::NAT);
    lab.host.run("chmod 666 /etc/kvmnet.conf");
    refused(&lab, USAGE, &["/etc/kvmnet.conf"], |lab| lab.ifup(&one));
    lab.host.run("chmod 644 /etc/kvmnet.conf");
    lab.host.run("chown 65534 /etc/kvmnet.conf");
    refused(&lab, USAGE, &["/etc/kvmnet.conf"], |lab| lab.ifup(&one));
}

#[test]
fn a_wrong_override() {
    let (lab, one) = about_to_start(Network::NAT);
    for (name, value) in [
        ("KVMNET_MODE", "nta"),
        ("KVMNET_ADDRESS", "here"),
        ("KVMNET_NETWORK", "no-such"),
        ("KVMNET_CONFIG", "/no/such"),
    ] {
        refused(&lab, USAGE, &[name, value], |lab| lab.hook("/etc/qemu-ifup", &one).env(name, value).run());
    }
}

#[test]
fn a_lock_that_is_never_given_back() {
    let (lab, one) = about_to_start(Network::NAT);
    // As kvmnet makes it: it passes over one that others may open.
    lab.host.run("install -m 600 /dev/null /run/kvmnet.lock");
    let _holder = lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
    eventually("the lock is held", || !lab.host.try_run("flock -n /run/kvmnet.lock true").status.success());
    refused(&lab, FAILED, &["/run/kvmnet.lock"], |lab| lab.ifup(&one));
}

/// Runs the tap's `qemu-ifup` under strace, which has `what` happen to it for good.
fn disturbed(bench: &Bench, what: &[&str]) -> Ran {
    let arguments: Vec<&str> = ["-o", "/dev/null"].iter().chain(what).copied().chain([UP, NAME]).collect();
    Hook::new(&bench.lab.host, "/usr/bin/strace", &arguments).tap(&bench.tap).run()
}

/// A hook that can read no answer of the kernel's any more takes back what it did when its time is over.
#[test]
fn a_hook_that_runs_out_of_time() {
    let bench = Bench::new(Network::NAT);
    let answers = bench.up_calls.iter().filter(|call| call.name == "recvfrom").count();
    let fault = format!("inject=recvfrom:error=EINTR:when={}+", answers - 2);
    let mut monitor = Monitor::start(&bench.lab.host);
    let ran = disturbed(&bench, &["-e", "trace=recvfrom", "-e", &fault]);
    assert_eq!(ran.status, FAILED, "{ran:?}");
    let changes = monitor.changes();
    assert!(changes.iter().any(|line| line.contains(" br0: ")), "it had begun: {changes:?}, {ran:?}");
    bench.assert_off("a hook without time");
}

/// A hook that is stuck for good ends itself, and says so; here it may never write a setting.
#[test]
fn a_hook_that_is_stuck() {
    let bench = Bench::new(Network::NAT);
    let file = "/proc/sys/net/ipv6/conf/br0/accept_ra";
    let ran = disturbed(&bench, &["-P", file, "-e", "trace=write", "-e", "inject=write:error=EINTR"]);
    assert_eq!(ran.status, FAILED, "{ran:?}");
    assert!(ran.stderr.contains("gave up after 30 s"), "{ran:?}");
    bench.hook(UP).ok();
    bench.assert_on("the next run puts right what was begun");
}

/// The host's syslog socket, in its private `/dev`.
fn syslog(lab: &Lab) -> UnixDatagram {
    let socket = lab.host.enter(|| UnixDatagram::bind("/dev/log")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Every line that syslog has been sent by now.
fn logged(socket: &UnixDatagram) -> Vec<String> {
    let mut lines = Vec::new();
    let mut bytes = [0; 4096];
    socket.set_nonblocking(true).unwrap();
    while let Ok(length) = socket.recv(&mut bytes) {
        lines.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
    }
    lines
}

/// The facility of a line's priority value: `<30>` is daemon.info.
fn facility(line: &str) -> u8 {
    let value = line.trim_start_matches('<').split('>').next().unwrap();
    value.parse::<u8>().unwrap() >> 3
}

#[test]
fn syslog_gets_one_line_for_each_action() {
    const DAEMON: u8 = 3;
    let (lab, one) = about_to_start(Network::NAT);
    // What serves such a network has lines of its own.
    lab.write_config("dhcp = false\n");
    let socket = syslog(&lab);
    lab.ifup(&one).ok();
    lab.ifdown(&one).ok();
    let lines = logged(&socket);
    assert_eq!(lines.len(), 2, "one line for up and one for down: {lines:#?}");
    for (hook, line) in ["qemu-ifup", "qemu-ifdown"].iter().zip(&lines) {
        assert!(facility(line) == DAEMON && line.contains(hook) && line.contains("vif0.0"), "{line}");
    }
}

#[test]
fn syslog_gets_the_line_that_stderr_gets() {
    let lab = Lab::new(Network::NAT);
    let socket = syslog(&lab);
    let ran = run(&lab, "/etc/qemu-ifup", &["vif9.0"]);
    let line = ran.complains(FAILED).trim_start_matches("qemu-ifup: ").to_owned();
    let lines = logged(&socket);
    assert!(matches!(&lines[..], [only] if only.contains(&line)), "{line}\n{lines:#?}");
}

#[test]
fn a_machine_without_syslog_works_the_same() {
    let (lab, one) = about_to_start(Network::NAT);
    assert!(!lab.host.enter(|| fs::exists("/dev/log")).unwrap(), "the lab's /dev has no log");
    lab.ifup(&one).ok();
    lab.ifdown(&one).ok();
    run(&lab, "/etc/qemu-ifup", &["vif9.0"]).complains(FAILED);
}

#[test]
fn help_and_version_are_answered() {
    let lab = Lab::new(Network::NAT);
    for hook in ["/etc/qemu-ifup", "/etc/qemu-ifdown"] {
        let name = hook.trim_start_matches("/etc/");
        let help = lab.host.run(&format!("{hook} --help"));
        assert!(help.contains(name) && help.contains("\nExit status: 0 done;"), "{help}");
        assert!(lab.host.run(&format!("{hook} --version")).contains(env!("CARGO_PKG_VERSION")));
    }
}
