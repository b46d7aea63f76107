//! `kvmnet run`.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::kit::{ALICE, VMS, becomes, config, files, kvmnet, lab, ports, status};
use crate::lab::bench::settled;
use crate::lab::{Cli, Image, Lab, Network, Process, Said, Snapshot, Tap, Vm, eventually, turn};

/// Runs a script in the place of QEMU.
fn script(lab: &Lab, options: &[&str], script: &str, arguments: &[&str]) -> Said {
    let words = [&["run"], options, &["--", "/bin/sh", "-c", script, "qemu"], arguments].concat();
    Cli::new(&lab.host, &words).env("PATH", "/usr/bin:/bin").run()
}

/// What a program is that was started so, and what it is told.
#[test]
fn the_program_is_a_users_without_rights() {
    let lab = lab(Network::NAT);
    let before = settled(&lab);
    let words = "cat /proc/self/status; env; echo \"ends with\" \"$@\"; readlink /proc/self/fd/*; exit 7";
    let said = Cli::new(&lab.host, &["run", "--", "/bin/sh", "-c", words, "qemu", "-name", "web"])
        .env("PATH", "/usr/bin:/bin")
        .env("SUDO_UID", &ALICE.to_string())
        .env("KVMNET_MODE", "nat")
        .env("HOME", "/root")
        .run();
    assert_eq!((said.status, said.err.as_str()), (7, ""), "the status is the program's own");
    let has =
        |line: &str| assert!(said.out.lines().any(|one| one == line), "{line:?} must be in {}", said.out);
    has(&format!("Uid:\t{ALICE}\t{ALICE}\t{ALICE}\t{ALICE}"));
    has(&format!("Gid:\t{ALICE}\t{ALICE}\t{ALICE}\t{ALICE}"));
    assert!(said.out.contains(&format!("Groups:\t{ALICE} {VMS}")), "{}", said.out);
    for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
        has(&format!("Cap{set}:\t0000000000000000"));
    }
    has("NoNewPrivs:\t1");
    has("SigBlk:\t0000000000000000");
    has("HOME=/home/alice");
    has("USER=alice");
    has("LOGNAME=alice");
    assert!(!said.out.contains("KVMNET_"), "{}", said.out);
    assert_eq!(said.out.matches("/dev/net/tun").count(), 1, "{}", said.out);
    assert!(!said.out.contains("kvmnet.lock"), "{}", said.out);
    let options = "ends with -name web -netdev tap,id=kvmnet0,fd=";
    assert!(
        said.out.contains(options) && said.out.contains(" -device virtio-net-pci,netdev=kvmnet0,mac=56:")
    );
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("the program has ended", &before);
}

/// Who is in no file of this machine but in a directory service is who sudo says; others say it by other names.
#[test]
fn the_program_is_whose_sudo_says() {
    let lab = lab(Network::NAT);
    let words = ["run", "--", "/bin/sh", "-c", "id; echo $HOME $USER"];
    let started = |variables: &[(&str, &str)]| {
        let cli = Cli::new(&lab.host, &words).env("PATH", "/usr/bin:/bin");
        variables.iter().fold(cli, |cli, (name, value)| cli.env(name, value)).run()
    };
    let of_sudo = [("SUDO_UID", "4711"), ("SUDO_GID", "4712"), ("SUDO_USER", "carol")];
    let said = started(&of_sudo).ok();
    assert_eq!(said, format!("uid=4711 gid=4712 groups=4712,{VMS}(vms)\n/ carol\n"));
    started(&of_sudo[..1]).complains(2);
    for caller in [("DOAS_USER", "alice".to_owned()), ("PKEXEC_UID", ALICE.to_string())] {
        let said = started(&[(caller.0, &caller.1)]).ok();
        assert!(said.starts_with(&format!("uid={ALICE}(alice)")), "{said}");
    }
}

