//! `kvmnet serve`: tells the guests of one network their addresses and names, by a dnsmasq of its own, for as long as the
//! network stands and its record says so.
//!
//! ```text
//! kernel ──► subject ─┐
//! resolv.conf ────────┼──► conf, names ──► files ──► dnsmasq
//! leases ─────────────┘
//! ```
//!
//! In: an interface. Out: a sentence why it ended. Never: needs a configuration, or changes the network.

mod child;
mod conf;
mod confine;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod landlock;
mod names;
mod place;
mod resolvers;
mod subject;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use crate::error::Error;
use crate::lock::Lock;
use crate::log::{self, Level};
use crate::model::lease::{self, Lease};
use crate::model::{BadName, GuestIdentity, IfName};
use crate::netlink::route::Rtnl;
use crate::reader::leases;
use crate::rights;
use crate::service::{self, claim};
use crate::signals::{self, SignalsBlocked};
use crate::terminal::printable;
use child::{Server, User};
use conf::Conf;
use place::Place;
use subject::Subject;
use sweep::Sweep;
use watch::Watch;

/// How long a server that ended at once is left alone, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A server that ran so long did not end at once.
const WELL: Duration = Duration::from_secs(10);
/// How often it is looked whether another program has given up the port; a server that was killed does it at once.
const PORT_PAUSE: Duration = Duration::from_secs(5);
/// So often and so long it is waited for what was just ended.
const PORT_TRIES: u32 = 10;
const PORT_MOMENT: Duration = Duration::from_millis(20);
const DNS: u16 = 53;
/// How long dnsmasq may take to start.
const REMINDER: Duration = Duration::from_secs(1);

/// Serves the network of an interface until that is over, and says why it is. `interface` is a name, or a folder of /sys.
pub fn serve(interface: &str) -> Result<String, Error> {
    if !rights::may_change_networks() {
        return Err(Error::NotRoot);
    }
    let name = name_of(interface)
        .map_err(|error| Error::Usage { problem: error.to_string(), program: "kvmnet serve" })?;
    let asking = || Error::system("ask the kernel");
    let file = lock()?;
    // After the lock, which lets signals through again when it is given back.
    let mut watch = Watch::begin().map_err(Error::system("wait for events"))?;
    let mut rtnl = Rtnl::open().map_err(asking())?;
    let Some(subject) = Subject::find(&mut rtnl, &name).map_err(asking())? else {
        return Ok(format!("nothing is to be served on {name}"));
    };
    if !claim::take(&file, subject.index).map_err(Error::system("lock a byte of the lock file"))? {
        return Ok(format!("{} is served already", subject.bridge));
    }
    let place = Place::make(&subject.bridge).map_err(Error::system("make a folder"))?;
    let sweep = Sweep::begin().map_err(Error::system("start a process"))?;
    let mut running = Running::new(&subject, place, sweep);
    // A kernel that cannot is no reason to leave guests without addresses.
    confine::confine(&running.place, &running.leases).iter().for_each(|error| running.say(error.to_string()));
    let mut subject = Some(subject);
    while let Some(now) = subject.filter(|now| now.index == running.index) {
        running.turn(&now, &mut watch).map_err(Error::system("serve"))?;
        if !watch.wait(running.next_look()).map_err(Error::system("wait for events"))? {
            running.end();
            return Ok(format!("{name} is served no longer: told to end"));
        }
        subject = Subject::find(&mut rtnl, &name).map_err(asking())?;
    }
    running.end();
    Ok(format!("{name} is served no longer"))
}

/// The last part of a path like /sys/devices/virtual/net/br0, by which systemd knows an interface.
fn name_of(interface: &str) -> Result<IfName, BadName> {
    match interface.strip_prefix("/sys/") {
        Some(path) => IfName::new(path.rsplit('/').next().unwrap_or_default()),
        None => IfName::new(interface),
    }
}

/// The lock file, once nobody changes a network: whoever has just made this one has finished then.
fn lock() -> Result<File, Error> {
    signals::start_deadline().map_err(Error::system("set a timer"))?;
    let hold = SignalsBlocked::begin();
    let file = Lock::take(&hold).and_then(Lock::into_file);
    signals::stop_deadline();
    file
}

