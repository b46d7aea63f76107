//! The NIC is taken over and given back, again and again, and nobody who talks with the host notices.
//!
//! Ten times by default; a hundred times with `KVMNET_TEST_LONG`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::bench::{DOWN, NAME, UP, is_long};
use lab::{Answers, Conversation, Hook, Lab, Network, Pings, Tap, TcpServer};

/// From the host and to it, on the LAN and beyond the router.
const TO_THE_WORLD: [&str; 4] = ["192.168.1.25", "fd00:1::25", "198.51.100.7", "fd00:51::7"];
const TO_THE_HOST: [&str; 2] = ["192.168.1.230", "fd00:1::230"];

/// The kernel itself drops what arrives in the instant in which a NIC becomes a port, or stops being one
/// (`br_handle_frame`): some five microseconds each time.
fn may_fall(times: usize) -> usize {
    1 + times / 20
}

#[test]
fn no_connection_stalls_and_no_ping_is_lost() {
    let lab = Lab::new(Network::BRIDGED);
    let (host, outside) = (&lab.host, &lab.outside);
    let servers = [TcpServer::on(host), TcpServer::on(outside)];
    let conversations: Vec<Conversation> = [
        (outside, &servers[0], "192.168.1.230"),
        (outside, &servers[0], "fd00:1::230"),
        (host, &servers[1], "192.168.1.25"),
        (host, &servers[1], "fd00:1::25"),
    ]
    .map(|(client, server, address)| Conversation::start(client, server, address))
    .into();
    let to_world = TO_THE_WORLD.iter().map(|to| Pings::start(host, to));
    let pings: Vec<Pings> = to_world.chain(TO_THE_HOST.iter().map(|to| Pings::start(outside, to))).collect();
    let all_go_on = || {
        pings.iter().for_each(|ping| ping.await_answers(2));
        conversations.iter().for_each(|conversation| conversation.await_turns(2));
    };
    let tap = Tap::open(host, NAME);
    let run = |program| Hook::new(host, program, &[NAME]).tap(&tap).run().ok();
    let times = if is_long() { 100 } else { 10 };
    for _ in 0..times {
        all_go_on();
        run(UP);
        all_go_on();
        run(DOWN);
    }
    all_go_on();
    for conversation in conversations {
        let (turns, pause) = conversation.finish();
        println!(
            "{times} takeovers and returns: {turns} turns of a connection, {pause:?} without one at most"
        );
        assert!(pause < Duration::from_secs(1), "no connection stalls");
    }
    let answers: Vec<Answers> = pings.into_iter().map(Pings::stop).collect();
    for Answers { what, sent, lost } in &answers {
        println!("{times} takeovers and returns: {sent} {what}, {} lost", lost.len());
    }
    let fallen: usize = answers.iter().map(|answers| answers.lost.len()).sum();
    assert!(fallen <= may_fall(times), "{fallen} pings of all were lost: {answers:?}");
}
