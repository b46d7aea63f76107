//! Hooks of many guests at once, in any order, do what they would do one after the other: each succeeds, and each
//! network is there for as long as it has a guest. No lock outlives its holder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "race/beside.rs"]
mod beside;
mod lab;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;
use std::thread;

use lab::bench::{DOWN, UP, is_long, settled};
use lab::{Bench, Hook, Lab, Network, Ran, Random, Snapshot, Tap, eventually};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{major, minor};
use nix::unistd::Pid;

/// Guests of each of the two networks.
const GUESTS: usize = 25;

/// A guest that may be there or not.
struct Guest {
    name: String,
    /// Its tap, while it runs.
    tap: Option<Tap>,
    /// Its `qemu-ifup` was the last hook it had.
    is_on: bool,
}

/// Two networks of one host, and every state that they can be in.
struct Crowd {
    lab: Lab,
    /// Those of the network `default` first, then those of `lab`.
    guests: Vec<Guest>,
    /// Indexed by whether `default` has guests, and `lab`; the rules of the two stand in the order of their making.
    states: [[Vec<Snapshot>; 2]; 2],
    random: Random,
    ups: usize,
    downs: usize,
    kills: usize,
}

const BRIDGES: [&str; 2] = ["br0", "br-lab"];

impl Crowd {
    #[track_caller]
    fn new() -> Self {
        let lab = Lab::new(Network::NAT);
        lab.write_config(&format!("{}{}", Network::NAT.config(), Network::ISOLATED.lab_table()));
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        let guest = |name: String| Guest { name, tap: None, is_on: false };
        let names =
            ["vif", "lab"].into_iter().flat_map(|kind| (0..GUESTS).map(move |n| format!("{kind}{n}.0")));
        let guests = names.map(guest).collect();
        let random = Random::new(0x72_6163_6573);
        let mut crowd = Self { lab, guests, states: Default::default(), random, ups: 0, downs: 0, kills: 0 };
        crowd.learn();
        crowd
    }

    /// Lets one guest of each network come and go in both orders.
    #[track_caller]
    fn learn(&mut self) {
        let (default, other) = (0, GUESTS);
        self.remember();
        for at in [default, other, default, default, other, default] {
            self.guests[at].is_on ^= true;
            self.at_once(&[at]);
            self.remember();
        }
        assert_eq!(self.states[1][1].len(), 2, "both networks were there, in both orders");
    }

    #[track_caller]
    fn remember(&mut self) {
        let has_guests = self.has_guests();
        (0..2).filter(|at| has_guests[*at]).for_each(|at| self.lab.settle_bridge(BRIDGES[at]));
        let now = settled(&self.lab);
        let states = &mut self.states[usize::from(has_guests[0])][usize::from(has_guests[1])];
        if !states.contains(&now) {
            states.push(now);
        }
    }

    fn has_guests(&self) -> [bool; 2] {
        let (default, lab) = self.guests.split_at(GUESTS);
        [default, lab].map(|guests| guests.iter().any(|guest| guest.is_on))
    }

    /// Runs the hooks of these guests at once, each towards what the guest is to be; each must succeed.
    #[track_caller]
    fn at_once(&mut self, order: &[usize]) {
        for at in order {
            let guest = &mut self.guests[*at];
            if guest.tap.is_none() {
                guest.tap = Some(Tap::open(&self.lab.host, &guest.name));
            }
            *if guest.is_on { &mut self.ups } else { &mut self.downs } += 1;
        }
        let start = Barrier::new(order.len());
        let run = |at: usize| {
            let Guest { name, tap, is_on } = &self.guests[at];
            let hook = Hook::new(&self.lab.host, if *is_on { UP } else { DOWN }, &[name]);
            let hook = hook.tap(tap.as_ref().expect("it was opened"));
            start.wait();
            hook.run()
        };
        let ran: Vec<Ran> = thread::scope(|scope| {
            let hooks: Vec<_> = order.iter().map(|at| scope.spawn(|| run(*at))).collect();
            hooks.into_iter().map(|hook| hook.join().expect("a hook ends")).collect()
        });
        ran.into_iter().for_each(Ran::ok);
    }

