//! What a host has of others: their files, byte for byte, their rules and their settings. And kvmnet, as install.sh installs it there
//! and takes it away.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::lab::{Lab, Machine};

const INSTALLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
/// What is looked at, and what the machine itself may be changing meanwhile, or NetworkManager when it ends.
const FOLDERS: [&str; 3] = ["/etc", "/usr/local", "/var/lib"];
const LEFT_OUT: [&str; 3] = ["/var/lib/apt", "/var/lib/dpkg", "/var/lib/NetworkManager"];
/// What a host's settings say of being a router, and of what its firewall is shown.
const SETTINGS: [&str; 12] = [
    "ipv4/ip_forward",
    "ipv6/conf/all/forwarding",
    "ipv4/conf/default/forwarding",
    "ipv4/conf/eth3/forwarding",
    "ipv4/conf/eth4/forwarding",
    "ipv6/conf/eth3/forwarding",
    "ipv4/conf/all/rp_filter",
    "ipv4/conf/default/rp_filter",
    "ipv4/conf/eth3/rp_filter",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
    "bridge/bridge-nf-call-arptables",
];

/// A file, a link or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Kind, mode, owner, and what is in it.
    what: String,
    /// When it was written. Of a folder nothing: that changes with what comes and goes.
    written: Option<(i64, i64)>,
}

type Files = BTreeMap<PathBuf, Entry>;

/// What a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    files: Files,
    /// With their numbers, but for firewalld's: install.sh has it read its files again.
    numbered: Vec<String>,
    rules: Vec<String>,
    settings: Vec<String>,
}

impl Traces {
    pub fn of(host: &Machine) -> Self {
        let mut files = Files::new();
        host.enter(|| FOLDERS.iter().for_each(|folder| add_folder(&mut files, Path::new(folder))));
        Self {
            files,
            numbered: rules(host, true),
            rules: rules(host, false),
            settings: SETTINGS
                .iter()
                .map(|key| format!("{key} = {:?}", host.read_sysctl(key)))
                .chain(
                    host.try_run("dpkg-divert --list")
                        .status
                        .success()
                        .then(|| host.run("dpkg-divert --list")),
                )
                .collect(),
        }
    }

    /// Fails the test unless this is what there was before, to the times of files and the numbers of rules.
    #[track_caller]
    pub fn assert_untouched_since(&self, before: &Self, what: &str) {
        self.assert_is(before, what);
        let late: Vec<&PathBuf> = before
            .files
            .keys()
            .filter(|path| before.files[*path].written != self.files[*path].written)
            .collect();
        assert!(late.is_empty(), "{what}: files that were written anew: {late:?}");
        assert_same_lines(&before.numbered, &self.numbered, &format!("{what}: rules that were written anew"));
    }

    /// Fails the test unless all that differs from `before` is what the neighbour itself has changed where no kvmnet was (`alone`).
    #[track_caller]
    pub fn assert_changed_by(&self, alone: [&Self; 2], before: &Self, what: &str) {
        let [then, now] = alone;
        let mut expected = now.clone();
        // Of what it has not touched, something may be another in each lab: a key, an identity.
        for (path, entry) in &mut expected.files {
            let is_same = then.files.get(path).is_some_and(|former| former.what == entry.what);
            if let Some(own) = before.files.get(path).filter(|_| is_same) {
                entry.clone_from(own);
            }
        }
        self.assert_is(&expected, what);
    }

    #[track_caller]
    fn assert_is(&self, expected: &Self, what: &str) {
        let lines = |traces: &Self| -> Vec<String> {
            traces.files.iter().map(|(path, entry)| format!("{} {}", path.display(), entry.what)).collect()
        };
        assert_same_lines(&lines(expected), &lines(self), &format!("{what}: files"));
        assert_same_lines(&expected.rules, &self.rules, &format!("{what}: rules"));
        assert_same_lines(&expected.settings, &self.settings, &format!("{what}: settings"));
    }
}

#[track_caller]
fn assert_same_lines(before: &[String], after: &[String], what: &str) {
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(before == after, "{what}\nit had: {}\nit has: {}", only(before, after), only(after, before));
}

/// Must run on the host.
fn add_folder(files: &mut Files, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)) {
            continue;
        }
        if about.is_dir() {
            add_folder(files, &path);
        }
        let written = (!about.is_dir()).then(|| (about.mtime(), about.mtime_nsec()));
        files.insert(path.clone(), Entry { what: description(&path, &about), written });
    }
}

