//! `benches/throughput.sh`: what a network costs its guests among themselves, beside a bridge that somebody has made by hand.
//!
//! A guest is a network namespace whose `eth0` is joined to a tap of the host by two threads that copy what the other end has sent, as
//! QEMU does, with segmentation and checksums left to whoever is last (TSO). All variants stand at once and are measured in turns, so
//! that whatever else the machine does meets each of them; the second plain bridge says what is noise.
//!
//! Not run by `cargo test` (`test = false`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Frame, Hook, Lab, Machine, Network, Place};
use nix::libc;

/// How often each variant is measured.
const ROUNDS: usize = 25;
/// How long bytes are sent.
const STREAM: Duration = Duration::from_millis(200);
/// How many small frames are.
const FRAMES: usize = 20_000;
/// What a frame has before it: `struct virtio_net_hdr`.
const HEADER: usize = 10;

const TUNSETIFF: libc::c_ulong = nix::request_code_write!(b'T', 202, size_of::<libc::c_int>());
const TUNSETOFFLOAD: libc::c_ulong = nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>());
nix::ioctl_write_ptr_bad!(tunsetiff, TUNSETIFF, libc::ifreq);
nix::ioctl_write_int_bad!(tunsetoffload, TUNSETOFFLOAD);
/// TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6.
const OFFLOAD: libc::c_int = 1 | 2 | 4;

/// A tap as QEMU opens it for virtio.
fn open_tap(machine: &Machine, name: &str) -> File {
    machine.enter(|| {
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        let mut request = libc::ifreq {
            ifr_name: [0; libc::IFNAMSIZ],
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: i16::try_from(flags).unwrap() },
        };
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = libc::c_char::from_ne_bytes([byte]);
        }
        // SAFETY: TUNSETIFF reads and writes one ifreq, which `request` is, for the time of the call.
        unsafe { tunsetiff(file.as_raw_fd(), &raw const request) }.unwrap();
        // SAFETY: TUNSETOFFLOAD takes a number.
        unsafe { tunsetoffload(file.as_raw_fd(), OFFLOAD) }.unwrap();
        file
    })
}

