//! Any words as the arguments that a user's QEMU gives.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::arguments::{self, Request};

/// A NUL behind each word.
pub(crate) fn arguments(data: &[u8]) {
    let words = data.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    match arguments::read(&words.collect::<Vec<_>>()) {
        Ok(Request::Tap { network, socket, .. }) => {
            assert!(!network.is_empty() && network.len() <= 3 * data.len() && socket >= 0);
        }
        Ok(Request::Text(text)) => assert!(!text.contains('\x1b')),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains(|letter: char| letter.is_control()), "{line:?}");
        }
    }
}