/// While it runs, its tap is on the network, and other programs of kvmnet's are not held up.
#[test]
fn the_tap_is_on_its_network() {
    let lab = lab(Network::NAT);
    lab.write_config(&format!("{}{}", config(Network::NAT), Network::ISOLATED.lab_table()));
    let before = settled(&lab);
    let show = "ip -o link show type tun; exec kvmnet status";
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", Path::new(&kvmnet()).parent().unwrap().display());
    for (options, tap, bridge) in [
        (&[][..], "kvm0", "br0"),
        (&["--network", "lab"], "kvm0", "br-lab"),
        (&["--tap", "lab7"], "lab7", "br-lab"),
        (&["--tap", "x%dy", "--queues", "3"], "x0y", "br0"),
    ] {
        let words = [&["run", "--user", "alice"], options, &["--", "sh", "-c", show]].concat();
        let said = Cli::new(&lab.host, &words).env("PATH", &path).run();
        assert!(
            said.out.contains(&format!("{tap}: <")) && said.out.contains(&format!("master {bridge}")),
            "{said:?}"
        );
        Cli::new(&lab.host, &["gc"]).run().ok();
        lab.assert_as_before("the program has ended", &before);
    }
}

/// Whoever cannot be given what was asked for is told, and nothing is left.
#[test]
fn what_cannot_be_run() {
    let lab = lab(Network::NAT);
    let before = settled(&lab);
    let run =
        |words: &[&str]| Cli::new(&lab.host, &[&["run"], words].concat()).env("PATH", "/usr/bin:/bin").run();
    let _taken = Tap::open(&lab.host, "taken0");
    let before = {
        let _ = before;
        settled(&lab)
    };
    for (words, code, what) in [
        (&["--user", "alice", "--", "no-such-program"][..], 127, "cannot run no-such-program: No such file"),
        (&["--user", "alice", "--", "/etc/passwd"], 126, "cannot run /etc/passwd: Permission denied"),
        (&["--", "/nowhere/qemu"], 127, "cannot run /nowhere/qemu"),
        (&["--user", "nobody-knows", "--", "true"], 2, "no user \"nobody-knows\""),
        (&["--user", "4711", "--", "true"], 2, "no user \"4711\""),
        (&["--network", "nowhere", "--", "true"], 2, "no network \"nowhere\""),
        (&["--tap", "taken0", "--", "true"], 1, "taken0"),
        (&["--tap", "eth3", "--", "true"], 1, "eth3"),
        (&["--tap", "a/b", "--", "true"], 2, "a/b"),
        (&["--queues", "0", "--", "true"], 2, "0"),
        (&["--queues", "257", "--", "true"], 2, "257"),
        (&["--", "true", "{net}", "{net}"], 2, "more than once"),
        (&["true"], 2, "true"),
        (&[], 2, "COMMAND"),
    ] {
        let said = run(words).complains(code);
        assert!(said.contains(what), "{words:?}: {said}");
        lab.assert_as_before("nothing was run", &before);
    }
    lab.write_config("mode = \"bridged\"\nuplink = \"eth9\"\n");
    assert!(run(&["--", "true"]).complains(1).contains("eth9"));
    lab.assert_as_before("nothing was run", &before);
    let said = Cli::new(&lab.host, &["run", "--", "true"]).user(ALICE).run().complains(1);
    assert!(said.contains("only root"), "{said}");
}

/// Where the program cannot be run and the network stands already, it stands as before.
#[test]
fn a_network_with_guests_is_as_before() {
    let lab = lab(Network::NAT);
    let one = lab.attach(1);
    lab.settle();
    let before = settled(&lab);
    Cli::new(&lab.host, &["run", "--user", "alice", "--", "/etc/passwd"]).run().complains(126);
    lab.assert_as_before("nothing was run", &before);
    assert!(one.pings("192.168.1.25"));
}

