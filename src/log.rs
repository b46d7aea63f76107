//! The system log: one line for each run (syslog(3), facility daemon).

use syslog::{Facility, Formatter3164, LoggerBackend};

use crate::terminal::printable;

/// How a line is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Done.
    Info,
    /// Failed.
    Error,
}

/// Writes one line as `program[pid]`. A machine without a log daemon, or one whose daemon does not read, has
/// no line: that is no reason to keep a guest waiting.
pub fn write(program: &str, level: Level, line: &str) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: program.to_owned(),
        pid: std::process::id(),
    };
    let Ok(mut logger) = syslog::unix(formatter) else { return };
    if let LoggerBackend::Unix(socket) = &logger.backend {
        let _ = socket.set_nonblocking(true);
    }
    let line = line.lines().map(printable).collect::<Vec<_>>().join("; ");
    let _ = match level {
        Level::Info => logger.info(line),
        Level::Error => logger.err(line),
    };
}