fn description(path: &Path, about: &Metadata) -> String {
    let inside = match about {
        _ if about.is_symlink() => fs::read_link(path).unwrap_or_default().display().to_string(),
        // What is below /usr/local may be large.
        _ if about.is_file() && !path.starts_with("/usr/local") => {
            let mut hash = DefaultHasher::new();
            fs::read(path).unwrap_or_default().hash(&mut hash);
            format!("{} bytes, {:x}", about.len(), hash.finish())
        }
        _ if about.is_file() => format!("{} bytes", about.len()),
        _ => String::new(),
    };
    format!("{:o} {}:{} {inside}", about.mode(), about.uid(), about.gid())
}

/// All rules, whoever keeps them, but for what was counted.
fn rules(host: &Machine, are_numbered: bool) -> Vec<String> {
    let mut rules = Vec::new();
    let mut is_firewallds = false;
    for line in host.run("nft -a list ruleset").lines() {
        if line.starts_with("table ") {
            is_firewallds = line.contains(" firewalld ");
        }
        let line = without_counts(line);
        rules.push(match line.split_once(" # handle ") {
            Some((rule, _)) if is_firewallds || !are_numbered => rule.to_owned(),
            _ => line,
        });
    }
    let legacy = ["iptables-legacy-save", "ip6tables-legacy-save"].map(|save| host.run(save)).concat();
    let lines = legacy.lines().filter(|line| !line.starts_with('#'));
    rules.extend(lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()));
    rules.extend(of_firewalld(host));
    rules
}

pub fn without_counts(line: &str) -> String {
    let mut words = line.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if matches!(word, "packets" | "bytes") {
            words.next();
        }
    }
    kept.join(" ")
}

/// What firewalld says, where it runs: of now, and of its files.
fn of_firewalld(host: &Machine) -> Vec<String> {
    if !host.enter(|| fs::exists("/run/dbus/system_bus_socket").unwrap_or_default())
        || !host.try_run("firewall-cmd --state").status.success()
    {
        return Vec::new();
    }
    let mut said = Vec::new();
    for list in ["--list-all-zones", "--list-all-policies", "--direct --get-all-rules"] {
        for when in ["", "--permanent"] {
            said.extend(host.run(&format!("firewall-cmd {when} {list}")).lines().map(str::to_owned));
        }
    }
    said
}

/// A lab's host without anything of kvmnet's, and what install.sh writes to as the lab's own.
pub fn make_bare(lab: &Lab) {
    lab.host.run("mkdir -p /run/lab/local /run/lab/local-work");
    let layers = "lowerdir=/usr/local,upperdir=/run/lab/local,workdir=/run/lab/local-work";
    lab.host.run(&format!("mount -t overlay overlay -o {layers} /usr/local"));
    let own = "/etc/qemu-ifup /etc/qemu-ifdown /etc/kvmnet /etc/kvmnet.conf /usr/local/lib/kvmnet /usr/local/bin/kvmnet";
    lab.host.run(&format!("rm -rf {own}"));
}

/// Runs install.sh. The programs are built before, where whoever runs the tests has not done so.
fn run_installer(lab: &Lab, arguments: &[&str]) -> Output {
    let mut command = Command::new(INSTALLER);
    command.args(arguments).env_clear().env("CARGO_NET_OFFLINE", "true");
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    lab.host.enter(|| command.output()).expect("install.sh can be run")
}

#[track_caller]
pub fn install(lab: &Lab) {
    let output = run_installer(lab, &[]);
    assert!(output.status.success(), "install.sh: {output:?}");
}

#[track_caller]
pub fn uninstall(lab: &Lab) {
    // The configuration as it was installed goes with the rest.
    lab.host.run("cp /usr/local/lib/kvmnet/kvmnet.conf.installed /etc/kvmnet.conf");
    let output = run_installer(lab, &["--uninstall"]);
    assert!(output.status.success() && output.stderr.is_empty(), "install.sh --uninstall: {output:?}");
}

/// It is refused while a network is up, with the way out, which is taken.
#[track_caller]
pub fn uninstall_with_guests_on(lab: &Lab) {
    let output = run_installer(lab, &["--uninstall"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("first `kvmnet down br0`"), "{said}");
    lab.host.run("env -i /usr/local/bin/kvmnet down br0 --force");
    uninstall(lab);
}