/// A user who has the capability, and is let in to the lock.
#[test]
fn with_a_capability_instead_of_root() {
    let lab = lab(Network::NAT);
    lab.host.run(&format!("install -m 660 -g {VMS} /dev/null /run/kvmnet.lock"));
    let before = settled(&lab);
    let (alice, groups) = (ALICE.to_string(), format!("{ALICE},{VMS}"));
    let user = ["--reuid", &alice, "--regid", &alice, "--groups", &groups];
    let caps = ["--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"];
    let show = "cat /proc/self/status; ip -o link show type tun";
    let kvmnet = kvmnet();
    let words = [&user[..], &caps, &[&kvmnet, "run", "--", "/bin/sh", "-c", show]].concat();
    let output = lab.host.enter(|| {
        let mut command = std::process::Command::new("setpriv");
        command.args(&words).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).output().unwrap()
    });
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("kvm0: <") && said.contains("master br0"), "{said}");
    for set in ["Inh", "Prm", "Eff", "Amb"] {
        assert!(said.contains(&format!("Cap{set}:\t0000000000000000")), "{said}");
    }
    assert!(said.contains("NoNewPrivs:\t1") && said.contains(&format!("Uid:\t{ALICE}\t{ALICE}")), "{said}");
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("the program has ended", &before);
}

/// The MAC is one VM's, at each of its starts.
#[test]
fn a_mac_for_each_name() {
    let lab = lab(Network::NAT);
    let mac = |name: &[&str], options: &[&str]| {
        let said = script(&lab, options, "echo \"$@\"", name).ok();
        said.trim().rsplit_once("mac=").unwrap().1.split(',').next().unwrap().to_owned()
    };
    let web = mac(&["-name", "web"], &[]);
    assert_eq!(mac(&["-name", "guest=web,debug-threads=on"], &["--tap", "other"]), web);
    assert_ne!(mac(&["-name", "db"], &[]), web);
    assert_eq!(mac(&[], &["--tap", "a0"]), mac(&[], &["--tap", "a0"]));
    assert_ne!(mac(&[], &["--tap", "a0"]), mac(&[], &["--tap", "a1"]));
    // Another one of that name runs, where a guest has its MAC for itself.
    lab.write_config(&Network::NAT.config());
    let other =
        lab.host.start(&kvmnet(), &["run", "--", "/bin/sh", "-c", "exec sleep 60", "qemu", "-name", "web"]);
    becomes(&other, "sleep");
    assert!(lab.host.ip("link show kvm0").contains(&web));
    assert_ne!(mac(&["-name", "web"], &[]), web);
    drop(other);
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.write_config(&(config(Network::NAT) + "guest_mac = \"52:54:00:aa:bb:cc\"\n"));
    assert_eq!(mac(&["-name", "web"], &[]), "52:54:00:aa:bb:cc");
}

/// QEMU with a guest, by `kvmnet run`.
fn start(lab: &Lab, name: &str, options: &[&str], arguments: &[&str]) -> Vm {
    let words = [&["run", "--user", "alice"], options, &["--", "qemu-system-x86_64", "-name", name]].concat();
    let before: Vec<String> =
        std::iter::once(kvmnet()).chain(words.iter().map(|&word| word.to_owned())).collect();
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    // alice's QEMU makes its socket there.
    lab.host.run("chmod 1777 /run/lab");
    Vm::start_by(&lab.host, &before, name, &Image::busybox(), &arguments)
}

fn address(vm: &mut Vm, number: u8) {
    vm.booted();
    vm.must(&format!(
        "ip addr add 10.0.100.{number}/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.100.3 && \
         until grep -q 1 /sys/class/net/eth0/carrier; do sleep 0.1; done"
    ));
}

fn is_without_rights(process: &Process) {
    assert_eq!(status(process, "Uid"), [ALICE.to_string().as_str(); 4].join("\t"));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(process, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(process, "NoNewPrivs"), "1");
}

