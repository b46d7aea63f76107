//! Who holds a tap: which process has its queue open.

use std::fs;

use crate::model::IfName;

/// Whether the tap belongs to neither this process nor its parent, although somebody has it open.
///
/// QEMU hands its hooks the open tap, and is their parent. When another process holds a tap by now, a hook that
/// was started for the former one must not take it off its network; nor must a person who types the hook's name
/// beside a running guest. `carrier` is the tap's: without it nobody holds it.
pub fn is_anothers(tap: &IfName, carrier: bool) -> bool {
    if !carrier {
        return false;
    }
    let parent = nix::unistd::getppid();
    // Where /proc cannot be read, the hook is believed.
    holds("self", tap).is_some_and(|holds| !holds) && !holds(&parent.to_string(), tap).unwrap_or_default()
}

/// Whether a process has the tap open: a line `iff:` in the information of one of its files (`tun_chr_show_fdinfo`).
fn holds(process: &str, tap: &IfName) -> Option<bool> {
    let files = fs::read_dir(format!("/proc/{process}/fdinfo")).ok()?;
    let is_tap = |text: String| {
        text.lines().any(|line| line.strip_prefix("iff:").is_some_and(|name| name.trim() == tap.as_str()))
    };
    Some(files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok()).any(is_tap))
}
