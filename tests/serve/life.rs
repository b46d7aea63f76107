//! When it runs, and when it no longer does.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::dns::{A, Answer, ask};
use crate::kit::Serving;
use crate::lab::{Cli, Hook, Network, eventually};

fn kill_hard(pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("a process of the lab");
}

/// The state of a process that nothing of QEMU's has come to.
fn assert_is_clean(pid: Pid) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    let ignored = u64::from_str_radix(&field("SigIgn"), 16).unwrap();
    // Those of the C library's own aside.
    assert_eq!(ignored & 0x7fff_ffff, 0x1000, "only SIGPIPE is ignored, as in every program of kvmnet's");
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets: Vec<String> = files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .map(|path| path.display().to_string())
        .collect();
    assert!(!targets.iter().any(|target| target.contains("tun")), "no tap: {targets:?}");
    let standard = |number: u8| fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
    // In a changed root it has a longer path.
    assert!((0..3).all(|number| standard(number).ends_with("dev/null")), "{targets:?}");
    assert_eq!(fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    let [folder, root] = ["cwd", "root"].map(|link| fs::read_link(format!("/proc/{pid}/{link}")).unwrap());
    assert_eq!(folder, root, "it is in no directory that somebody may want to unmount");
    let session = |pid: Pid| nix::unistd::getsid(Some(pid)).unwrap();
    assert_ne!(session(pid), session(Pid::from_raw(0)), "a session of its own");
}

#[test]
fn it_runs_as_long_as_the_network_and_not_as_the_vm_that_started_it() {
    let serving = Serving::nat();
    let (one, two) = (serving.attach(1), serving.attach(2));
    let server = serving.dnsmasq();
    assert_is_clean(serving.kvmnet());
    let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let root = "Uid:\t0";
    assert!(!status.contains(root) && status.contains("CapEff:\t0000000000003400"), "{status}");
    assert!(status.contains("SigBlk:\t0000000000000000"), "it hears every signal: {status}");
    serving.lab.detach(one);
    serving.lease(&two, "");
    assert_eq!(serving.dnsmasq(), server, "it is the same one");
    serving.lab.detach(two);
    serving.assert_ends();
    let again = serving.attach(1);
    serving.lease(&again, "");
    again.kill();
    serving.lab.host.run("/etc/kvmnet gc");
    serving.assert_ends();
}

/// No udev is here: what watches the network's ports has them swept away who were killed, the last with the network and all.
#[test]
fn killed_guests_are_swept_away() {
    let serving = Serving::nat();
    let (one, two) = (serving.attach(1), serving.attach(2));
    let server = serving.dnsmasq();
    let table = || serving.lab.host.run("nft list tables");
    one.kill();
    serving.lease(&two, "");
    assert_eq!(serving.dnsmasq(), server, "another guest is there");
    assert!(table().contains("kvmnet-br0"));
    two.kill();
    serving.assert_ends();
    eventually("the network is gone", || !table().contains("kvmnet-br0"));
}

#[test]
fn whatever_is_killed_comes_back() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    let first = serving.lease(&one, "web");
    for _ in 0..3 {
        let server = serving.dnsmasq();
        kill_hard(server);
        eventually("another dnsmasq runs", || serving.processes("dnsmasq").iter().any(|pid| *pid != server));
    }
    assert_eq!(serving.lease(&one, "web")["new_ip_address"], first["new_ip_address"]);
    kill_hard(serving.kvmnet());
    eventually("dnsmasq does not outlive it", || serving.processes("dnsmasq").is_empty());
    serving.lab.ifup(&one).ok();
    serving.dnsmasq();
    let again = serving.lease(&one, "web");
    assert_eq!(again["new_ip_address"], first["new_ip_address"]);
    eventually("names are told", || {
        ask(&one, "10.0.100.3", "host.kvm", A) == Answer::Found(vec!["10.0.100.3".to_owned()])
    });
}

