//! The NIC is taken over and given back, again and again, and nobody who talks with the host notices.
//!
//! Ten times by default; a hundred times with `KVMNET_TEST_LONG`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::time::Duration;

use lab::bench::{DOWN, NAME, UP, is_long};
use lab::{Answers, Bench, Conversation, Fault, Hook, Lab, Network, Pings, Tap, TcpServer};

/// Pings from the host and to it, on the LAN and beyond the router.
fn start_pings(lab: &Lab) -> Vec<Pings> {
    let to_world = ["192.168.1.25", "fd00:1::25", "198.51.100.7", "fd00:51::7"].map(|to| (&lab.host, to));
    let to_host = ["192.168.1.230", "fd00:1::230"].map(|to| (&lab.outside, to));
    to_world.into_iter().chain(to_host).map(|(from, to)| Pings::start(from, to)).collect()
}

/// Stops pings; so many may be lost and no more. The kernel itself drops what arrives in the instant in which a NIC
/// becomes a port, or stops being one (`br_handle_frame`): some five microseconds each time.
#[track_caller]
fn stop_pings(what: &str, pings: Vec<Pings>, may_fall: usize) {
    let answers: Vec<Answers> = pings.into_iter().map(Pings::stop).collect();
    for Answers { what: pings, sent, lost } in &answers {
        println!("{what}: {sent} {pings}, {} lost", lost.len());
    }
    let fallen: usize = answers.iter().map(|answers| answers.lost.len()).sum();
    assert!(fallen <= may_fall, "{what}: {fallen} pings were lost: {answers:?}");
}

#[test]
fn no_connection_stalls_and_no_ping_is_lost() {
    let lab = Lab::new(Network::BRIDGED);
    let (host, outside) = (&lab.host, &lab.outside);
    // Sources are validated strictly, as many distributions have it.
    host.sysctl("ipv4/conf/eth3/rp_filter", "1");
    let servers = [TcpServer::on(host), TcpServer::on(outside)];
    let conversations = [
        (outside, &servers[0], "192.168.1.230"),
        (outside, &servers[0], "fd00:1::230"),
        (host, &servers[1], "192.168.1.25"),
        (host, &servers[1], "fd00:1::25"),
    ]
    .map(|(client, server, address)| Conversation::start(client, server, address));
    let pings = start_pings(&lab);
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
    let what = format!("{times} takeovers and returns");
    for conversation in conversations {
        let (turns, pause) = conversation.finish();
        println!("{what}: {turns} turns of a connection, {pause:?} without one at most");
        assert!(pause < Duration::from_secs(1), "no connection stalls");
    }
    stop_pings(&what, pings, 1 + times / 20);
}

/// Between any two sends of a hook the host works, in both directions and both families: so nothing hangs on how long
/// it takes from one to the next. Sources are validated strictly.
#[test]
fn a_slow_takeover_and_a_slow_return_lose_nothing() {
    let lab = Lab::new(Network::BRIDGED);
    lab.host.sysctl("ipv4/conf/all/rp_filter", "1");
    let bench = Bench::of(lab);
    for (program, calls) in [(UP, &bench.up_calls), (DOWN, &bench.down_calls)] {
        for call in calls.iter().filter(|call| call.changes) {
            if program == DOWN {
                bench.hook(UP).ok();
                bench.lab.settle();
            }
            let pings = start_pings(&bench.lab);
            pings.iter().for_each(|ping| ping.await_answers(2));
            let traced = bench.hook_with(program, call, Fault::Late(200));
            traced.ran.ok();
            pings.iter().for_each(|ping| ping.await_answers(2));
            stop_pings(&format!("{program} slow after {call}"), pings, 2);
            bench.hook(DOWN).ok();
            bench.assert_off("the guest came and went");
        }
    }
}
