//! A packet's way through the chains of others, as far as their rules can be read.
//!
//! In: a chain, the rules of its table, a kind of packet. Out: its fate, where that is certain. Never: guesses. A condition
//! that cannot be read may hold or not.

use std::collections::HashMap;

use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, NamePattern};

/// NF_CT_STATE_BIT (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
const ESTABLISHED: u32 = 1 << 1;
const NEW: u32 = 1 << 3;

/// A kind of packet, IPv4 or IPv6.
#[derive(Debug, Default)]
pub struct Packet {
    /// The interfaces that it may come in by; none where that is not known.
    pub iif: Vec<String>,
    /// Those that it may go out by, likewise.
    pub oif: Vec<String>,
    /// An answer, or the first of a connection.
    pub answers: bool,
    pub v6: bool,
    /// Only rules that name its interface are thought to let it through, as those for all mean some service.
    pub by_name: bool,
}

/// What is known of its fate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is accepted, or may be.
    Through,
    /// It is dropped for certain.
    Dropped,
    Undecided,
}

/// Whether a condition holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    Maybe,
    Yes,
}

/// See `Firewall::drops`.
pub fn drops<'a>(
    chain: &ForeignChain,
    rules: impl Iterator<Item = &'a ForeignRule>,
    packet: &Packet,
) -> bool {
    let mut chains: HashMap<&str, Vec<&ForeignRule>> = HashMap::new();
    rules.for_each(|rule| chains.entry(&rule.chain).or_default().push(rule));
    Walk { chains, packet, known: HashMap::new() }.chain(&chain.name, 0) == End::Dropped
}

struct Walk<'a> {
    chains: HashMap<&'a str, Vec<&'a ForeignRule>>,
    packet: &'a Packet,
    /// Chains that were walked through: they may be jumped to from many places.
    known: HashMap<&'a str, End>,
}

/// NFT_JUMP_STACK_SIZE.
const DEPTH: usize = 16;

impl Walk<'_> {
    fn chain(&mut self, name: &str, depth: usize) -> End {
        if let Some(end) = self.known.get(name) {
            return *end;
        }
        let Some((name, rules)) = self.chains.get_key_value(name) else { return End::Undecided };
        let (name, rules) = (*name, rules.clone());
        let end = if depth > DEPTH { End::Through } else { self.rules(&rules, depth) };
        self.known.insert(name, end);
        end
    }

    fn rules(&mut self, rules: &[&ForeignRule], depth: usize) -> End {
        for rule in rules {
            let holds = self.holds(rule);
            if holds == Holds::No {
                continue;
            }
            let end = match &rule.fate {
                Fate::None | Fate::Nat(_) => continue,
                Fate::Accept => End::Through,
                Fate::Drop => End::Dropped,
                // What comes after it may not be reached.
                Fate::Return if holds == Holds::Maybe => End::Through,
                Fate::Return => return End::Undecided,
                Fate::Go(to, comes_back) => match self.chain(to, depth + 1) {
                    End::Undecided if *comes_back || holds == Holds::Maybe => continue,
                    end => end,
                },
            };
            // What may be dropped here may be dropped later as well.
            if end == End::Through || holds == Holds::Yes {
                return end;
            }
        }
        End::Undecided
    }

    /// Whether all that a rule asks holds. One that accepts a single service is not one that lets guests through.
    fn holds(&self, rule: &ForeignRule) -> Holds {
        let holds = |condition: &Condition| self.one(condition, &rule.fate);
        let names = |one: &Condition| matches!(one, Condition::Iif(_, true)) && holds(one) == Holds::Yes;
        let all = rule.conditions.iter().map(holds).min().unwrap_or(Holds::Yes);
        let is_for_all = self.packet.by_name && all == Holds::Maybe && !rule.conditions.iter().any(names);
        if is_for_all && rule.fate == Fate::Accept { Holds::No } else { all }
    }

    fn one(&self, condition: &Condition, fate: &Fate) -> Holds {
        let packet = self.packet;
        let is = |holds: bool| if holds { Holds::Yes } else { Holds::No };
        match condition {
            Condition::Iif(name, wanted) => named(name, &packet.iif, *wanted),
            Condition::Oif(name, wanted) => named(name, &packet.oif, *wanted),
            Condition::V6(v6) => is(*v6 == packet.v6),
            Condition::State(states) => is(states & (if packet.answers { ESTABLISHED } else { NEW }) != 0),
            // Sets of states are there to accept answers, and to drop what belongs to nothing.
            Condition::StateIn => is(packet.answers && *fate == Fate::Accept),
            Condition::Service if *fate == Fate::Accept => Holds::No,
            Condition::Service | Condition::Other => Holds::Maybe,
        }
    }
}

fn named(pattern: &NamePattern, names: &[String], wanted: bool) -> Holds {
    let fits = names.iter().filter(|name| pattern.fits(name) == wanted).count();
    match fits {
        _ if names.is_empty() => Holds::Maybe,
        0 => Holds::No,
        all if all == names.len() => Holds::Yes,
        _ => Holds::Maybe,
    }
}
