//! Nothing that stands in a file or in the environment makes the program panic.

use super::{PATH, name};
use crate::config::{Environment, File};

/// Marsaglia's xorshift: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

const SEEDS: [&str; 4] = [
    "mode = \"nat\"\nbridge = \"br0\"\naddress = [\"10.0.100.3/24\", \"fd00::1/64\"]\nuplink = [\"eth3\"]\nkeep = false\n",
    "nat_source = '192.168.1.230'\r\nveth = 'veth1'\r\n[network.lab]\r\nmode = 'isolated'\r\nbridge = 'br-lab'\r\ntaps = ['lab*', 'vif[0-9].?']\r\n",
    "network.a = {mode='bridged', bridge='br-a', uplink='auto'}\nnetwork.b.bridge = 'br-b'\nnetwork.b.address = '10.2.0.1/24' # é\n",
    "[network.\"x.y\"]\nbridge = \"\"\"br9\"\"\"\naddress = 10.1.0.1/24\n[[network]]\nmode: nat\nkeep = yes\n",
];

const PIECES: [&str; 20] = [
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
    "[network.lab]",
    "mode = ",
    "/",
    "\u{202e}",
    "9999999999999999999999",
];

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(4) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, random.below(256) as u8),
            2 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            _ => {
                let again = bytes[at..end].to_vec();
                let there = random.below(bytes.len() + 1);
                drop(bytes.splice(there..there, again));
            }
        }
    }
    bytes
}

#[test]
fn no_text_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let tap = name("vif0.0");
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..20_000 {
        let bytes = mutated(&mut random);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let value = text.chars().skip(random.below(40)).take(random.below(30)).collect::<String>();
        let variable =
            ["MODE", "BRIDGE", "ADDRESS", "UPLINK", "NAT_SOURCE", "VETH", "KEEP", &text][random.below(8)];
        let set = (random.below(4) == 0).then(|| (format!("KVMNET_{variable}"), value));
        let environment = Environment::new(set);
        let network = File::parse(PATH, &bytes).and_then(|file| {
            let _ = file.networks();
            let chosen = file.choose(None, &environment, &tap)?;
            file.network(chosen, &environment)
        });
        match network {
            Ok(_) => right += 1,
            Err(errors) => {
                wrong += 1;
                for error in errors.iter() {
                    let line = format!("{error}{}", error.hint.clone().unwrap_or_default());
                    assert!(!line.contains(|c: char| c.is_control()), "{line:?} for {text:?}");
                }
            }
        }
    }
    assert!(right > 100 && wrong > 100, "{right} {wrong}");
}

#[test]
fn no_bytes_panic() {
    let mut random = Random(42);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        let _ = File::parse(PATH, &bytes);
    }
}