#[test]
fn a_network_has_one_server_and_gc_starts_what_is_missing() {
    let serving = Serving::nat();
    let _one = serving.attach(1);
    serving.dnsmasq();
    let said = Cli::new(&serving.lab.host, &["serve", "br0"]).run().ok();
    assert!(said.contains("br0 is served already"), "{said}");
    kill_hard(serving.kvmnet());
    eventually("nobody serves", || serving.processes("dnsmasq").is_empty());
    serving.lab.host.run("/etc/kvmnet gc");
    serving.dnsmasq();
    for interface in ["eth3", "br-none", "lo"] {
        let said = Cli::new(&serving.lab.host, &["serve", interface]).run().ok();
        assert!(said.contains(&format!("nothing is to be served on {interface}")), "{said}");
    }
    assert_eq!(Cli::new(&serving.lab.host, &["serve", "a/b"]).run().status, 2);
}

#[test]
fn two_networks_have_two_servers() {
    let second = Network::NAT.lab_table();
    let serving = Serving::configured(&format!("{}{second}", Network::NAT.config()));
    let one = serving.attach(1);
    let three = serving.attach_in_lab(1);
    let told = [serving.lease(&one, "same"), serving.lease(&three, "same")];
    assert_eq!(told.map(|told| told["new_routers"].clone()), ["10.0.100.3", "10.0.200.3"]);
    assert_eq!(serving.processes("dnsmasq").len(), 2);
    let name = |guest, server| match ask(guest, server, "same.kvm", A) {
        Answer::Found(addresses) => addresses.concat(),
        other => panic!("{other:?}"),
    };
    assert!(name(&one, "10.0.100.3").starts_with("10.0.100."));
    assert!(name(&three, "10.0.200.3").starts_with("10.0.200."));
    serving.lab.detach(one);
    eventually("the first one ends", || serving.processes("dnsmasq").len() == 1);
    serving.lease(&three, "same");
    three.kill();
    serving.lab.host.run("/etc/kvmnet gc");
    serving.assert_ends();
}

/// A file that is edited while a guest is on, by the next start or by `apply`.
#[test]
fn it_follows_the_configuration() {
    let plain = Network::NAT.config();
    let serving = Serving::configured(&format!("{plain}dhcp = false\n"));
    let one = serving.attach(1);
    assert_eq!((serving.processes("kvmnet").len(), serving.try_lease_soon(&one)), (0, false));
    serving.lab.write_config(&plain);
    Cli::new(&serving.lab.host, &["apply", "--yes"]).run().ok();
    let server = serving.dnsmasq();
    let first = serving.lease(&one, "web");
    serving.lab.write_config(&format!("{plain}domain = \"vm.example.org\"\n"));
    serving.lab.ifup(&one).ok();
    eventually("another one knows the other domain", || {
        serving.processes("dnsmasq").iter().all(|pid| *pid != server)
    });
    let second = serving.lease(&one, "web");
    assert_eq!(second["new_domain_name"], "vm.example.org");
    assert_eq!(second["new_ip_address"], first["new_ip_address"], "no lease is lost");
    serving.lab.write_config(&format!("{plain}dhcp = false\n"));
    serving.lab.ifup(&one).ok();
    serving.assert_ends();
}

/// A bridge that was there, with DHCP of somebody else's perhaps, is served only where that is said.
#[test]
fn a_bridge_that_was_there_is_served_where_that_is_said() {
    let plain = Network::NAT.config();
    let serving = Serving::configured(&plain);
    serving.lab.host.ip("link add br0 type bridge");
    serving.lab.host.ip("link set br0 up");
    let one = serving.attach(1);
    assert!(
        serving.processes("kvmnet").is_empty() && !serving.lab.host.ip("link show br0").contains("dhcp=")
    );
    serving.lab.write_config(&format!("{plain}dhcp = true\n"));
    serving.lab.ifup(&one).ok();
    serving.lease(&one, "");
    serving.lab.detach(one);
    serving.assert_ends();
}

#[test]
fn through_a_pair_and_in_other_modes() {
    let serving = Serving::configured(&format!("{}dhcp = true\n", Network::HOST_ONLY_VETH.config()));
    let one = serving.attach(1);
    let told = serving.lease(&one, "web");
    assert_eq!(told.get("new_routers"), None, "there is no way out");
    assert_eq!(told["new_domain_name_servers"], "10.0.100.3");
    let names =
        ["web.kvm", "host.kvm"].map(|name| matches!(ask(&one, "10.0.100.3", name, A), Answer::Found(_)));
    assert_eq!(names, [true, true]);
    assert!(
        matches!(ask(&one, "10.0.100.3", "example.org", A), Answer::Refused(_)),
        "the host asks nobody for it"
    );
    assert_eq!(serving.lab.host.run("/etc/kvmnet serve veth1.1"), "# br0 is served already\n");
    serving.lab.detach(one);
    serving.assert_ends();
    for mode in [Network::ISOLATED, Network::BRIDGED] {
        serving.lab.write_config(&format!("{}dhcp = true\n", mode.config()));
        let one = serving.attach(1);
        assert!(serving.processes("kvmnet").is_empty());
        serving.lab.detach(one);
    }
}

