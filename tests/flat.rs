//! What a hook asks and is told is the same beside ten guests and beside five hundred, and however many routes and
//! addresses the host has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fmt::Write;
use std::fs;

use nix::libc;

use lab::bench::{DOWN, UP};
use lab::{Hook, Lab, Network, Process, Tap, eventually};

const FEW: usize = 10;
const MANY: usize = 500;
const ROUTES: usize = 50_000;
const PROCESSES: usize = 200;
/// One part of a dump, as large as the kernel makes them: in that in which the first guest is there may be others.
const PART: usize = 32 * 1024;
/// The guest whose hooks are counted.
const NAME: &str = "vif1.0";

/// What a run of a hook costs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cost {
    /// Its system calls, but for those by which it looks at other processes.
    calls: Vec<String>,
    /// How many bytes the kernel told it.
    told: usize,
}

impl Cost {
    fn of(lab: &Lab, program: &str, tap: &Tap) -> Self {
        let arguments = ["-f", "-y", "-o", "/run/lab/trace", program, NAME];
        Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(tap).run().ok();
        let trace = lab.host.enter(|| fs::read("/run/lab/trace")).unwrap();
        let trace = String::from_utf8_lossy(&trace);
        // A write to a setting begins anew while anybody else on the machine changes a network.
        let is_own = |line: &&str| !line.contains("ERESTARTNOINTR") && !line.contains("F_GETFD");
        let lines: Vec<&str> = trace.lines().filter(|line| line.contains('(')).filter(is_own).collect();
        let told = lines.iter().filter(|line| line.contains("recvfrom("));
        let bytes = |line: &&str| line.rsplit_once(" = ")?.1.trim().parse::<usize>().ok();
        let name = |line: &&str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
        // Whoever has the tap open is found among all processes, and in no other way. What memory a run takes is its own.
        let is_counted =
            |line: &&&str| !["/proc", " brk(", " mmap(", " munmap("].iter().any(|word| line.contains(word));
        let calls = lines.iter().filter(is_counted).filter_map(name).collect();
        Self { calls, told: told.filter_map(bytes).sum() }
    }
}

/// Each guest is an open file, and a root shell may begin with no more than 1024.
fn allow_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole `rlimit` that outlives the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

/// A network with guests whose hooks did their work: the first by its hook, the others as that one left its tap.
struct Crowd {
    lab: Lab,
    taps: Vec<Tap>,
    tap: Tap,
    processes: Vec<Process>,
}

impl Crowd {
    fn new(lab: Lab) -> Self {
        allow_many_files();
        let tap = Tap::open(&lab.host, NAME);
        let first = Tap::open(&lab.host, "vif0.0");
        Hook::new(&lab.host, UP, &["vif0.0"]).tap(&first).run().ok();
        let crowd = Self { lab, taps: vec![first], tap, processes: Vec::new() };
        crowd.settle();
        crowd
    }

    fn settle(&self) {
        eventually("no address of the host is tentative", || {
            self.lab.host.ip("-6 addr show tentative").is_empty()
        });
    }

    fn grow(&mut self, count: usize) {
        let alias = self.lab.host.ip("-o link show vif0.0");
        let alias = alias.split_once("alias ").map(|(_, alias)| alias.trim().to_owned()).unwrap();
        let mut batch = String::new();
        for number in self.taps.len()..count {
            let name = format!("g{number}.0");
            self.taps.push(Tap::open(&self.lab.host, &name));
            writeln!(
                batch,
                "link set {name} alias \"{alias}\"\nlink set {name} master br0\nlink set {name} group 77 up"
            )
            .unwrap();
        }
        self.lab.host.batch(&batch);
        self.settle();
    }

    /// Many routes, addresses and processes.
    fn surround(&mut self) {
        let mut batch = String::new();
        for number in 0..ROUTES {
            let (a, b) = (number / 256, number % 256);
            writeln!(batch, "route add 20.{a}.{b}.0/24 via 10.77.0.2 dev eth4").unwrap();
            if number % 16 == 0 {
                writeln!(batch, "route add 2a00:{a:x}:{b:x}::/48 via fd00:77::2 dev eth4").unwrap();
                writeln!(batch, "route add 21.{a}.{b}.0/24 via 10.77.0.2 dev eth4 table 77").unwrap();
                writeln!(batch, "addr add 10.88.{a}.{b}/32 dev eth4").unwrap();
            }
        }
        self.lab.host.batch(&batch);
        let sleeps = (0..PROCESSES).map(|_| self.lab.host.start("sleep", &["1000"]));
        self.processes.extend(sleeps);
        self.settle();
    }

    /// The taps go at once: one by one, each would cost the kernel a pause.
    fn end(self) {
        self.lab.host.ip("link delete group 77");
    }

    /// What a guest costs that comes, and goes again.
    fn costs(&self) -> [Cost; 2] {
        [UP, DOWN].map(|hook| Cost::of(&self.lab, hook, &self.tap))
    }
}

#[track_caller]
fn assert_same(what: &str, few: &[Cost; 2], many: &[Cost; 2]) {
    for (hook, (few, many)) in ["ifup", "ifdown"].iter().zip(few.iter().zip(many)) {
        println!("{what} {hook}: {} calls, {} bytes", few.calls.len(), few.told);
        assert_eq!(few.calls, many.calls, "{what}: calls of {hook}, {} bytes, then {}", few.told, many.told);
        assert!(many.told < few.told + PART, "{what}: {hook} was told {}, and {} bytes", few.told, many.told);
    }
}

#[track_caller]
fn is_flat(lab: Lab) {
    let mode = lab.network.mode;
    let mut crowd = Crowd::new(lab);
    crowd.grow(FEW);
    // The first time may find what is only there from then on.
    crowd.costs();
    let few = crowd.costs();
    crowd.grow(MANY);
    assert_same(&format!("{mode}, {FEW} and {MANY} guests"), &few, &crowd.costs());
    crowd.surround();
    assert_same(&format!("{mode}, many routes and processes"), &few, &crowd.costs());
    crowd.end();
}

/// A lab with a bridge that was there before.
fn with_bridge(network: Network) -> Lab {
    let lab = Lab::new(network);
    lab.host.ip("link add br0 address 02:00:00:00:00:b0 type bridge");
    lab.host.ip("link set br0 up");
    lab
}

#[test]
fn nat() {
    is_flat(Lab::new(Network::NAT));
}

#[test]
fn nat_by_routes() {
    is_flat(Lab::new(Network::NAT_BY_ROUTES));
}

/// Nothing is configured: the subnets are chosen once.
#[test]
fn what_is_built_in() {
    let lab = Lab::new(Network::NAT_BY_ROUTES);
    lab.write_config("dhcp = false\n");
    is_flat(lab);
}

#[test]
fn isolated() {
    is_flat(Lab::new(Network::ISOLATED));
}

#[test]
fn host_only_by_a_pair() {
    is_flat(Lab::new(Network::HOST_ONLY_VETH));
}

#[test]
fn bridged() {
    is_flat(Lab::new(Network::BRIDGED));
}

#[test]
fn a_found_bridge() {
    is_flat(with_bridge(Network::NAT));
}
