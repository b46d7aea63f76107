//! The hooks as files: static, small, and alone. They need no library of the host and run no other program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs;

use lab::{Hook, Lab, Network, hooks_dir};

const HOOKS: [&str; 2] = ["qemu-ifup", "qemu-ifdown"];
/// A program with rights of its own that is static asks no library of its user's.
const STATIC: [&str; 4] = ["qemu-ifup", "qemu-ifdown", "kvmnet", "kvmnet-bridge-helper"];

/// Program header types of `<elf.h>`.
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
/// A dynamic section's entry that names a library.
const DT_NEEDED: u64 = 1;

/// A little-endian number of `N` bytes at `offset`.
fn number<const N: usize>(bytes: &[u8], offset: u64) -> u64 {
    let start = usize::try_from(offset).unwrap();
    bytes[start..start + N].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The program headers of a 64-bit ELF file: (type, offset in the file, size in the file).
fn segments(elf: &[u8]) -> Vec<(u32, u64, u64)> {
    assert_eq!(&elf[..5], b"\x7fELF\x02", "a 64-bit ELF file");
    let (table, size, count) = (number::<8>(elf, 32), number::<2>(elf, 54), number::<2>(elf, 56));
    let header = |index| {
        let at = table + index * size;
        (u32::try_from(number::<4>(elf, at)).unwrap(), number::<8>(elf, at + 8), number::<8>(elf, at + 32))
    };
    (0..count).map(header).collect()
}

#[test]
fn hooks_are_static() {
    for hook in STATIC {
        let elf = fs::read(hooks_dir().join(hook)).expect("the hook is built");
        for (kind, offset, size) in segments(&elf) {
            assert_ne!(kind, PT_INTERP, "{hook} asks for a dynamic linker");
            if kind == PT_DYNAMIC {
                let entries = (offset..offset + size).step_by(16).map(|entry| number::<8>(&elf, entry));
                assert_eq!(entries.filter(|&tag| tag == DT_NEEDED).count(), 0, "{hook} needs a library");
            }
        }
    }
    let other = fs::read("/bin/sh").expect("there is a shell");
    let asks = segments(&other).iter().any(|&(kind, ..)| kind == PT_INTERP);
    assert!(asks, "/bin/sh asks for a dynamic linker, which shows that this test would notice");
}

/// Each program, and what it may have in bytes: with glibc's start-up code, and with musl's.
const LIMITS: [(&str, [u64; 2]); 4] = [
    ("qemu-ifup", [1920 * 1024, 1216 * 1024]),
    ("qemu-ifdown", [1408 * 1024, 768 * 1024]),
    ("kvmnet", [3456 * 1024, 2688 * 1024]),
    ("kvmnet-bridge-helper", [1984 * 1024, 1216 * 1024]),
];

#[test]
fn programs_are_small() {
    // Only a release build is meant to be small.
    for (program, limits) in LIMITS {
        let path = hooks_dir().join(program);
        let elf = fs::read(&path).expect("the program is built");
        // It has the names of its own settings in it.
        let is_glibc = contains(&elf, "glibc");
        let (size, limit) = (elf.len() as u64, limits[usize::from(!is_glibc)]);
        println!("{program}: {size} bytes of {limit}");
        assert!(
            size < limit,
            "{program} has {size} bytes of {limit}; KVMNET_TEST_HOOKS must name a release build"
        );
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The calls that a hook made to start a program, a process or a thread, its own start included.
fn starts(lab: &Lab, hook: &str, guest: &lab::Guest) -> Vec<String> {
    let calls = "trace=execve,execveat,fork,vfork,clone,clone3";
    let hook = format!("/etc/{hook}");
    let arguments = ["-f", "-o", "/run/lab/trace", "-e", calls, &hook, guest.tap()];
    Hook::new(&lab.host, "/usr/bin/strace", &arguments).tap(guest.tap_fd()).run().ok();
    let trace = lab.host.enter(|| fs::read_to_string("/run/lab/trace")).unwrap();
    trace.lines().filter(|line| line.contains('(')).map(str::to_owned).collect()
}

#[test]
fn hooks_run_no_program_and_start_no_thread() {
    for network in
        [Network::ISOLATED, Network::HOST_ONLY_VETH, Network::ROUTED, Network::NAT, Network::BRIDGED]
    {
        let lab = Lab::new(network);
        let one = lab.boot(1);
        for hook in HOOKS {
            let starts = starts(&lab, hook, &one);
            assert!(matches!(&starts[..], [own] if own.contains(hook)), "{network:?}: {starts:#?}");
        }
    }
}