/// What runs, and what it was told.
struct Running {
    index: u32,
    place: Place,
    leases: PathBuf,
    user: Option<User>,
    server: Option<Server>,
    /// When to try again, and how long to wait after that.
    retry: Option<Instant>,
    pause: Duration,
    is_port_taken: bool,
    /// When to say once more that there are other files: dnsmasq does not hear of it while it starts.
    remind: Option<Instant>,
    /// The names that no client may call itself, and when they are others.
    taken: Vec<String>,
    rename: Option<Instant>,
    /// Leases of addresses that are kept for other guests.
    in_the_way: Vec<Lease>,
    /// The taps that were on the bridge, by number.
    taps: Vec<u32>,
    sweep: Sweep,
    /// What was logged last: the same is not said twice.
    said: String,
}

impl Running {
    fn new(subject: &Subject, place: Place, sweep: Sweep) -> Self {
        let user = User::find();
        let leases = PathBuf::from(lease::path(&subject.bridge));
        let leases = match prepare(&leases, user) {
            Ok(()) => leases,
            // They do not outlive the network then.
            Err(_) => place.path().join("leases"),
        };
        let mut running = Self {
            index: subject.index,
            place,
            leases,
            user,
            server: None,
            retry: None,
            pause: PAUSES[0],
            is_port_taken: false,
            remind: None,
            taken: Vec::new(),
            rename: None,
            in_the_way: Vec::new(),
            taps: Vec::new(),
            sweep,
            said: String::new(),
        };
        if prepare(&running.leases, user).is_err() {
            running.say("leases cannot be kept".to_owned());
        }
        running
    }

    /// Has dnsmasq do what is to be done now.
    fn turn(&mut self, subject: &Subject, watch: &mut Watch) -> io::Result<()> {
        let places: BTreeSet<PathBuf> =
            resolvers::places().into_iter().chain([self.leases.clone()]).collect();
        watch.files(places)?;
        self.notice_end();
        self.notice_guests(subject);
        self.look_at_port(subject);
        let resolvers = resolvers::read(&subject.servers);
        let known = names::known(&subject.ports);
        let text: String = resolvers.iter().map(|one| format!("nameserver {one}\n")).collect();
        self.place.write(conf::RESOLVERS, &text)?;
        let taken = self.names_in_force(&known);
        let conf = Conf {
            subject,
            folder: self.place.path(),
            leases: &self.leases,
            is_port_taken: self.is_port_taken,
            resolvers: &resolvers::for_guests(&resolvers),
            taken: &taken,
        };
        let is_other = self.place.write(conf::CONF, &conf.text())?;
        let leases = lease::parse(&leases::text(&self.leases).unwrap_or_default());
        let are_others = self.write_names(subject, &known, &leases)?;
        if is_other || self.are_others_in_the_way(&leases, &known) {
            self.server.take().into_iter().for_each(Server::stop);
            self.retry = None;
        }
        match &self.server {
            Some(server) if are_others => {
                server.reload();
                self.remind = Some(Instant::now() + REMINDER);
            }
            Some(server) if self.remind.is_some_and(|remind| remind <= Instant::now()) => {
                server.reload();
                self.remind = None;
            }
            Some(_) => {}
            None => self.start(&known),
        }
        Ok(())
    }

    /// The names that no client may call itself. Others of them need another dnsmasq, which would forget whom it was about to
    /// give an address: not with each of many guests that start, one after the other.
    fn names_in_force(&mut self, known: &[GuestIdentity]) -> Vec<String> {
        let taken: Vec<String> = names::taken(known).into_iter().map(str::to_owned).collect();
        let age = self.server.as_ref().filter(|_| taken != self.taken).map(Server::age);
        let rest = age.and_then(|age| WELL.checked_sub(age));
        self.rename = rest.map(|rest| Instant::now() + rest);
        if rest.is_none() {
            self.taken = taken;
        }
        self.taken.clone()
    }

    /// Whether there are leases to be taken back that were not there before. A running dnsmasq would write them again.
    fn are_others_in_the_way(&mut self, leases: &[Lease], known: &[GuestIdentity]) -> bool {
        let before = mem::replace(&mut self.in_the_way, names::in_the_way(leases, known));
        !self.in_the_way.is_empty() && self.in_the_way != before
    }

