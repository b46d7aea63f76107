//! The file itself, through `load`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, chown, mkfifo};

use super::{complaints, environment, name};
use crate::config::{load, open};
use crate::model::Mode;

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kvmnet-config-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.join("kvmnet.conf");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode_in(path: &Path) -> Result<Mode, Vec<String>> {
    let environment = environment(&[("KVMNET_CONFIG", path.to_str().unwrap())]);
    match load(&environment, None, &name("vif0.0")) {
        Ok(network) => Ok(network.mode),
        Err(_) => Err(complaints(open(&environment))),
    }
}

#[test]
fn a_file_and_a_link_to_it() {
    let scratch = Scratch::new("link");
    let path = scratch.file("mode = 'isolated'", 0o644);
    assert_eq!(mode_in(&path), Ok(Mode::Isolated));
    let link = scratch.0.join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(mode_in(&link), Ok(Mode::Isolated));
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert!(mode_in(&link).is_err());
}

#[test]
fn what_others_may_write_is_refused() {
    let scratch = Scratch::new("writable");
    for mode in [0o664, 0o646, 0o620, 0o602] {
        let path = scratch.file("", mode);
        let shown = path.display();
        let text = "users other than its owner can write to it, and so decide what root does";
        assert_eq!(mode_in(&path), Err(vec![format!("{shown}: {text} | chmod go-w {shown}")]));
    }
    if Uid::effective().is_root() {
        let path = scratch.file("", 0o600);
        chown(&path, Some(Uid::from_raw(4711)), None).unwrap();
        let shown = path.display();
        let text = "it belongs to user 4711, who could decide what root does";
        assert_eq!(
            mode_in(&path),
            Err(vec![format!("{shown}: {text} | chown root:root {shown}; chmod go-w {shown}")])
        );
    }
}

#[test]
fn what_is_no_file_is_refused_and_does_not_hang() {
    let scratch = Scratch::new("fifo");
    let fifo = scratch.0.join("a fifo");
    mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    for path in [fifo.as_path(), scratch.0.as_path(), Path::new("/dev/null")] {
        assert_eq!(mode_in(path), Err(vec![format!("{}: it is not a regular file", path.display())]));
    }
}

#[test]
fn a_link_that_leads_nowhere_is_not_an_absent_file() {
    let scratch = Scratch::new("dangling");
    let path = scratch.0.join("x");
    std::os::unix::fs::symlink("/no/disk/kvmnet.conf", &path).unwrap();
    let shown = path.display();
    let text = "it is a link to /no/disk/kvmnet.conf, which does not exist";
    let hint = format!("mount what holds that file, or: rm {shown}");
    assert_eq!(mode_in(&path), Err(vec![format!("{shown}: {text} | {hint}")]));
}

#[test]
fn the_hint_can_be_typed() {
    let scratch = Scratch::new("quoted");
    let path = scratch.0.join("it's a file");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let line = mode_in(&path).unwrap_err().concat();
    assert!(line.ends_with(&format!("chmod go-w '{}/it'\\''s a file'", scratch.0.display())), "{line}");
}

#[test]
fn a_file_that_is_too_large() {
    let scratch = Scratch::new("large");
    assert_eq!(mode_in(&scratch.file(vec![b'\n'; 256 * 1024], 0o600)), Ok(Mode::Nat));
    let path = scratch.file(vec![b'\n'; 256 * 1024 + 1], 0o600);
    assert_eq!(mode_in(&path), Err(vec![format!("{}: it is larger than 256 KiB", path.display())]));
}

#[test]
fn a_file_that_is_not_there() {
    let scratch = Scratch::new("absent");
    let path = scratch.0.join("x");
    assert_eq!(mode_in(&path), Err(vec![format!("KVMNET_CONFIG: there is no file \"{}\"", path.display())]));
    assert_eq!(
        mode_in(Path::new("no/such.conf")),
        Err(vec![
            "KVMNET_CONFIG: there is no file \"no/such.conf\" | write the whole path, from / on".to_owned(),
        ])
    );
    assert_eq!(mode_in(Path::new("/etc/passwd/x")).map_err(|lines| lines.len()), Err(1));
    assert_eq!(mode_in(Path::new("nul\0")).map_err(|lines| lines.len()), Err(1));
}

#[test]
fn the_first_error_is_the_topmost() {
    let scratch = Scratch::new("first");
    let path = scratch.file("keep = 1\nmode = 'x'\n", 0o600);
    let environment = environment(&[("KVMNET_CONFIG", path.to_str().unwrap())]);
    let error = load(&environment, None, &name("vif0.0")).unwrap_err();
    assert_eq!(error.to_string(), format!("{}:1:8: keep: expected true or false, found 1", path.display()));
}
