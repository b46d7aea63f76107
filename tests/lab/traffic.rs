//! Traffic that goes on while something happens to the network: who talks, and whether anything was lost.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Machine, Process, TcpServer, eventually};

/// Pings in one direction, one each ten milliseconds, until they are stopped.
pub struct Pings {
    pub what: String,
    ping: Process,
}

/// What came of pings.
#[derive(Debug)]
pub struct Answers {
    pub what: String,
    pub sent: usize,
    /// The numbers of those that were never answered.
    pub lost: Vec<usize>,
}

impl Pings {
    pub fn start(from: &Machine, to: &str) -> Self {
        let ping = from.start("stdbuf", &["-oL", "ping", "-n", "-i", "0.01", to]);
        Self { what: format!("pings to {to}"), ping }
    }

    pub fn answers(&self) -> usize {
        self.ping.has_printed("bytes from")
    }

    /// Waits until this many more have been answered.
    #[track_caller]
    pub fn await_answers(&self, more: usize) {
        let wanted = self.answers() + more;
        eventually(&self.what, || self.answers() >= wanted);
    }

    /// Stops them. Of the last ones the answers may be on their way still: only those before them count.
    pub fn stop(mut self) -> Answers {
        self.ping.signal(Signal::SIGINT);
        self.ping.wait();
        let printed = self.ping.printed();
        let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
        let answered: Vec<usize> = printed.lines().filter_map(number).collect();
        let sent = answered.iter().copied().max().unwrap_or_default();
        let mut is_answered = vec![false; sent + 1];
        answered.into_iter().for_each(|number| is_answered[number] = true);
        Answers { what: self.what, sent, lost: (1..=sent).filter(|number| !is_answered[*number]).collect() }
    }
}

/// A conversation over one TCP connection: a block there and back, again and again, and each byte compared.
pub struct Conversation {
    what: String,
    shared: Shared,
    talk: JoinHandle<io::Result<()>>,
    watch: JoinHandle<usize>,
}

/// What its threads share; they end when the conversation goes, on whichever way.
struct Shared(Arc<State>);

#[derive(Default)]
struct State {
    turns: AtomicUsize,
    over: AtomicBool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn turns(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }
}

/// How long a side waits to hear of the other.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether a conversation has gone on.
const TICK: Duration = Duration::from_millis(10);

impl Conversation {
    /// Opens a connection to a service, at this address.
    #[track_caller]
    pub fn start(client: &Machine, server: &TcpServer, address: &str) -> Self {
        let connection = client.open(address).expect("the connection opens");
        let accepted = server.accept();
        for side in [&connection, &accepted] {
            side.set_nodelay(true).expect("a TCP socket");
            side.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        }
        let state = Arc::new(State::default());
        thread::spawn(move || echo(accepted));
        let (talking, watching) = (Arc::clone(&state), Arc::clone(&state));
        let talk = thread::spawn(move || talk(connection, &talking));
        let watch = thread::spawn(move || longest_pause(&watching));
        Self { what: format!("the connection to {address}"), shared: Shared(state), talk, watch }
    }

    /// Waits until it has gone on for this many turns.
    #[track_caller]
    pub fn await_turns(&self, more: usize) {
        let wanted = self.shared.0.turns() + more;
        eventually(&format!("{} goes on", self.what), || self.shared.0.turns() >= wanted);
    }

    /// Ends it; it must not have broken, nor lost or changed a byte. Returns how many turns it had, and how long at
    /// most there was none.
    #[track_caller]
    pub fn finish(self) -> (usize, Duration) {
        let Self { what, shared, talk, watch } = self;
        let state = Arc::clone(&shared.0);
        drop(shared);
        let talked = talk.join().expect("a conversation does not panic");
        talked.unwrap_or_else(|error| panic!("{what} must not break: {error}"));
        let pause = watch.join().expect("a watch does not panic");
        (state.turns(), TICK * u32::try_from(pause).expect("a pause that a test can wait for"))
    }
}

/// Says a block and awaits its echo until told to stop.
fn talk(mut connection: TcpStream, state: &State) -> io::Result<()> {
    let mut heard = [0; 1000];
    while !state.is_over() {
        let turn = state.turns().to_ne_bytes();
        let said: [u8; 1000] = std::array::from_fn(|at| turn[at % turn.len()]);
        connection.write_all(&said)?;
        connection.read_exact(&mut heard)?;
        if heard != said {
            return Err(io::Error::other("what was echoed is not what was said"));
        }
        state.turns.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Echoes until the other side closes, or is not heard of any more.
fn echo(mut connection: TcpStream) {
    let mut bytes = [0; 1000];
    while let Ok(length @ 1..) = connection.read(&mut bytes) {
        if connection.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// For how many looks in a row there was no new turn, at most. Looks are counted and not time: on a machine that
/// stands still, this stands still, too.
fn longest_pause(state: &State) -> usize {
    let (mut last, mut pause, mut longest) = (state.turns(), 0, 0);
    while !state.is_over() {
        thread::sleep(TICK);
        let now = state.turns();
        pause = if now == last { pause + 1 } else { 0 };
        longest = longest.max(pause);
        last = now;
    }
    longest
}
