//! A packet's way through the chains of others, as far as their rules can be read.
//!
//! In: the chains and rules of others, a kind of packet. Out: what drops it, where that is certain. Never: guesses. A
//! condition that cannot be read may hold or not.

use std::collections::HashMap;
use std::fmt;

use super::Opening;
use crate::firewalld;
use crate::model::foreign::{Condition, Fate, ForeignChain, ForeignRule, NamePattern, UDP};
use crate::model::port::DHCP4;
use crate::sorted::grouped;

/// NF_CT_STATE_BIT (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
const ESTABLISHED: u32 = 1 << 1;
const NEW: u32 = 1 << 3;

/// The rules of others.
#[derive(Debug, Default)]
pub struct Firewall {
    pub chains: Vec<ForeignChain>,
    /// Of the tables with a chain that decides about guests' packets.
    pub rules: Vec<ForeignRule>,
    /// The table `filter` of iptables-legacy, for each family that has it in use.
    pub legacy: Vec<LegacyFilter>,
}

/// What iptables-legacy has for IPv6 or for IPv4.
#[derive(Debug)]
pub struct LegacyFilter {
    pub v6: bool,
    /// Its chains; None where they cannot be read.
    pub firewall: Option<Firewall>,
}

impl Firewall {
    /// The base chains of others that guests' packets meet.
    pub fn deciding(&self) -> impl Iterator<Item = &ForeignChain> {
        self.chains.iter().filter(|chain| chain.decides())
    }

    /// The same with those of iptables-legacy, each with what is beside it.
    pub fn openings(&self) -> impl Iterator<Item = Opening<'_>> {
        let readable = self.legacy.iter().filter_map(|one| one.firewall.as_ref());
        self.as_openings(false).chain(readable.flat_map(|firewall| firewall.as_openings(true)))
    }

    fn as_openings(&self, legacy: bool) -> impl Iterator<Item = Opening<'_>> {
        self.deciding().map(move |chain| Opening { firewall: self, chain, legacy })
    }

    /// The rules of a chain's table.
    pub fn rules_beside<'a>(&'a self, chain: &'a ForeignChain) -> impl Iterator<Item = &'a ForeignRule> {
        self.rules.iter().filter(|rule| rule.protocol == chain.protocol && rule.table == chain.table)
    }

    /// What drops such packets: a rule for certain, or the policy, unless a rule of the chain's table accepts the interface.
    pub fn obstacle(&self, chain: &ForeignChain, packet: &Packet) -> Option<Obstacle> {
        let accepts = |rule: &ForeignRule| match packet.answers {
            true => packet.oif.iter().any(|name| rule.lets_out(name)),
            false => packet.iif.iter().any(|name| rule.lets_in(name)),
        };
        let chains = grouped(self.rules_beside(chain).map(|rule| (rule.chain.as_str(), rule)));
        let mut walk = Walk { chains, packet, known: HashMap::new() };
        match (walk.chain(&chain.name, 0), packet.asks) {
            (End::Dropped, _) => return Some(Obstacle::Rule),
            (End::Through, Asks::Port(_)) => return None,
            _ => {}
        }
        (chain.drops && !self.rules_beside(chain).any(accepts)).then_some(Obstacle::Policy)
    }
}

/// What drops packets in a chain; the more certain is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    Policy,
    Rule,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Policy => "its policy",
            Obstacle::Rule => "a rule",
        })
    }
}

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
    pub asks: Asks,
    /// Whether it is inside a bridge of a set that kvmnet has firewalld keep.
    pub has_set: bool,
}

/// What a packet is about.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Anything: rules about a service do not let it through.
    #[default]
    Anything,
    /// Something of the host's: only rules that name its interface are thought to let it through.
    Host,
    /// This port, by UDP: rules about it do so as well.
    Port(u16),
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
        // Which bridges that is about is not to be seen there.
        if name == firewalld::FRAMES_CHAIN {
            return if self.packet.has_set { End::Through } else { End::Undecided };
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
        let is_meant = match self.packet.asks {
            Asks::Anything => true,
            Asks::Host => rule.conditions.iter().any(names),
            Asks::Port(_) => rule.conditions.iter().any(names) || self.is_about_service(rule),
        };
        if !is_meant && all == Holds::Maybe && rule.fate == Fate::Accept { Holds::No } else { all }
    }

    /// Whether a rule asks for the packet's port, or for ports in a set, of its protocol.
    fn is_about_service(&self, rule: &ForeignRule) -> bool {
        let has = |wanted: fn(&Condition) -> bool| {
            rule.conditions.iter().any(|one| wanted(one) && self.one(one, &rule.fate) != Holds::No)
        };
        has(|one| matches!(one, Condition::Protocol(_)))
            && has(|one| matches!(one, Condition::Ports(_) | Condition::PortsOf(..) | Condition::Service))
    }

    /// Of what a rule asks about a service.
    fn service(&self, condition: &Condition, fate: &Fate) -> Holds {
        let Asks::Port(port) = self.packet.asks else {
            return if *fate == Fate::Accept { Holds::No } else { Holds::Maybe };
        };
        match condition {
            Condition::Protocol(number) => is(*number == UDP),
            Condition::Ports(ranges) => is(ranges.iter().any(|range| range.contains(&port))),
            _ => Holds::Maybe,
        }
    }

    fn one(&self, condition: &Condition, fate: &Fate) -> Holds {
        let packet = self.packet;
        match condition {
            Condition::Iif(name, wanted) => named(name, &packet.iif, *wanted),
            Condition::Oif(name, wanted) => named(name, &packet.oif, *wanted),
            Condition::V6(v6) => is(*v6 == packet.v6),
            Condition::State(states) => is(states & (if packet.answers { ESTABLISHED } else { NEW }) != 0),
            // Sets of states are there to accept answers, and to drop what belongs to nothing.
            Condition::StateIn => is(packet.answers && *fate == Fate::Accept),
            Condition::Protocol(_) | Condition::Ports(_) | Condition::PortsOf(..) | Condition::Service => {
                self.service(condition, fate)
            }
            // Who asks for an address has none.
            Condition::Source4 if packet.asks == Asks::Port(DHCP4) && *fate == Fate::Accept => Holds::No,
            Condition::Source4 => Holds::Maybe,
            Condition::Other => Holds::Maybe,
        }
    }
}

fn is(holds: bool) -> Holds {
    if holds { Holds::Yes } else { Holds::No }
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