    /// These guests are killed, so that no hook runs for them.
    #[track_caller]
    fn kill(&mut self, guests: &[usize]) {
        for at in guests {
            let guest = &mut self.guests[*at];
            self.kills += usize::from(guest.is_on);
            (guest.tap, guest.is_on) = (None, false);
        }
        let is_killed = |name: &str| guests.iter().any(|at| self.guests[*at].name == name);
        // A child of another test's, between its fork and its exec, may have a file of ours for a moment longer.
        eventually("their taps are gone", || {
            let links = self.lab.host.ip("-o link show");
            !links.lines().filter_map(|line| line.split(": ").nth(1)).any(is_killed)
        });
    }

    /// A part of the guests comes, goes, or is killed without a hook; in random order, all at once.
    #[track_caller]
    fn storm(&mut self) {
        let mut order: Vec<usize> = (0..self.guests.len()).collect();
        self.random.shuffle(&mut order);
        let length = 1 + self.random.below(order.len());
        order.truncate(length);
        // At least one hook runs, and sweeps.
        let killed = order.split_off(length.min(1 + self.random.below(length)));
        self.kill(&killed);
        order.iter().for_each(|at| self.guests[*at].is_on ^= true);
        self.at_once(&order);
        self.assert_networks_are_their_guests();
    }

    #[track_caller]
    fn all_leave(&mut self) {
        let mut order: Vec<usize> = (0..self.guests.len()).filter(|at| self.guests[*at].is_on).collect();
        self.random.shuffle(&mut order);
        order.iter().for_each(|at| self.guests[*at].is_on = false);
        self.at_once(&order);
    }

    #[track_caller]
    fn assert_networks_are_their_guests(&self) {
        for (at, guests) in self.guests.chunks(GUESTS).enumerate() {
            let wanted: BTreeSet<&str> =
                guests.iter().filter(|guest| guest.is_on).map(|guest| guest.name.as_str()).collect();
            let ports = self.lab.host.try_run(&format!("ip -o link show master {}", BRIDGES[at])).stdout;
            let ports = String::from_utf8(ports).unwrap();
            let ports: BTreeSet<&str> = ports.lines().filter_map(|line| line.split(": ").nth(1)).collect();
            assert_eq!(ports, wanted, "the ports of {} are its live guests", BRIDGES[at]);
        }
        self.assert_state();
    }

    /// Each network is there if it has guests, and as it should be.
    #[track_caller]
    fn assert_state(&self) {
        let [default, lab] = self.has_guests();
        let wanted: Vec<&Snapshot> = self.states[usize::from(default)][usize::from(lab)].iter().collect();
        let what = format!("the default network has guests: {default}, the other: {lab}");
        self.lab.assert_is_one_of(&what, &wanted);
    }
}

#[test]
fn fifty_guests_come_and_go_at_once() {
    let mut crowd = Crowd::new();
    let rounds = if is_long() { 20 } else { 3 };
    for _ in 0..rounds {
        for _ in 0..4 {
            crowd.storm();
        }
        crowd.all_leave();
        crowd.assert_state();
        assert_eq!(crowd.has_guests(), [false, false], "all have left");
    }
    let all: Vec<usize> = (0..crowd.guests.len()).collect();
    crowd.guests.iter_mut().for_each(|guest| guest.is_on = true);
    crowd.at_once(&all);
    crowd.assert_networks_are_their_guests();
    crowd.all_leave();
    crowd.assert_state();
    let Crowd { ups, downs, kills, .. } = crowd;
    println!("{rounds} rounds: {ups} guests came, {downs} went, {kills} were killed");
    assert!(ups >= 100 && downs >= 50 && kills >= 10, "many guests come, go and are killed");
}

