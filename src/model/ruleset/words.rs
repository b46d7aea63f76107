//! What `nft` takes for a name and for a comment.

use crate::model::IfName;

/// The longest comment in bytes that `nft` takes (NFTNL_UDATA_COMMENT_MAXLEN).
pub const COMMENT_MAX: usize = 127;

/// Whether `nft` takes a text for a comment.
pub(super) fn is_comment(text: &str) -> bool {
    let is_taken = |c: char| c != '"' && !c.is_control();
    !text.is_empty() && text.len() <= COMMENT_MAX && text.chars().all(is_taken)
}

/// Whether `nft` takes the name in its quotes: it has no way to hold a quote, and a star at its end means more.
pub fn is_text(name: &IfName) -> bool {
    let name = name.as_bytes();
    std::str::from_utf8(name).is_ok() && !name.contains(&b'"') && !name.ends_with(b"*")
}

/// Whether `nft` takes a text for the name of a table.
pub fn is_identifier(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_plain)
}
