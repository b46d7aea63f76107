//! Whom the host asks for names: the resolvers of /etc/resolv.conf, and behind a stub on the loopback those that the stub asks.
//!
//! In: files. Out: resolvers, and what to watch to hear of others. Never: asks a resolver.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

const FILE: &str = "/etc/resolv.conf";
/// What systemd-resolved and NetworkManager write beside their stubs.
const BEHIND_STUBS: [&str; 2] =
    ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];
/// systemd-resolved's stubs, which serve nobody but this host.
const STUBS: [&str; 2] = ["127.0.0.53", "127.0.0.54"];
/// So many links lead to a file, as in the kernel (MAXSYMLINKS).
const LINKS: usize = 40;
/// A list of resolvers is short.
const LONGEST: usize = 64 * 1024;

/// The host's resolvers, but for `servers`, which ask here.
pub fn read(servers: &[IpAddr]) -> Vec<String> {
    choose(|path| fs::read_to_string(path).ok(), servers)
}

/// The same of texts in place of the files.
#[cfg(any(test, fuzzing))]
pub(super) fn of_texts(texts: &[&str], servers: &[IpAddr]) -> Vec<String> {
    let files: Vec<&str> = [FILE].into_iter().chain(BEHIND_STUBS).collect();
    let read = |path: &str| {
        let at = files.iter().position(|file| *file == path)?;
        texts.get(at).map(|text| (*text).to_owned())
    };
    choose(read, servers)
}

fn choose(read: impl Fn(&str) -> Option<String>, servers: &[IpAddr]) -> Vec<String> {
    let listed = |path: &str| nameservers(&read(path).unwrap_or_default(), servers);
    let named = listed(FILE);
    let (local, far): (Vec<String>, Vec<String>) = named.into_iter().partition(|one| is_local(one));
    if !far.is_empty() {
        return far;
    }
    let behind = BEHIND_STUBS.into_iter().map(|path| {
        let found = listed(path);
        found.into_iter().filter(|one| !is_local(one)).collect::<Vec<_>>()
    });
    let behind = behind.into_iter().find(|found| !found.is_empty());
    // A resolver of the host's own that is nobody's stub, or nobody knows whose.
    behind.unwrap_or_else(|| local.into_iter().filter(|one| !STUBS.contains(&one.as_str())).collect())
}

/// What is behind `nameserver` (resolv.conf(5)), link-local addresses with their interface.
fn nameservers(text: &str, servers: &[IpAddr]) -> Vec<String> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and(words.next())
    });
    let mut found: Vec<String> = Vec::new();
    for one in named {
        let is_usable =
            address(one).is_some_and(|address| !address.is_unspecified() && !servers.contains(&address));
        let has_plain_scope =
            one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:%-_".contains(&byte));
        if is_usable && has_plain_scope && !found.iter().any(|known| known == one) {
            found.push(one.to_owned());
        }
    }
    found
}

fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

fn is_local(text: &str) -> bool {
    address(text).is_some_and(|address| address.is_loopback())
}

/// Those that a guest can be told of.
pub fn for_guests(resolvers: &[String]) -> Vec<IpAddr> {
    resolvers.iter().filter_map(|one| one.parse().ok()).filter(|one: &IpAddr| !one.is_loopback()).collect()
}

/// What changes when the resolvers do: the files, and the folders in which they, or links to them, would be made anew.
pub fn places() -> BTreeSet<PathBuf> {
    [FILE].into_iter().chain(BEHIND_STUBS).flat_map(|path| places_of(Path::new(path))).collect()
}

fn places_of(path: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
        places.extend(folder.map(Path::to_owned));
        let Ok(target) = fs::read_link(&path) else { break };
        let folder = path.parent().unwrap_or(Path::new("/"));
        path = plain(&folder.join(target));
    }
    places.extend(Some(path).filter(|path| path.is_file()));
    places
}

/// Without `..`, as far as no folder on the way is a link.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chosen(files: &[(&str, &str)]) -> Vec<String> {
        let read =
            |path: &str| files.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned());
        choose(read, &["10.0.100.3".parse().unwrap()])
    }

    #[test]
    fn the_resolvers_are_those_of_the_host() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver 9.9.9.9\nnameserver  2620:fe::fe\nnameserver fe80::1%eth3\n\
                    nameserver 9.9.9.9\nnameserver nonsense\nnameserver 0.0.0.0\n";
        assert_eq!(chosen(&[(FILE, text)]), ["9.9.9.9", "2620:fe::fe", "fe80::1%eth3"]);
        assert_eq!(chosen(&[]), [""; 0]);
    }

    /// Whoever has put this server into /etc/resolv.conf does not make it ask itself.
    #[test]
    fn this_server_is_not_its_own_resolver() {
        assert_eq!(chosen(&[(FILE, "nameserver 10.0.100.3\nnameserver 9.9.9.9\n")]), ["9.9.9.9"]);
        assert_eq!(chosen(&[(FILE, "nameserver 10.0.100.3\n")]), [""; 0]);
    }

    #[test]
    fn a_stub_is_not_asked_but_those_behind_it() {
        let stub = (FILE, "nameserver 127.0.0.53\noptions edns0\n");
        assert_eq!(chosen(&[stub, (BEHIND_STUBS[0], "nameserver 192.168.1.1\n")]), ["192.168.1.1"]);
        assert_eq!(chosen(&[stub]), [""; 0]);
        let other = (FILE, "nameserver 127.0.0.1\n");
        assert_eq!(chosen(&[other, (BEHIND_STUBS[1], "nameserver 192.168.1.1\n")]), ["192.168.1.1"]);
        // A whole resolver on the host is asked by whoever has no other.
        assert_eq!(chosen(&[other]), ["127.0.0.1"]);
        assert_eq!(chosen(&[(FILE, "nameserver 127.0.0.1\nnameserver 9.9.9.9\n")]), ["9.9.9.9"]);
    }

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(plain(Path::new("/etc/../run/./systemd/resolve/x")), Path::new("/run/systemd/resolve/x"));
    }
}
