//! An archive of files for a guest, to be appended to its initramfs: the format "newc" of cpio
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Types of st_mode (inode(7)).
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that grows.
#[derive(Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    paths: BTreeSet<PathBuf>,
}

impl Initramfs {
    /// Adds an archive that is there, and may be compressed.
    pub fn append(&mut self, archive: &Path) {
        let bytes = fs::read(archive)
            .unwrap_or_else(|error| panic!("{} is made by tests/guest: {error}", archive.display()));
        self.bytes.extend(bytes);
        self.pad();
    }

    /// Adds a file that everybody may run.
    pub fn add(&mut self, path: impl AsRef<Path>, content: &[u8]) {
        self.add_as(path.as_ref(), 0o755, content);
    }

    /// Adds a file that everybody may read.
    pub fn add_text(&mut self, path: impl AsRef<Path>, text: &str) {
        self.add_as(path.as_ref(), 0o644, text.as_bytes());
    }

    fn add_as(&mut self, path: &Path, mode: u32, content: &[u8]) {
        self.folders_above(path);
        self.entry(path, REGULAR | mode, content);
    }

    fn folders_above(&mut self, path: &Path) {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        for folder in above.into_iter().rev() {
            self.entry(folder, DIRECTORY | 0o755, &[]);
        }
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl AsRef<Path>, to: &str) {
        self.folders_above(path.as_ref());
        self.entry(path.as_ref(), LINK | 0o777, to.as_bytes());
    }

    /// Adds a file of this machine.
    pub fn add_file(&mut self, path: impl AsRef<Path>, from: &Path) {
        let content = fs::read(from).unwrap_or_else(|error| panic!("{} is needed: {error}", from.display()));
        self.add(path, &content);
    }

    /// Adds a folder of this machine, with all that is in it but for what `leaves_out` names.
    pub fn add_folder(&mut self, path: &Path, leaves_out: &[&str]) {
        let entries =
            fs::read_dir(path).unwrap_or_else(|error| panic!("{} is needed: {error}", path.display()));
        for entry in entries.flatten() {
            let path = entry.path();
            if leaves_out.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            match fs::read_link(&path) {
                Ok(to) => self.link(&path, to.to_str().expect("paths are UTF-8")),
                Err(_) if path.is_dir() => self.add_folder(&path, leaves_out),
                Err(_) => self.add_file(&path, &path),
            }
        }
    }

    /// Adds a program of this machine, with the libraries it needs.
    pub fn add_program(&mut self, path: &str) {
        self.add_file(path, Path::new(path));
        libraries(path).iter().for_each(|library| self.add_file(library, library));
    }

    /// The same where all is below `/usr`, as in Debian's image.
    pub fn add_program_below_usr(&mut self, path: &str) {
        self.add_file(path, Path::new(path));
        for library in libraries(path) {
            let folder = library.parent().and_then(|folder| fs::canonicalize(folder).ok());
            let (folder, name) = (folder.expect("a folder"), library.file_name().expect("a file"));
            self.add_file(folder.join(name), &library);
        }
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.write("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) {
        if self.paths.insert(path.to_owned()) {
            let name = path.to_str().expect("paths are UTF-8").trim_start_matches('/');
            self.write(name, mode, content);
        }
    }

    fn write(&mut self, name: &str, mode: u32, content: &[u8]) {
        let (size, name_size) = (content.len(), name.len() + 1);
        // Owner and group are root, links one, time and devices zero.
        self.bytes.extend(format!("070701{:08x}{mode:08x}{:08x}{:08x}{:08x}", 0, 0, 0, 1).bytes());
        self.bytes.extend(format!("{:08x}{size:08x}{:032x}{name_size:08x}{:08x}", 0, 0, 0).bytes());
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents begin at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The libraries that a program of this machine needs.
fn libraries(program: &str) -> Vec<PathBuf> {
    let needs = Command::new("ldd").arg(program).output().expect("ldd is a part of the C library");
    let needs = String::from_utf8(needs.stdout).expect("paths are UTF-8");
    needs.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}
