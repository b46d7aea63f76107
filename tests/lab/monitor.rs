//! Every change of a host's network, as `ip monitor` and `nft monitor` tell it.

use super::{Machine, Process, eventually};

/// Watches a host from a moment on that is known: both monitors have shown a change made for that purpose.
pub struct Monitor<'a> {
    host: &'a Machine,
    link: Process,
    nft: Process,
    marks: u32,
}

impl<'a> Monitor<'a> {
    /// Starts both monitors and waits until they see.
    pub fn start(host: &'a Machine) -> Self {
        let link = host.start("stdbuf", &["-oL", "ip", "monitor", "all", "label"]);
        let nft = host.start("stdbuf", &["-oL", "nft", "monitor"]);
        let mut monitor = Self { host, link, nft, marks: 0 };
        eventually("both monitors show a change", || monitor.mark());
        while !monitor.mark() {}
        monitor
    }

    /// Makes a change that is none of the hooks', and tells whether both monitors showed it.
    fn mark(&mut self) -> bool {
        self.marks += 1;
        let mark = self.marks;
        self.host
            .ip(&format!("neigh replace 10.77.0.200 lladdr {} dev eth4 nud permanent", mark_address(mark)));
        self.host.ip("neigh del 10.77.0.200 dev eth4");
        self.host.run(&format!("nft add table ip {}", mark_table(mark)));
        self.host.run(&format!("nft delete table ip {}", mark_table(mark)));
        let seen = || {
            self.link.printed().contains(&mark_address(mark))
                && self.nft.printed().contains(&format!("delete table ip {}", mark_table(mark)))
        };
        super::within(std::time::Duration::from_secs(1), seen)
    }

    /// Every change since the last call (or the start), one a line: `[LINK]…`, `[ADDR]…`, `add table …`.
    /// What the kernel learns by itself about its neighbours is left out.
    pub fn changes(&mut self) -> Vec<String> {
        let begin = self.marks;
        eventually("the monitors have shown all that happened", || self.mark());
        let end = self.marks;
        let told = |text: &str, from: &str, to: &str| -> Vec<String> {
            let begun = text.rfind(from).map_or(0, |at| at + from.len());
            let ended = text.find(to).unwrap_or(text.len());
            text.get(begun..ended).unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
        };
        let mut changes = told(&self.link.printed(), &mark_address(begin), &mark_address(end));
        changes.extend(told(
            &self.nft.printed(),
            &format!("delete table ip {}", mark_table(begin)),
            &format!("add table ip {}", mark_table(end)),
        ));
        changes.retain(|line| is_change(line));
        changes
    }
}

fn mark_address(mark: u32) -> String {
    format!("02:00:00:00:{:02x}:{:02x}", mark / 256, mark % 256)
}

fn mark_table(mark: u32) -> String {
    format!("mark{mark:04}")
}

/// Whether a line tells of a change that somebody made. Continued lines (a link's second one) and the
/// monitors' own marks do not count; neither do neighbours, unless they are permanent.
fn is_change(line: &str) -> bool {
    let neighbour = line.starts_with("[NEIGH]") && !line.contains("PERMANENT");
    let mark = line.contains("10.77.0.200") || line.contains("mark0") || line.starts_with("# new generation");
    // Groups that the kernel joins and leaves with an address, which newer kernels and `ip` tell of.
    let group = line.starts_with("[ADDR]") && [" mcast ", " any "].iter().any(|kind| line.contains(kind));
    !line.trim().is_empty() && !line.starts_with(' ') && !neighbour && !mark && !group
}
