//! What a guest boots: the archives that tests/guest/build.sh and debian.sh make, and what a test adds to them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Initramfs, Machine, guest_dir};

/// An initramfs, how the kernel is told to start it, and the memory that takes.
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) initrd: PathBuf,
    pub(super) words: &'static str,
    /// In MiB.
    pub(super) memory: u64,
}

impl Image {
    /// Nothing but busybox.
    pub fn busybox() -> Self {
        Self { initrd: guest_dir().join("initrd.gz"), words: "", memory: 128 }
    }

    /// Debian's programs, with no init system.
    pub fn debian() -> Self {
        Self::of(guest_dir().join("debian.cpio"), "")
    }

    /// Debian as it boots, with systemd.
    pub fn systemd() -> Self {
        Self::of(guest_dir().join("debian.cpio"), "rdinit=/usr/lib/systemd/systemd")
    }

    /// The same with what `add` adds behind it, written to a machine's private `/run`.
    pub fn with(self, machine: &Machine, name: &str, add: impl FnOnce(&mut Initramfs)) -> Self {
        let mut initramfs = Initramfs::default();
        initramfs.append(&self.initrd);
        add(&mut initramfs);
        let path = PathBuf::from(format!("/run/lab/{name}.cpio"));
        let bytes = initramfs.finish();
        machine.enter(|| fs::write(&path, &bytes)).expect("a private place can be written");
        let memory = self.memory.max(memory_for(bytes.len() as u64));
        Self { initrd: path, words: self.words, memory }
    }

    fn of(initrd: PathBuf, words: &'static str) -> Self {
        let memory = memory_for(size_of(&initrd));
        Self { initrd, words, memory }
    }
}

/// What an archive of so many bytes needs: itself, what it unpacks to, which may be half of the rest, and what runs.
fn memory_for(bytes: u64) -> u64 {
    128 + 3 * (bytes >> 20)
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path)
        .unwrap_or_else(|error| panic!("{} is made by tests/guest/debian.sh: {error}", path.display()))
        .len()
}
