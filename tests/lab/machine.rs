//! One machine of the lab: a network namespace, and for the host private files as well.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chroot, fchdir};

use super::process::Process;
use super::servers;

/// A machine lives as long as this value and its copies: its namespaces are held by these open files and
/// nothing else.
#[derive(Clone)]
pub struct Machine {
    net: Arc<File>,
    files: Option<Arc<Files>>,
}

/// A mount namespace, and the root directory in it: it is not the namespace's own where the tests run in a chroot.
struct Files {
    namespace: File,
    root: File,
    /// The number of the network namespace.
    net: u64,
}

impl Drop for Files {
    fn drop(&mut self) {
        servers::end(self.net);
    }
}

impl Machine {
    /// A machine with a network of its own, and the files of whoever runs the test.
    pub fn new() -> Self {
        let net = spawn_and_join(|| {
            isolate(CloneFlags::CLONE_NEWNET);
            own_namespace("net")
        });
        Self { net: Arc::new(net), files: None }.prepared()
    }

    /// A machine whose `/etc`, `/run`, `/var/lib`, `/dev` and `/sys` are its own, too: what hooks read and write is private.
    pub fn with_private_files() -> Self {
        let (net, files) = spawn_and_join(|| {
            isolate(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS);
            private_files();
            let root = File::open("/").expect("the root directory can be opened");
            let net = own_namespace("net");
            let files = Files { namespace: own_namespace("mnt"), root, net: servers::number(&net) };
            (net, files)
        });
        Self { net: Arc::new(net), files: Some(Arc::new(files)) }.prepared()
    }

    /// A new namespace takes over some settings of the machine it is made on: here they are set, so that a
    /// developer's laptop and a CI machine are the same host.
    fn prepared(self) -> Self {
        for family in ["ipv4", "ipv6"] {
            self.sysctl(&format!("{family}/conf/all/forwarding"), "0");
        }
        for scope in ["all", "default"] {
            self.sysctl(&format!("ipv4/conf/{scope}/rp_filter"), "0");
        }
        self.ip("link set lo up");
        self
    }

    /// Runs `work` in this machine, on a thread that has moved there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        spawn_and_join(|| {
            self.move_here();
            work()
        })
    }

    /// Moves the calling thread, and what it starts from now on, to this machine.
    pub(super) fn move_here(&self) {
        if let Some(files) = &self.files {
            unshare(CloneFlags::CLONE_FS).expect("a thread gets its own root directory");
            setns(files.namespace.as_fd(), CloneFlags::CLONE_NEWNS)
                .expect("a thread enters a mount namespace");
            fchdir(&files.root)
                .and_then(|()| chroot("."))
                .expect("a thread enters the machine's root directory");
        }
        setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET).expect("a thread enters a network namespace");
    }

    /// How `ip link … netns` is told of this machine.
    pub fn netns(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.net.as_raw_fd())
    }

    /// Runs a command line (split at blanks) and returns whatever came of it.
    pub fn try_run(&self, command: &str) -> Output {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.enter(|| {
            Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| {
                panic!("{} is needed by the labs and cannot be run: {error}", words[0])
            })
        })
    }

    /// Runs a command line that must succeed, and returns what it printed.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        let output = self.try_run(command);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{command}` failed: {complaint}");
        String::from_utf8(output.stdout).expect("commands print UTF-8")
    }

    /// Runs `ip` with these arguments; it must succeed.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        self.run(&format!("ip {arguments}"))
    }

    /// Runs `ip` for each of these lines; all must succeed.
    #[track_caller]
    pub fn batch(&self, lines: &str) {
        self.enter(|| fs::write("/run/lab/batch", lines)).expect("a private /run can be written");
        self.ip("-batch /run/lab/batch");
    }

    /// Starts a program that goes on beside the test, and ends with it at the latest.
    pub fn start(&self, program: &str, arguments: &[&str]) -> Process {
        Process::start(self, program, arguments)
    }

    /// Writes `/proc/sys/net/KEY`.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys/net").join(key);
        self.enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{} must take {value}: {error}", path.display()));
    }

    /// Reads `/proc/sys/net/KEY`; `None` where this kernel or machine has no such file.
    pub fn read_sysctl(&self, key: &str) -> Option<String> {
        let path = Path::new("/proc/sys/net").join(key);
        self.enter(|| fs::read_to_string(path)).ok().map(|text| text.trim_end().to_owned())
    }

    /// The hardware address of an interface.
    #[track_caller]
    pub fn mac(&self, interface: &str) -> [u8; 6] {
        let links: serde_json::Value =
            serde_json::from_str(&self.ip(&format!("-j link show dev {interface}"))).expect("ip prints JSON");
        let text = links[0]["address"].as_str().expect("the interface has a hardware address");
        let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.try_into().expect("an Ethernet address has six bytes")
    }

    /// The link-local address that an interface has, if any.
    pub fn link_local(&self, interface: &str) -> Option<String> {
        let output = self.try_run(&format!("ip -6 -j addr show dev {interface} scope link"));
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let addresses = links.as_array()?.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
        addresses.filter_map(|address| address["local"].as_str()).next().map(str::to_owned)
    }
}

/// Runs `work` on a new thread, whose namespaces may therefore be changed, and hands its panic on.
fn spawn_and_join<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Gives the calling thread new namespaces.
fn isolate(namespaces: CloneFlags) {
    unshare(namespaces).unwrap_or_else(|error| {
        panic!("the labs need root, and a kernel with network and mount namespaces (unshare: {error})")
    });
}

/// The calling thread's namespace of a kind, held open.
fn own_namespace(kind: &str) -> File {
    File::open(format!("/proc/thread-self/ns/{kind}")).expect("/proc must be mounted")
}

/// Lays private directories over the places where hooks read and write. `/sys` is mounted anew because sysfs
/// shows the network namespace of its mount; `/dev` holds no `log`, so that no line reaches the machine's syslog.
fn private_files() {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .expect("mounts are private from here on");
    fs::create_dir_all("/run").expect("there is a /run");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).expect("a private /run");
    fs::create_dir_all("/run/lab/dev/net").expect("a directory in the private /run");
    overlay("/etc", "etc");
    // Leases are kept there.
    overlay("/var/lib", "lib");
    let _none_before = fs::remove_dir_all("/var/lib/kvmnet");
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).expect("a /sys of this network");
    for device in ["null", "zero", "full", "urandom", "random", "net/tun", "kvm"] {
        keep_device(device);
    }
    mount(Some("/run/lab/dev"), "/dev", none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .expect("a private /dev");
}

/// What is written to a folder stays in the private /run.
fn overlay(folder: &str, name: &str) {
    let (upper, work) = (format!("/run/lab/{name}"), format!("/run/lab/{name}-work"));
    for directory in [&upper, &work] {
        fs::create_dir_all(directory).expect("a directory in the private /run");
    }
    let options = format!("lowerdir={folder},upperdir={upper},workdir={work}");
    mount(Some("overlay"), folder, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap_or_else(
        |error| panic!("the labs lay an overlay over {folder}, which this kernel must have: {error}"),
    );
}

/// Carries a device over into the private `/dev`; one that the machine lacks is missing there as well.
fn keep_device(device: &str) {
    let (real, kept) = (format!("/dev/{device}"), format!("/run/lab/dev/{device}"));
    if Path::new(&real).exists() {
        File::create(&kept).expect("a place for a device");
        mount(Some(real.as_str()), kept.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .expect("a device");
    }
}
