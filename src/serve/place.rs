//! The folder of what a running server reads. It is nobody else's and goes with the process, however that ends: what systemd
//! gives (RuntimeDirectory=), else a file system of its own over /tmp that nobody else sees.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::model::IfName;

/// The folder.
pub struct Place {
    path: PathBuf,
    /// It stays unless it is deleted.
    is_plain: bool,
}

impl Place {
    pub fn make(bridge: &IfName) -> io::Result<Self> {
        let given = env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        if let Some(path) = given.filter(|path| path.is_absolute() && path.is_dir()) {
            return Ok(Self { path, is_plain: false });
        }
        if hide_tmp().is_ok() {
            return Ok(Self { path: "/tmp".into(), is_plain: false });
        }
        // Without CAP_SYS_ADMIN.
        let path = PathBuf::from(format!("/run/kvmnet-serve.{bridge}"));
        let _none_before = fs::remove_dir_all(&path);
        fs::create_dir(&path)?;
        Ok(Self { path, is_plain: true })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder from which it is deleted at the end, where it has to be.
    pub fn deleted_from(&self) -> Option<&Path> {
        self.path.parent().filter(|_| self.is_plain)
    }

    /// Writes a file, so that nobody ever reads half of it. True where it was another one before.
    pub fn write(&self, name: &str, text: &str) -> io::Result<bool> {
        let path = self.path.join(name);
        if fs::read_to_string(&path).is_ok_and(|now| now == text) {
            return Ok(false);
        }
        let new = self.path.join(format!("{name}.new"));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644).open(&new)?.write_all(text.as_bytes())?;
        fs::rename(new, path)?;
        Ok(true)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_plain {
            // It is made anew by the next one.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn hide_tmp() -> nix::Result<()> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    // What others mount is still seen, and what is mounted here is not.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("kvmnet"), "/tmp", Some("tmpfs"), flags, Some("mode=755,size=16m"))
}
