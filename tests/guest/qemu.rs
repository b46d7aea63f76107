//! Plays QEMU on a guest that is a host itself, where a real one would be slow: it makes its tap and runs the hooks as QEMU does,
//! from QEMU's command line. Instead of a machine it has a network namespace, whose `eth0` is the guest's NIC: that of its own first
//! thread, `/proc/PID/ns/net`. SIGTERM shuts it down.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, exit};
use std::thread;

/// A signal set of glibc's.
type Signals = [u64; 16];

unsafe extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
    fn fcntl(fd: i32, command: i32, ...) -> i32;
    fn unshare(flags: i32) -> i32;
    fn setns(fd: i32, kind: i32) -> i32;
    fn pthread_sigmask(how: i32, set: *const Signals, old: *mut Signals) -> i32;
    fn sigwait(set: *const Signals, signal: *mut i32) -> i32;
}

const TUNSETIFF: u64 = 0x4004_54ca;
const IFF_TAP_NO_PI: u16 = 0x1002;
const F_SETFD: i32 = 2;
const CLONE_NEWNET: i32 = 0x4000_0000;
const SIGTERM: u64 = 15;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let options: Vec<&str> = words.iter().flat_map(|word| word.split(',')).collect();
    let option = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let tap_name = option("ifname").expect("-nic tap,ifname=…");
    let mac = option("mac").unwrap_or("52:54:00:12:34:56");
    let [up, down] = [("script", "/etc/qemu-ifup"), ("downscript", "/etc/qemu-ifdown")]
        .map(|(name, usual)| option(name).unwrap_or(usual));

    let tap = open_tap(tap_name);
    if !run_hook(up, tap_name, &tap) {
        eprintln!("network script {up} failed");
        return ExitCode::FAILURE;
    }
    let host = File::open("/proc/self/ns/net").expect("/proc is mounted");
    // SAFETY: a plain system call.
    assert_eq!(unsafe { unshare(CLONE_NEWNET) }, 0, "a guest's network");
    let nic = open_tap("eth0");
    set_mac(mac);
    // Before the threads, which have the same mask then.
    let term: Signals = {
        let mut set = [0; 16];
        set[0] = 1 << (SIGTERM - 1);
        set
    };
    // SAFETY: the set is one of glibc's size; the old one is not asked for.
    unsafe { pthread_sigmask(0, &term, std::ptr::null_mut()) };
    carry(&tap, &nic);
    carry(&nic, &tap);
    // SAFETY: the set and the number are of the sizes that it wants.
    unsafe { sigwait(&term, &mut 0) };
    // SAFETY: a plain system call on an open file.
    assert_eq!(unsafe { setns(host.as_raw_fd(), CLONE_NEWNET) }, 0, "back on the host");
    run_hook(down, tap_name, &tap);
    ExitCode::SUCCESS
}

/// A tap of this name, made in the network namespace of this thread.
fn open_tap(name: &str) -> File {
    let tap = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&IFF_TAP_NO_PI.to_ne_bytes());
    // SAFETY: TUNSETIFF reads and writes one ifreq, of 40 bytes.
    assert_eq!(unsafe { ioctl(tap.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) }, 0, "a tap named {name}");
    tap
}

/// Runs a hook as QEMU does: with the open tap, and waiting for its end.
fn run_hook(hook: &str, tap_name: &str, tap: &File) -> bool {
    if hook == "no" {
        return true;
    }
    let fd = tap.as_raw_fd();
    let mut command = Command::new(hook);
    command.arg(tap_name);
    // SAFETY: fcntl is a plain system call.
    unsafe {
        command.pre_exec(move || {
            fcntl(fd, F_SETFD, 0);
            Ok(())
        })
    };
    command.status().is_ok_and(|status| status.success())
}

/// Gives the NIC its address, and lets it go up as a guest finds it: down.
fn set_mac(mac: &str) {
    let status = Command::new("ip").args(["link", "set", "eth0", "address", mac]).status();
    assert!(status.is_ok_and(|status| status.success()), "a NIC with the address {mac}");
    fs::write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "0").expect("a setting of the NIC");
}

/// Carries frames one way until there is nobody to read them.
fn carry(from: &File, to: &File) {
    let (mut from, mut to) = (from.try_clone().expect("a file"), to.try_clone().expect("a file"));
    thread::spawn(move || {
        let mut frame = vec![0; 65536];
        loop {
            match from.read(&mut frame) {
                // What comes while the other side is down is lost, as on a wire.
                Ok(length) => drop(to.write(&frame[..length])),
                Err(_) => exit(1),
            }
        }
    });
}