#[test]
fn up_and_down_of_one_tap_at_once_leave_it_either_on_or_off() {
    let bench = Bench::new(Network::NAT);
    let mut ons = 0;
    let rounds = if is_long() { 200 } else { 20 };
    for round in 0..rounds {
        let start = Barrier::new(2);
        let run = |program| {
            start.wait();
            bench.hook(program)
        };
        let ran = thread::scope(|scope| {
            let order = if round % 2 == 0 { [UP, DOWN] } else { [DOWN, UP] };
            order.map(|program| scope.spawn(move || run(program))).map(|hook| hook.join().unwrap())
        });
        ran.into_iter().for_each(Ran::ok);
        if bench.lab.host.ip("link show dev vif0.0").contains("master br0") {
            ons += 1;
            bench.assert_on("up came last");
            bench.hook(DOWN).ok();
        }
        bench.assert_off("down came last");
    }
    println!("{rounds} races: {ons} on, {} off", rounds - ons);
}

/// The lines of /proc/locks about kvmnet's lock.
fn locks(lab: &Lab) -> Vec<String> {
    let (file, locks) =
        lab.host.enter(|| (fs::metadata("/run/kvmnet.lock"), fs::read_to_string("/proc/locks")));
    let Ok(file) = file else { return Vec::new() };
    let place = format!(" {:02x}:{:02x}:{} ", major(file.dev()), minor(file.dev()), file.ino());
    locks.unwrap().lines().filter(|line| line.contains(&place)).map(str::to_owned).collect()
}

/// How many wait for kvmnet's lock.
fn waiters(lab: &Lab) -> usize {
    locks(lab).iter().filter(|line| line.contains(" -> FLOCK ")).count()
}

/// The process that holds kvmnet's lock.
fn holder(lab: &Lab) -> Option<Pid> {
    let locks = locks(lab);
    let held = locks.iter().find(|line| line.contains(" FLOCK ") && !line.contains(" -> "))?;
    Some(Pid::from_raw(held.split_whitespace().nth(4)?.parse().ok()?))
}

/// A hook that waits its ten seconds out.
#[track_caller]
fn gives_up(program: &str) {
    let bench = Bench::new(Network::NAT);
    if program == DOWN {
        bench.hook(UP).ok();
        bench.assert_on("the guest is on");
    }
    let before = Snapshot::of(&bench.lab.host);
    let process = bench.lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
    eventually("the lock is held", || holder(&bench.lab) == Some(process.pid()));
    let ran = bench.hook(program);
    let line = ran.complains(1);
    let wanted = format!("process {} holds /run/kvmnet.lock", process.pid());
    assert!(line.contains(&wanted), "the line must say `{wanted}`: {line}");
    bench.assert_is("a hook that gave up", &before);
}

#[test]
fn up_gives_up_on_a_held_lock_and_names_the_holder() {
    gives_up(UP);
}

#[test]
fn down_gives_up_on_a_held_lock_and_names_the_holder() {
    gives_up(DOWN);
}

#[test]
fn a_killed_holder_leaves_no_lock() {
    let bench = Bench::new(Network::NAT);
    for program in [UP, DOWN] {
        let mut process = bench.lab.host.start("flock", &["--no-fork", "/run/kvmnet.lock", "sleep", "60"]);
        eventually("the lock is held", || holder(&bench.lab) == Some(process.pid()));
        let ran = thread::scope(|scope| {
            let hook = scope.spawn(|| bench.hook(program));
            eventually("the hook waits", || waiters(&bench.lab) == 1);
            process.signal(Signal::SIGKILL);
            process.wait();
            hook.join().unwrap()
        });
        ran.ok();
    }
    bench.assert_off("the guest came and went");
}