/// The hook says what guests will miss, once, and the network works; dnsmasq that comes later is found.
#[test]
fn without_dnsmasq_the_network_works() {
    let serving = Serving::nat();
    let host = &serving.lab.host;
    host.run("mount --bind /dev/null /usr/sbin/dnsmasq");
    let place = serving.lab.network.guest(1);
    let one = serving.lab.boot_at(&place);
    let first = serving.lab.ifup(&one);
    assert_eq!(first.status, 0);
    assert_eq!(
        first.stderr,
        "qemu-ifup: guests are told no addresses: dnsmasq is missing (Debian: apt-get install dnsmasq-base)\n"
    );
    serving.lab.ifup(&one).ok();
    serving.lab.settle();
    assert!(one.pings_each(&["192.168.1.25".to_owned()]) == [true]);
    serving.kvmnet();
    serving.lab.detach(one);
    serving.assert_ends();
}

/// The byte in the lock file says so: its place, which is the namespace's number, and who has it. Whether systemd would start what
/// serves it is asked before: it says which rights may go.
#[test]
fn a_hook_that_finds_its_network_served_asks_three_things() {
    let calls = |configuration: &str| {
        let serving = Serving::configured(configuration);
        let one = serving.attach(1);
        if !configuration.contains("false") {
            serving.dnsmasq();
        }
        serving.lab.settle();
        let traced = || {
            let arguments = ["-f", "-o", "/run/lab/trace", "/etc/qemu-ifup", one.tap()];
            Hook::new(&serving.lab.host, "/usr/bin/strace", &arguments).tap(one.tap_fd()).run().ok();
            let trace = serving.lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
            trace.lines().filter(|line| line.contains('(') && !line.contains("F_GETFD")).count()
        };
        // The first puts right what came in between.
        traced();
        traced()
    };
    let plain = Network::NAT.config();
    assert_eq!(calls(&plain), calls(&format!("{plain}dhcp = false\n")) + 3);
}

/// In a container that may not mount, its files are in a folder, which it takes with it.
#[test]
fn without_the_right_to_mount() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    serving.dnsmasq();
    kill_hard(serving.kvmnet());
    eventually("nobody serves", || serving.processes("dnsmasq").is_empty());
    let arguments = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "/etc/kvmnet", "serve", "br0"];
    let mut server = serving.lab.host.start("setpriv", &arguments);
    serving.dnsmasq();
    serving.lease(&one, "web");
    let has_folder = || serving.lab.host.enter(|| fs::exists("/run/kvmnet-serve.br0").unwrap());
    assert!(has_folder());
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success(), "{}", server.printed());
    serving.assert_ends();
    assert!(!has_folder());
}

/// dnsmasq has a child for each client that asks over TCP, which waits for minutes, with the port in its hands.
#[test]
fn a_guest_that_asks_for_nothing_over_tcp_is_no_obstacle() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    serving.lease(&one, "");
    let server = serving.dnsmasq();
    let address = SocketAddr::from(([10, 0, 100, 3], 53));
    let silent =
        one.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(5))).expect("a connection");
    eventually("it has a child", || serving.processes("dnsmasq").len() == 2);
    kill_hard(server);
    eventually("another one runs alone", || {
        let all = serving.processes("dnsmasq");
        all.len() == 1 && all[0] != server
    });
    eventually("names are told", || {
        ask(&one, "10.0.100.3", "host.kvm", A) == Answer::Found(vec!["10.0.100.3".to_owned()])
    });
    let again =
        one.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(5))).expect("a connection");
    eventually("it has a child again", || serving.processes("dnsmasq").len() == 2);
    serving.lab.detach(one);
    serving.assert_ends();
    drop((silent, again));
}
