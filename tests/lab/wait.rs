//! Waiting for a condition, with a bound. Never for a time.

use std::time::{Duration, Instant};

/// How long any condition may take on a slow machine; what holds, holds long before.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `holds`; fails the test with `what` where it does not come to hold.
#[track_caller]
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    assert!(within(LIMIT, holds), "never came to hold: {what}");
}

/// Whether `holds` comes to hold before `limit` is over.
pub fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
