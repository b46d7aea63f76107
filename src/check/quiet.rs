//! While the kernel is read no hook is at work: what is half done looks wrong, and its fix would do harm.

use crate::error::Error;
use crate::lock::Lock;
use crate::rights;
use crate::signals::{self, SignalsBlocked};

/// A time in which no hook is at work. Without rights nobody can have one.
pub struct Quiet(Option<Result<(SignalsBlocked, Lock), Error>>);

impl Quiet {
    /// Waits for whoever is at work, as long as a hook would.
    pub fn begin() -> Self {
        Self(rights::may_change_networks().then(take))
    }

    /// Lets others go on. Some: why there was no such time.
    pub fn end(self) -> Option<Error> {
        let (_hold, lock) = match self.0? {
            Ok(both) => both,
            Err(error) => return Some(error),
        };
        lock.release();
        signals::stop_deadline();
        None
    }
}

/// The time of a run goes on while the lock is held, so that nothing holds hooks up for good.
fn take() -> Result<(SignalsBlocked, Lock), Error> {
    signals::start_deadline().map_err(Error::system("set a timer"))?;
    let hold = SignalsBlocked::begin();
    let lock = Lock::take(&hold).inspect_err(|_| signals::stop_deadline())?;
    Ok((hold, lock))
}
