//! `filter = true`: a guest that is held to its own MACs and addresses, on real taps. Each attack is sent by a guest without a
//! filter first, and arrives: what does not arrive from one with a filter was stopped by that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "isolation/attack.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod attack;
#[path = "isolation/ground.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod ground;
#[path = "isolation/in_guest.rs"]
mod in_guest;
#[path = "isolation/judge.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod judge;
mod lab;
#[path = "isolation/packet.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod packet;

#[path = "filter/attacks.rs"]
mod attacks;
#[path = "filter/found.rs"]
mod found;
#[path = "filter/kit.rs"]
mod kit;
#[path = "filter/life.rs"]
mod life;
#[path = "filter/real_guest.rs"]
mod real_guest;
#[path = "serve/kit.rs"]
#[allow(dead_code, reason = "these need a part of it")]
mod serving;
#[path = "filter/works.rs"]
mod works;