    fn write_names(&self, subject: &Subject, known: &[GuestIdentity], leases: &[Lease]) -> io::Result<bool> {
        let host: Vec<_> = subject.addresses.iter().map(|net| net.addr()).collect();
        let hosts = names::hosts(&subject.domain, &host, known, &subject.ports, leases, &subject.stations);
        let is_other = self.place.write(conf::HOSTS, &hosts)?;
        Ok(self.place.write(conf::RESERVATIONS, &names::reservations(known))? || is_other)
    }

    /// Another program may have port 53, of all addresses or of this one; dnsmasq would not start.
    fn look_at_port(&mut self, subject: &Subject) {
        if self.server.is_some() && !self.is_port_taken {
            return;
        }
        let is_taken = |error: io::Error| error.kind() == io::ErrorKind::AddrInUse;
        let addresses = || subject.addresses.iter().map(|net| (net.addr(), DNS));
        let is_any_taken = || {
            addresses().any(|address| UdpSocket::bind(address).is_err_and(is_taken))
                || addresses().any(|address| TcpListener::bind(address).is_err_and(is_taken))
        };
        // What was just ended may have it for a moment yet.
        self.is_port_taken = (0..PORT_TRIES).all(|_| {
            let is_taken = is_any_taken();
            is_taken.then(|| thread::sleep(PORT_MOMENT));
            is_taken
        });
        if self.is_port_taken {
            self.say(format!(
                "another program has port 53 of {}: guests get addresses, and are told the host's resolvers",
                subject.host_if
            ));
        }
    }

    fn start(&mut self, known: &[GuestIdentity]) {
        if self.retry.is_some_and(|retry| Instant::now() < retry) {
            return;
        }
        let Some(program) = service::dnsmasq() else {
            self.say(service::NO_DNSMASQ.to_owned());
            self.retry = Some(Instant::now() + PAUSES[1]);
            return;
        };
        self.free_leases(known);
        match Server::start(program, &self.place.path().join(conf::CONF), self.user) {
            Ok(server) => (self.server, self.retry) = (Some(server), None),
            Err(error) => {
                self.say(format!("cannot start {program}: {error}"));
                self.postpone();
            }
        }
    }

    /// Takes back addresses and names that are others' by now; nobody else writes the file meanwhile.
    fn free_leases(&self, known: &[GuestIdentity]) {
        let Ok(before) = leases::text(&self.leases) else { return };
        let after = names::without_taken(&before, &names::taken(known), known);
        if after != before {
            // The next client to ask for its address has it corrected.
            let _ = shorten(&self.leases, &after);
        }
    }

    fn notice_end(&mut self) {
        let Some((status, after, last)) = self.server.as_mut().and_then(Server::ended) else { return };
        self.server = None;
        if after >= WELL {
            self.pause = PAUSES[0];
        }
        self.say(format!("dnsmasq ended ({status}): {last}"));
        // One that was killed comes back at once; one that cannot run is tried less and less often.
        if !last.is_empty() || after < PAUSES[0] {
            self.postpone();
        }
    }

    fn notice_guests(&mut self, subject: &Subject) {
        let taps = subject.ports.iter().map(|port| port.index).collect();
        let before = mem::replace(&mut self.taps, taps);
        self.sweep.look(before.iter().any(|tap| !self.taps.contains(tap)));
    }

    fn postpone(&mut self) {
        self.retry = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES[1]);
    }

    /// How long nothing is to be done of itself.
    fn next_look(&self) -> Option<Duration> {
        let port = self.is_port_taken.then_some(PORT_PAUSE);
        let due = [self.retry, self.remind, self.rename].into_iter().flatten();
        let due = due.map(|due| due.saturating_duration_since(Instant::now()));
        port.into_iter().chain(due).min()
    }

    fn say(&mut self, line: String) {
        if line != self.said {
            log::write("kvmnet", Level::Error, &line);
            // systemd has it in the journal.
            let _ = writeln!(io::stderr(), "kvmnet: {}", printable(&line));
            self.said = line;
        }
    }

    fn end(&mut self) {
        self.server.take().into_iter().for_each(Server::stop);
    }
}

/// Writes a text over a longer one: where no room is left, the other would be gone already.
fn shorten(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Makes the file of leases, which is its user's; the folder is root's.
fn prepare(leases: &Path, user: Option<User>) -> io::Result<()> {
    if let Some(folder) = leases.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options
        .read(true)
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(leases)?;
    match user {
        Some(User { uid, gid }) => nix::unistd::fchown(&file, Some(uid), Some(gid)).map_err(Into::into),
        None => Ok(()),
    }
}