/// A guest whose frames are copied.
struct Side {
    machine: Machine,
    tap: Arc<File>,
    /// What comes is counted, and goes no further.
    is_sink: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Side {
    fn new(host: &Machine, place: &Place) -> Self {
        let machine = Machine::new();
        let (tap, nic) = (Arc::new(open_tap(host, &place.tap)), Arc::new(open_tap(&machine, "eth0")));
        machine.ip(&format!("link set eth0 address {} up", place.mac));
        machine.ip(&format!("addr add {}/24 dev eth0", place.v4));
        let (is_sink, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (from, to, sink, counted) =
            (Arc::clone(&tap), Arc::clone(&nic), Arc::clone(&is_sink), Arc::clone(&count));
        thread::spawn(move || {
            copy(&from, |frame| {
                if sink.load(Ordering::Relaxed) {
                    counted.fetch_add(1, Ordering::Relaxed);
                } else {
                    let _lost = (&*to).write(frame);
                }
            });
        });
        let (from, to) = (nic, Arc::clone(&tap));
        thread::spawn(move || copy(&from, |frame| drop((&*to).write(frame))));
        Self { machine, tap, is_sink, count }
    }
}

fn copy(from: &File, to: impl Fn(&[u8])) {
    let mut frame = vec![0; 70_000];
    while let Ok(length) = (&*from).read(&mut frame) {
        to(&frame[..length]);
    }
}

/// Two guests of one network.
struct Pair {
    name: &'static str,
    one: Side,
    two: Side,
    _host: Box<dyn std::any::Any>,
}

/// A bridge that somebody has made by hand.
fn plain(name: &'static str) -> Pair {
    let host = Machine::new();
    host.ip("link add br0 type bridge stp_state 0 forward_delay 0");
    host.ip("link set br0 up");
    let places = [1, 2].map(|number| Network::ISOLATED.guest(number));
    let [one, two] = places.map(|place| {
        let side = Side::new(&host, &place);
        host.ip(&format!("link set {} master br0 up", place.tap));
        side
    });
    Pair { name, one, two, _host: Box::new(host) }
}

/// A network of kvmnet's.
fn kvmnet(name: &'static str, network: Network, keys: &str) -> Pair {
    let lab = Lab::new(network);
    lab.write_config(&format!("{}{keys}", network.config()));
    let [one, two] = [1, 2].map(|number| {
        let place = network.guest(number);
        let side = Side::new(&lab.host, &place);
        let hook = Hook::new(&lab.host, "/etc/qemu-ifup", &[&place.tap]);
        let hook = if keys.contains("filter") {
            hook.env("KVMNET_GUEST_MAC", &place.mac).env("KVMNET_GUEST_ADDRESS", &place.v4)
        } else {
            hook
        };
        hook.run().ok();
        side
    });
    Pair { name, one, two, _host: Box::new(lab) }
}

impl Pair {
    /// Bytes in a second from the first guest to the second, by TCP.
    fn stream(&self) -> f64 {
        let target = Network::ISOLATED.guest(2).v4;
        let listener = self.two.machine.enter(|| TcpListener::bind((target.as_str(), 5001)).unwrap());
        let reader = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut buffer, mut sum) = (vec![0; 256 * 1024], 0_u64);
            let begin = Instant::now();
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                sum += length as u64;
            }
            sum as f64 / begin.elapsed().as_secs_f64()
        });
        let mut stream = self.one.machine.enter(|| TcpStream::connect((target.as_str(), 5001)).unwrap());
        let (block, begin) = (vec![7; 128 * 1024], Instant::now());
        while begin.elapsed() < STREAM {
            stream.write_all(&block).unwrap();
        }
        drop(stream);
        reader.join().unwrap()
    }

    /// Small frames in a second that one guest can send to the other, by the tap itself, and how many of them have come.
    fn frames(&self) -> (f64, usize) {
        let mac = |number| {
            let place: Place = Network::ISOLATED.guest(number);
            let bytes: Vec<u8> =
                place.mac.split(':').map(|part| u8::from_str_radix(part, 16).unwrap()).collect();
            <[u8; 6]>::try_from(bytes).unwrap()
        };
        let [one, two] = [1, 2].map(|number| Network::ISOLATED.guest(number).v4.parse().unwrap());
        let frame = Frame { from: mac(1), to: mac(2) }.udp4(one, two, "eighteen bytes are");
        let frame = [&[0; HEADER][..], &frame].concat();
        self.two.count.store(0, Ordering::Relaxed);
        self.two.is_sink.store(true, Ordering::Relaxed);
        let begin = Instant::now();
        for _ in 0..FRAMES {
            (&*self.one.tap).write_all(&frame).unwrap();
        }
        let rate = FRAMES as f64 / begin.elapsed().as_secs_f64();
        lab::within(Duration::from_millis(30), || self.two.count.load(Ordering::Relaxed) >= FRAMES);
        self.two.is_sink.store(false, Ordering::Relaxed);
        (rate, self.two.count.load(Ordering::Relaxed))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Each round beside the same round of the plain bridge: the median, and from where to where the middle half of them is. And the best
/// rounds, which whatever else the machine did has met least.
fn tell(what: &str, unit: &str, scale: f64, pairs: &[Pair], all: &[Vec<f64>]) {
    println!("{what}");
    for (pair, values) in pairs.iter().zip(all) {
        let mut ratios: Vec<f64> = values.iter().zip(&all[0]).map(|(value, plain)| value / plain).collect();
        ratios.sort_by(f64::total_cmp);
        let quarter = ratios.len() / 4;
        println!(
            "  {:<26} {:>8.2} {unit}  × {:.3} ({:.3} to {:.3})   best {:>8.2}  × {:.3}",
            pair.name,
            median(values) / scale,
            median(&ratios),
            ratios[quarter],
            ratios[ratios.len() - 1 - quarter],
            best(values) / scale,
            best(values) / best(&all[0]),
        );
    }
}

fn main() {
    let pairs = [
        plain("a plain bridge"),
        plain("a plain bridge again"),
        kvmnet("isolated", Network::ISOLATED, ""),
        kvmnet("isolated, filter = true", Network::ISOLATED, "filter = true\n"),
        kvmnet("nat", Network::NAT, "dhcp = false\n"),
        kvmnet("nat, filter = true", Network::NAT, "dhcp = false\nfilter = true\n"),
    ];
    let mut streams = vec![Vec::new(); pairs.len()];
    let mut rates = vec![Vec::new(); pairs.len()];
    let mut came = vec![0; pairs.len()];
    for round in 0..=ROUNDS {
        // Each begins where the one before did not, so that none is always behind the same.
        for step in 0..pairs.len() {
            let at = (step + round) % pairs.len();
            let (stream, (rate, arrived)) = (pairs[at].stream(), pairs[at].frames());
            // The first round warms up.
            if round > 0 {
                streams[at].push(stream);
                rates[at].push(rate);
                came[at] += arrived;
            }
        }
    }
    println!(
        "guest to guest, {ROUNDS} rounds in turns; × is the median beside the plain bridge of the same round, and its middle half\n"
    );
    tell("TCP", "Gbit/s", 1e9 / 8.0, &pairs, &streams);
    tell("frames of 60 bytes", "k/s", 1e3, &pairs, &rates);
    let share: Vec<String> =
        came.iter().map(|came| format!("{:.0} %", 100.0 * *came as f64 / (FRAMES * ROUNDS) as f64)).collect();
    println!("  of the small frames have come: {}", share.join(", "));
    // The copying threads end with the process, and with them all taps and namespaces.
    std::process::exit(0);
}
