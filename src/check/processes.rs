//! The processes that have taps of this machine open.

use std::fs;
use std::path::Path;

use super::qemu::Holder;
use crate::model::IfName;

/// All of them that may be seen. Names of taps are per network namespace, so those of containers are left out.
pub fn holders() -> Vec<Holder> {
    let Ok(here) = fs::read_link("/proc/self/ns/net") else { return Vec::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_here = |pid: &u32| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|there| there == here);
    pids.filter(is_here).filter_map(holder).collect()
}

/// A process that has taps open. What cannot be read has ended meanwhile, or is not ours to see.
fn holder(pid: u32) -> Option<Holder> {
    let process = Path::new("/proc").join(pid.to_string());
    let files = fs::read_dir(process.join("fd")).ok()?.flatten();
    let taps = files.filter(|file| {
        fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().contains("tun"))
    });
    let mut taps: Vec<(u32, IfName)> = taps
        .filter_map(|file| {
            let number = file.file_name();
            let text = fs::read_to_string(process.join("fdinfo").join(&number)).ok()?;
            let name = text.lines().find_map(|line| line.strip_prefix("iff:"))?.trim();
            Some((number.to_str()?.parse().ok()?, IfName::new(name).ok()?))
        })
        .collect();
    taps.sort_unstable_by_key(|(file, _)| *file);
    let line = fs::read(process.join("cmdline")).ok()?;
    let arguments = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    (!taps.is_empty()).then(|| Holder { pid, arguments: arguments.collect(), taps })
}