/// Two guests reach each other and the outside, each the only process, with the sandbox that lets QEMU start nothing.
#[test]
fn two_guests_of_qemu() {
    let lab = lab(Network::NAT);
    let before = settled(&lab);
    let _turn = turn();
    let sandbox = ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];
    let mut one = start(&lab, "one", &[], &sandbox);
    let own = ["-nic", "tap,{net},model=e1000,mac={mac}", "-sandbox", "on,spawn=deny"];
    let mut two = start(&lab, "two", &["--queues", "1"], &own);
    address(&mut one, 1);
    address(&mut two, 2);
    for vm in [&one, &two] {
        let process = vm.process();
        becomes(process, "qemu-system");
        is_without_rights(process);
        let taps = files(process).into_iter().filter(|(_, target)| target.ends_with("net/tun")).count();
        assert_eq!(taps, 1, "{:?}", files(process));
        assert!(!files(process).iter().any(|(_, target)| target.contains("kvmnet")), "{:?}", files(process));
        // The test is its parent: nobody is between them.
        assert_eq!(status(process, "PPid"), std::process::id().to_string());
    }
    assert!(one.pings("10.0.100.2") && one.pings("192.168.1.25") && two.pings("192.168.1.25"));
    assert_eq!(ports(&lab, "br0"), ["kvm0", "kvm1"]);
    let said = Cli::new(&lab.host, &["status"]).run().ok();
    assert!(said.contains("one") && said.contains("two"), "{said}");
    drop(two);
    eventually("its tap went with it", || ports(&lab, "br0") == ["kvm0"]);
    one.process().signal(Signal::SIGKILL);
    eventually("its tap went with it", || ports(&lab, "br0").is_empty());
    Cli::new(&lab.host, &["gc"]).run().ok();
    lab.assert_as_before("both are gone", &before);
}

/// A virtio NIC with several queues.
#[test]
fn a_guest_with_queues() {
    let lab = lab(Network::NAT);
    let _turn = turn();
    let mut one = start(&lab, "one", &["--queues", "4"], &[]);
    address(&mut one, 1);
    let taps = files(one.process()).into_iter().filter(|(_, target)| target.ends_with("net/tun")).count();
    assert_eq!(taps, 4);
    let vhosts = files(one.process()).into_iter().filter(|(_, target)| target.ends_with("vhost-net")).count();
    assert_eq!(vhosts, if Path::new("/dev/vhost-net").exists() { 4 } else { 0 });
    assert!(one.pings("192.168.1.25"));
}

/// A persistent tap for several queues, and one that is there already.
#[test]
fn a_ready_tap_with_queues() {
    let lab = lab(Network::NAT);
    let before: Snapshot = settled(&lab);
    let kvmnet = |words: &[&str]| Cli::new(&lab.host, words).run();
    let said = kvmnet(&["attach", "--create", "--queues", "2", "--user", "alice", "fc0"]).ok();
    assert!(said.starts_with("ip tuntap add fc0 mode tap multi_queue user alice\n"), "{said}");
    assert!(lab.host.ip("-d link show fc0").contains("multi_queue"));
    for words in [&["--queues", "1"][..], &["--queues", "1", "--user", "alice"]] {
        let words = [&["attach", "--create"], words, &["fc0"]].concat();
        assert!(kvmnet(&words).complains(1).contains("for several queues"));
    }
    kvmnet(&["attach", "--create", "--queues", "4", "fc0"]).ok();
    kvmnet(&["attach", "--create", "fc0"]).ok();
    kvmnet(&["detach", "--delete", "fc0"]).ok();
    lab.assert_as_before("the tap is gone", &before);
    kvmnet(&["attach", "--create", "fc1"]).ok();
    let said = kvmnet(&["attach", "--create", "--queues", "2", "fc1"]).complains(1);
    assert!(said.contains("with one queue") && said.contains("kvmnet detach --delete fc1"), "{said}");
    assert_eq!(kvmnet(&["attach", "--queues", "2", "fc2"]).status, 2);
    kvmnet(&["detach", "--delete", "fc1"]).ok();
    lab.assert_as_before("the tap is gone", &before);
}
