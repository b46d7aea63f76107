//! The configuration file's text.
//!
//! In: a path. Out: the text, if whoever may write it may also say what root does.
//! Never: asks about a path: what was opened is what is checked and read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag};

use super::error::Problem;
use super::file::DEFAULT_PATH;
use super::way::{self, cannot_open, examined, is_own, not_a_file};
use crate::terminal::shell_word;

/// More than a thousand networks need less.
const MAX_SIZE: u64 = 256 * 1024;

/// Room for this much makes it one read, and one that finds the end.
const USUAL_SIZE: usize = 8 * 1024;

/// The bytes of the file at `path`; none where there is no such file.
pub(super) fn read(path: &str) -> Result<Option<Vec<u8>>, Problem> {
    let file = if path == DEFAULT_PATH { open_usual(path)? } else { way::open(path)? };
    let Some(file) = file else { return Ok(None) };
    let stat = examined(&file)?;
    trusted(path, &stat)?;
    if u64::try_from(stat.st_size).is_ok_and(|size| size > MAX_SIZE) {
        return Err(too_large());
    }
    contents(file).map(Some)
}

/// Opens the file where it usually is, which is all that most runs do: whoever may write to /etc has the hooks themselves.
fn open_usual(path: &str) -> Result<Option<File>, Problem> {
    // Not blocking, as opening a FIFO would otherwise wait for a writer.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW;
    match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // It is a link.
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => way::open(path),
        // A socket, or a device that is not there.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Err(not_a_file()),
        Err(error) => Err(cannot_open(error)),
    }
}

fn too_large() -> Problem {
    Problem::new(format!("it is larger than {} KiB", MAX_SIZE / 1024))
}

fn contents(file: File) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(USUAL_SIZE);
    let read = file.take(MAX_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Problem::new(format!("cannot read it: {error}")))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Refuses a file that anybody but root and the user at work may change.
fn trusted(path: &str, stat: &FileStat) -> Result<(), Problem> {
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(not_a_file());
    }
    let path = shell_word(path);
    if !is_own(stat) {
        let text = format!("it belongs to user {}, who could decide what root does", stat.st_uid);
        return Err(Problem::new(text).hint(format!("chown root:root {path}; chmod go-w {path}")));
    }
    if stat.st_mode & (Mode::S_IWGRP | Mode::S_IWOTH).bits() != 0 {
        let text = "users other than its owner can write to it, and so decide what root does";
        return Err(Problem::new(text).hint(format!("chmod go-w {path}")));
    }
    Ok(())
}