#[test]
fn those_who_wait_for_a_hook_that_is_killed_all_go_on() {
    const WAITING: usize = 5;
    let bench = Bench::new(Network::NAT);
    let names: Vec<String> = (1..=WAITING).map(|number| format!("vif{number}.0")).collect();
    let taps: Vec<Tap> = names.iter().map(|name| Tap::open(&bench.lab.host, name)).collect();
    let all_run = |program| -> Vec<Ran> {
        let run = |(name, tap): (&String, &Tap)| Hook::new(&bench.lab.host, program, &[name]).tap(tap).run();
        thread::scope(|scope| {
            let hooks: Vec<_> = names.iter().zip(&taps).map(|one| scope.spawn(move || run(one))).collect();
            hooks.into_iter().map(|hook| hook.join().unwrap()).collect()
        })
    };
    let sends: Vec<_> = bench.up_calls.iter().filter(|call| call.name == "sendto").collect();
    for call in [sends[0], sends[sends.len() / 2], sends[sends.len() - 1]] {
        let mut ran = Vec::new();
        let killed = bench.hook_standing(UP, call, || {
            thread::scope(|scope| {
                let waiting = scope.spawn(|| all_run(UP));
                eventually("they wait", || waiters(&bench.lab) == WAITING);
                kill(holder(&bench.lab).expect("the hook holds the lock"), Signal::SIGKILL).unwrap();
                ran = waiting.join().unwrap();
            });
        });
        assert_eq!(killed.expect("the hook stood still").status, -1, "it was killed");
        assert_eq!(ran.len(), WAITING);
        ran.into_iter().for_each(Ran::ok);
        bench.hook(UP).ok();
        bench.assert_on("the killed hook's guest has come, too");
        all_run(DOWN).into_iter().for_each(Ran::ok);
        bench.hook(DOWN).ok();
        bench.assert_off("all have gone");
    }
}

/// A user who holds the lock of a file that was made beforehand and may be opened by all.
#[test]
fn no_user_holds_a_hook_up() {
    for (what, user) in [("-m 644 /dev/null", "65534"), ("-o 65534 -m 600 /dev/null", "65534")] {
        let bench = Bench::new(Network::NAT);
        let lab = &bench.lab;
        lab.host.run("rm /run/kvmnet.lock");
        lab.host.run(&format!("install {what} /run/kvmnet.lock"));
        let words =
            ["--reuid", user, "--clear-groups", "flock", "--no-fork", "/run/kvmnet.lock", "sleep", "100"];
        let mut process = lab.host.start("setpriv", &words);
        eventually("the user has locked it", || !locks(lab).is_empty());
        let taps: Vec<(String, Tap)> = (1..6)
            .map(|number| format!("vif{number}.0"))
            .map(|name| {
                let tap = Tap::open(&lab.host, &name);
                (name, tap)
            })
            .collect();
        // All at once: one of them puts a new file there.
        let all = |program: &str| {
            thread::scope(|scope| {
                let run = |(name, tap): &(String, Tap)| Hook::new(&lab.host, program, &[name]).tap(tap).run();
                let hooks: Vec<_> = taps.iter().map(|tap| scope.spawn(move || run(tap))).collect();
                hooks.into_iter().for_each(|hook| hook.join().unwrap().ok());
            });
        };
        all(UP);
        let about = lab.host.run("stat -c %U:%a:%F /run/kvmnet.lock");
        assert_eq!(about.trim_end(), "root:600:regular empty file", "{what}");
        assert!(!lab.host.run("ls /run").contains("lock.new"), "nothing is left beside it");
        assert!(!process.has_ended(), "the user still has the old file");
        process.signal(Signal::SIGKILL);
        process.wait();
        all(DOWN);
        bench.assert_off("all have gone");
    }
}

/// What else may be at the place of the lock.
#[test]
fn what_is_no_file_gives_way_to_the_lock() {
    let bench = Bench::new(Network::NAT);
    for made in ["ln -s /run/elsewhere /run/kvmnet.lock", "mkfifo -m 600 /run/kvmnet.lock"] {
        bench.lab.host.run("rm -f /run/kvmnet.lock");
        bench.lab.host.run(made);
        bench.hook(UP).ok();
        bench.assert_on(made);
        let about = bench.lab.host.run("stat -c %a:%F /run/kvmnet.lock");
        assert_eq!(about.trim_end(), "600:regular empty file", "{made}");
        assert!(!bench.lab.host.run("ls /run").contains("elsewhere"), "a link is not followed");
        bench.hook(DOWN).ok();
    }
}
