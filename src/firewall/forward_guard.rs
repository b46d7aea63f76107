//! What keeps the host from routing for others by what kvmnet opened.

use crate::model::link::GROUP;
use crate::model::ruleset::{Match, Rule, Verdict};
use crate::model::{IfName, Mac};

/// What kvmnet alone made forward packets; all that it may forward is kvmnet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardGuard {
    /// What that is.
    pub opened: Opened,
    /// Of IPv6 or of IPv4.
    pub v6: bool,
}

/// What forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// One interface.
    Link {
        /// Its name.
        name: IfName,
        /// Its number, where it is known: another interface that gets the name later is not meant.
        index: Option<u32>,
        /// Of a bridge, its MAC: a frame for another one only passes from port to port.
        bridge: Option<Mac>,
    },
    /// Every interface, those to come included.
    All {
        /// Those that forwarded before.
        but: Vec<IfName>,
    },
}

/// Forwarding is decided by the interface that a packet comes in by. What kvmnet alone switched on must not make the host
/// a router for others, not even back out by the same interface.
pub(super) fn rules(guard: &ForwardGuard) -> Vec<Rule> {
    let family = if guard.v6 { Match::Ipv6 } else { Match::Ipv4 };
    let drop = |what: Vec<Match>| {
        let elsewhere = vec![family.clone(), Match::OifGroupNot(GROUP)];
        Rule::new([what, elsewhere].concat(), Verdict::Drop)
    };
    match &guard.opened {
        Opened::Link { name, index, bridge: None } => vec![drop(vec![iif(name, *index)])],
        Opened::Link { name, index, bridge: Some(mac) } => {
            let iif = iif(name, *index);
            vec![drop(vec![iif.clone(), Match::OifNot(*name)]), drop(vec![iif, Match::ToMac(*mac)])]
        }
        Opened::All { but } => {
            let forwarded = |name: &IfName| Rule::new([Match::Iif(*name), family.clone()], Verdict::Accept);
            let bridges = [Match::IifKind("bridge"), Match::OifKind("bridge"), family.clone()];
            let mut rules: Vec<Rule> = but.iter().map(forwarded).collect();
            // Frames that pass from port to port of anybody's bridge.
            rules.push(Rule::new(bridges, Verdict::Accept));
            rules.push(drop(vec![Match::IifGroupNot(GROUP)]));
            rules
        }
    }
}

fn iif(name: &IfName, index: Option<u32>) -> Match {
    index.map_or(Match::Iif(*name), |index| Match::IifIndex(*name, index))
}
