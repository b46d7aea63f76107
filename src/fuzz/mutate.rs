//! Each target with bytes that are nearly right: those of the corpus, with a few changes.
//!
//! The numbers are the same in every run, so a case that is found is found again. With KVMNET_TEST_LONG each target has a
//! minute, and the case that it began with is another one each time.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

/// How many cases each target has.
const CASES: usize = 3_000;
const LONG: Duration = Duration::from_secs(60);
/// A case is no larger.
const MAX_SIZE: usize = 4096;

/// Lengths and numbers at which something may end.
const NUMBERS: [u16; 16] = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 0x7fff, 0x8000, 0xfff8, 0xfffc, 0xffff];

/// Pieces of text that mean something somewhere.
const PIECES: [&str; 48] = [
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    "\n",
    "\r",
    "\0",
    "\u{feff}",
    "é",
    "\\u",
    "#",
    "[network.lab]\n",
    "mode = ",
    "/",
    "\u{202e}",
    "9999999999999999999999",
    " was=",
    " made",
    " more",
    " nic=eth3@2",
    " addr=10.1.1.1/24",
    ":f=0",
    "@4294967295",
    "kvmnet:",
    "kvmnet:tap ",
    " on=br0",
    "default:f=0",
    "all:W=0",
    ",,",
    ",",
    "\0-netdev\0tap,id=n0",
    "\0-device\0e1000,netdev=n0",
    "{\"type\":\"tap\"}",
    "fds=3:4",
    "ifname=vif0.0",
    "::",
    "/0",
    "/128",
    "-",
    "*",
    "?",
    "auto",
    "\0MODE=nat",
    "\0FORWARD=1-65535:1",
];

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What real kernels and people wrote.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One of the corpus, changed in up to eight places.
fn case(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(corpus).clone();
    for _ in 0..random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => drop(bytes.splice(at..at, random.pick(&PIECES).bytes())),
            3 => {
                let again = bytes[at..end].to_vec();
                let there = random.below(bytes.len() + 1);
                drop(bytes.splice(there..there, again));
            }
            // A length, where netlink has them.
            4 | 5 => {
                let at = at & !3;
                let number = random.pick(&NUMBERS).to_ne_bytes();
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
            6 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            _ => {
                let other = random.pick(corpus);
                let from = random.below(other.len());
                let piece = other[from..(from + 64).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
        }
    }
    bytes.truncate(MAX_SIZE);
    bytes
}

fn try_nearly_right(name: &str) {
    let target = |bytes: &[u8]| super::run(name, bytes);
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|bytes| target(bytes));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    if std::env::var_os("KVMNET_TEST_LONG").is_none() {
        return (0..CASES).for_each(|_| target(&case(&mut random, &corpus)));
    }
    let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    println!("{name}: seed {seed}");
    random = Random(seed);
    let begin = Instant::now();
    let mut cases = 0;
    while begin.elapsed() < LONG {
        let bytes = case(&mut random, &corpus);
        let found = std::panic::catch_unwind(|| target(&bytes));
        assert!(found.is_ok(), "{name}: case {cases} of seed {seed}: {bytes:?}");
        cases += 1;
    }
    println!("{name}: {cases} cases");
}

#[test]
fn configuration() {
    try_nearly_right("configuration");
}

#[test]
fn marks() {
    try_nearly_right("marks");
}

#[test]
fn command_line() {
    try_nearly_right("command_line");
}

#[test]
fn route() {
    try_nearly_right("route");
}

#[test]
fn nft() {
    try_nearly_right("nft");
}

#[test]
fn dumps() {
    try_nearly_right("dumps");
}

#[test]
fn leases() {
    try_nearly_right("leases");
}

#[test]
fn resolvers() {
    try_nearly_right("resolvers");
}

#[test]
fn accounts() {
    try_nearly_right("accounts");
}

#[test]
fn helper() {
    try_nearly_right("helper");
}

#[test]
fn legacy() {
    try_nearly_right("legacy");
}

#[test]
fn qemu_bridges() {
    try_nearly_right("qemu_bridges");
}

#[test]
fn terminal() {
    try_nearly_right("terminal");
}

#[test]
fn guest_filter() {
    try_nearly_right("guest_filter");
}
