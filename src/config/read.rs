//! The configuration file's text.
//!
//! In: a path. Out: the text, if whoever may write it may also say what root does.
//! Never: asks about a path: what was opened is what is checked and read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

use super::error::{CANNOT_OPEN, Problem};
use crate::terminal::shell_word;

/// More than a thousand networks need less.
const MAX_SIZE: u64 = 256 * 1024;

/// Room for this much makes it one read, and one that finds the end.
const USUAL_SIZE: usize = 8 * 1024;

/// The bytes of the file at `path`; none where there is no such file.
pub(super) fn read(path: &str) -> Result<Option<Vec<u8>>, Problem> {
    // Not blocking, as opening a FIFO would otherwise wait for a writer.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return absent(path),
        Err(error) => return Err(Problem::new(format!("{CANNOT_OPEN}: {error}"))),
    };
    let stat = fstat(&file).map_err(|errno| Problem::new(format!("cannot examine it: {errno}")))?;
    trusted(path, &stat)?;
    contents(file).map(Some)
}

/// A link that leads nowhere is not an absent file: what it says is on a disk that is not there now.
fn absent(path: &str) -> Result<Option<Vec<u8>>, Problem> {
    let Ok(target) = std::fs::read_link(path) else { return Ok(None) };
    let problem = Problem::new(format!("it is a link to {}, which does not exist", target.display()));
    Err(problem.hint(format!("mount what holds that file, or: rm {}", shell_word(path))))
}

fn contents(file: File) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(USUAL_SIZE);
    let read = file.take(MAX_SIZE + 1).read_to_end(&mut bytes);
    read.map_err(|error| Problem::new(format!("cannot read it: {error}")))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Problem::new(format!("it is larger than {} KiB", MAX_SIZE / 1024)));
    }
    Ok(bytes)
}

/// Refuses a file that anybody but root and the user at work may change.
fn trusted(path: &str, stat: &FileStat) -> Result<(), Problem> {
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(Problem::new("it is not a regular file"));
    }
    let path = shell_word(path);
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        let text = format!("it belongs to user {}, who could decide what root does", stat.st_uid);
        return Err(Problem::new(text).hint(format!("chown root:root {path}; chmod go-w {path}")));
    }
    if stat.st_mode & (Mode::S_IWGRP | Mode::S_IWOTH).bits() != 0 {
        let text = "users other than its owner can write to it, and so decide what root does";
        return Err(Problem::new(text).hint(format!("chmod go-w {path}")));
    }
    Ok(())
}
