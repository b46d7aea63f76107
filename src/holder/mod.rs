//! Who holds a tap: which processes have its queue open.

mod all;

pub use all::{Holder, all};

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use crate::model::IfName;

/// Whether a process has the tap open that has nothing to do with the start of this hook.
///
/// QEMU hands its hooks the open tap. A hook that has it was started by the tap's holder, its parent or, behind a
/// wrapper, an ancestor; one that has not (libvirt's) by its parent or by a person beside a running guest. When yet
/// another process has the tap by now, it was handed on, and the hook for its former guest must not touch it.
/// `carrier` is the tap's: without it nobody holds it. Where /proc cannot be read, the hook is believed.
pub fn is_anothers(tap: &IfName, carrier: bool) -> bool {
    carrier && find_another(tap).unwrap_or_default()
}

fn find_another(tap: &IfName) -> io::Result<bool> {
    let mut starters = ancestors(&std::process::id().to_string())?;
    if !holds("self", tap)? {
        starters.truncate(1);
    }
    let mut holder = None;
    for pid in &starters {
        if holds(pid, tap)? {
            holder = Some(pid.clone());
        }
    }
    let Some(holder) = holder else { return Ok(true) };
    // Names of taps are per network namespace: the vif0.0 of a container is another one.
    let here = namespace("self")?;
    let is_here = |pid: &String| namespace(pid).is_ok_and(|there| there == here);
    // A child of the holder's, between its fork and its exec, has all of the holder's files.
    let is_ours =
        |pid: &String| starters.contains(pid) || ancestors(pid).is_ok_and(|all| all.contains(&holder));
    // Of other processes what cannot be read has ended meanwhile.
    Ok(processes().filter(is_here).any(|pid| holds(&pid, tap).unwrap_or_default() && !is_ours(&pid)))
}

/// The parent of a process, its parent, and so on.
fn ancestors(pid: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut next = parent(pid)?;
    while let Some(pid) = next {
        next = parent(&pid)?;
        found.push(pid);
    }
    Ok(found)
}

/// A process's parent; None for the first process.
fn parent(pid: &str) -> io::Result<Option<String>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
    Ok(parent.filter(|parent| *parent != "0").map(str::to_owned))
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What tells a process's network namespace from others.
fn namespace(process: &str) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/net"))
}

/// Whether a process has the tap open.
fn holds(process: &str, tap: &IfName) -> io::Result<bool> {
    for found in taps(process)? {
        if found?.1 == *tap {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The taps and tuns that a process has open, each with the number of the file.
///
/// On a machine with many processes this is most of the work, so the links are read relative to their directory.
fn taps(process: &str) -> io::Result<impl Iterator<Item = io::Result<(u32, IfName)>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::open(&Path::new("/proc").join(process).join("fd"), flags, Mode::empty())?;
    let names = directory.iter().map(|file| file.map(|file| file.file_name().to_owned()));
    let files: Vec<CString> = names.collect::<Result<_, _>>()?;
    // A file that was closed meanwhile, as the one that reads this directory, has no target.
    let is_tun = move |file: &CString| readlinkat(&directory, file.as_c_str()).is_ok_and(|to| is_tun(&to));
    let process = process.to_owned();
    Ok(files.into_iter().filter(is_tun).filter_map(move |file| tap(&process, &file).transpose()))
}

/// The tap or tun that an open file is a queue of, with the file's number: a file /dev/net/tun has a line `iff:`
/// (`tun_chr_show_fdinfo`).
fn tap(process: &str, file: &CStr) -> io::Result<Option<(u32, IfName)>> {
    let file = OsStr::from_bytes(file.to_bytes());
    let bytes = read(&Path::new("/proc").join(process).join("fdinfo").join(file), FDINFO_SIZE)?;
    let text = String::from_utf8_lossy(&bytes);
    let name = text.lines().find_map(|line| line.strip_prefix("iff:")).map(str::trim);
    let number = file.to_str().and_then(|number| number.parse().ok());
    Ok(number.zip(name.and_then(|name| IfName::new(name).ok())))
}

/// More than an fdinfo has.
const FDINFO_SIZE: usize = 1024;

/// What a file under /proc holds. With `usual` bytes of room the kernel gives all of it at once, so that no second read
/// has to find the end, as in a file of unknown kind.
fn read(path: &Path, usual: usize) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut bytes = vec![0; usual];
    let length = file.read(&mut bytes)?;
    bytes.truncate(length);
    if length == usual {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The device may have any name; its files are shown with the one it was opened by.
fn is_tun(target: &OsStr) -> bool {
    target.to_string_lossy().contains("tun")
}
