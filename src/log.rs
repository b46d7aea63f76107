//! The system log: one line for each run (syslog(3), facility daemon).

use std::io::Write;

use syslog::{Facility, LogFormat, LoggerBackend, Severity};

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
    let Ok(mut logger) = syslog::unix(Line { program }) else { return };
    if let LoggerBackend::Unix(socket) = &logger.backend {
        let _ = socket.set_nonblocking(true);
    }
    let line = line.lines().map(printable).collect::<Vec<_>>().join("; ");
    let _ = match level {
        Level::Info => logger.info(&*line),
        Level::Error => logger.err(&*line),
    };
}

/// `<PRIORITY>PROGRAM[PID]: LINE`. The daemon adds the time, its own and local; the crate's formatters tell UTC without
/// saying so, and would be 33 KB of a hook.
#[derive(Clone)]
struct Line<'a> {
    program: &'a str,
}

impl LogFormat<&str> for Line<'_> {
    fn format<W: Write>(&self, to: &mut W, severity: Severity, line: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        let line = format!("<{priority}>{}[{}]: {line}", self.program, std::process::id());
        to.write_all(line.as_bytes()).map_err(syslog::Error::Write)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_as_syslog_has_it() {
        let mut sent = Vec::new();
        Line { program: "qemu-ifup" }.format(&mut sent, Severity::LOG_ERR, "no tap").unwrap();
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            format!("<27>qemu-ifup[{}]: no tap", std::process::id())
        );
    }
}
