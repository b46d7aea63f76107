//! nf_tables over nfnetlink: kvmnet's tables, each written and deleted as a whole.

mod attr;
mod decode;
mod expr;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod iptables;
mod ports;
mod set;
mod table;

use std::cell::Cell;
use std::io;
use std::net::IpAddr;

use neli::consts::socket::NlFamily;

use nix::errno::Errno;

use super::flows;
use super::message::{ACK, Message};
use super::socket::{Broken, KernelError, Socket, of_one_moment};
use crate::model::foreign::{Condition, ForeignChain, ForeignRule};
use crate::model::iptables::{
    AcceptRules, ChainRule, IptablesChain, USERS, Way, drops_the_rest, last_decision,
};
use crate::model::ruleset::{Element, Elements, Family, Found, FoundChain, Kind, PortMappings, Table};

/// A set of kvmnet's with more is somebody else's.
const MOST_ELEMENTS: usize = 64 * 1024;
/// Of sets of ports in the rules of others, the first ones: each is a dump.
const MOST_SETS: usize = 64;

/// A change of the ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Adds a table that is not there.
    Add(&'a Table),
    /// Puts a table in the place of one of the same name, without a moment between.
    Replace(&'a Table),
    /// Deletes a table.
    Delete(Family, &'a str),
    /// Puts elements in the place of all that are in a set.
    Elements(&'a Elements),
    /// Adds elements to sets of a table.
    AddElements(&'a PortMappings),
    /// Deletes elements.
    DeleteElements(&'a PortMappings),
    /// Adds rules to a chain of others.
    Insert(&'a AcceptRules),
    /// Deletes rules, by their numbers, from a chain of others.
    Remove(&'a AcceptRules, &'a [u64]),
}

impl Change<'_> {
    /// Adds its messages.
    fn put(&self, messages: &mut Vec<Message>) {
        match self {
            Self::Add(table) => table::put(messages, table),
            Self::Replace(table) => {
                messages.push(table::delete(table.family, &table.name));
                table::put(messages, table);
            }
            Self::Delete(family, name) => messages.push(table::delete(*family, name)),
            Self::Elements(elements) => set::replace(messages, elements),
            Self::AddElements(PortMappings { table, sets, .. }) => {
                for set in sets {
                    messages.extend(set::add(Family::Inet, table, set.kind, &set.elements));
                }
            }
            Self::DeleteElements(PortMappings { table, sets, .. }) => {
                for set in sets {
                    messages.extend(set::delete(Family::Inet, table, set.kind, &set.elements));
                }
            }
            Self::Insert(accept_rules) => iptables::insert(messages, accept_rules),
            Self::Remove(AcceptRules { protocol, chain, .. }, handles) => {
                messages.extend(handles.iter().map(|handle| iptables::delete(*protocol, chain, *handle)));
            }
        }
    }
}

/// So many answers find room at once.
const FLOWS_AT_ONCE: usize = 100;

/// Whether the kernel does not know the messages: its module is not there (`nfnetlink_rcv_msg`), or there are no connections.
fn lacks_conntrack(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOENT))
}

/// A chain, with the family and the name of its table.
type OfTable<'a> = (Family, &'a str, FoundChain);

type TablesAndChains<'a> = (Vec<Found>, Vec<OfTable<'a>>, Others);

/// What the dump of tables tells of other programs.
#[derive(Debug, Default)]
pub struct Others {
    /// The families in which iptables has its table.
    pub iptables: Vec<Family>,
    /// Whether firewalld has its table.
    pub firewalld: bool,
    /// Whether any other program has a table that packets may meet.
    pub any: bool,
}

/// An nf_tables socket.
pub struct Nft(Socket);

impl Nft {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        Socket::open(NlFamily::Netfilter).map(Self)
    }

    /// Finds all tables of kvmnet's, and reads the chains that `wanted` says, in one send.
    ///
    /// A machine has few tables, whatever the number of its guests, so this dump is as cheap as a get.
    /// Tells as well of other programs' tables.
    pub fn tables(&mut self, wanted: &[(Family, &str, &str)]) -> io::Result<(Vec<Found>, Others)> {
        let mut messages = vec![table::dump()];
        messages.extend(wanted.iter().map(|(family, table, chain)| table::get_chain(*family, table, chain)));
        let (mut tables, chains, others) = of_one_moment(|| self.tables_and_chains(&mut messages, wanted))?;
        for (family, table, chain) in chains {
            let mut matching =
                tables.iter_mut().filter(|found| found.family == family && found.name == table);
            if let Some(found) = matching.next() {
                found.chains.push(chain);
            }
        }
        Ok((tables, others))
    }

    /// The base chains of iptables that may drop guests' packets, with kvmnet's rules there.
    pub fn iptables_chains(&mut self, protocols: &[Family]) -> io::Result<Vec<IptablesChain>> {
        let mut found = Vec::new();
        for protocol in protocols {
            let mut policies = [None; Way::ALL.len()];
            let mut has_users = false;
            let names = Way::ALL.map(Way::chain).into_iter().chain([USERS]);
            let mut messages: Vec<Message> =
                names.map(|chain| iptables::get_chain(*protocol, chain)).collect();
            let outcome =
                self.0.exchange(&mut messages, &mut |number, reply| match policies.get_mut(number) {
                    Some(policy) => *policy = decode::parse(reply).map(|chain| chain.drops),
                    None => has_users = true,
                })?;
            if let Some(error) =
                outcome.into_iter().flatten().find(|error| error.errno != Errno::ENOENT as i32)
            {
                return Err(error.into());
            }
            for (way, policy) in Way::ALL.into_iter().zip(policies) {
                let Some(drops) = policy else { continue };
                let has_users = has_users && way == Way::Forward;
                found.push(self.iptables_chain(*protocol, way, drops, has_users)?);
            }
        }
        Ok(found)
    }

    fn iptables_chain(
        &mut self,
        protocol: Family,
        way: Way,
        drops: bool,
        has_users: bool,
    ) -> io::Result<IptablesChain> {
        let mut rules = self.chain_rules(protocol, way.chain())?;
        let drops = drops_the_rest(drops, &rules);
        let mut after = last_decision(&mut rules);
        if has_users {
            let mut users = self.chain_rules(protocol, USERS)?;
            after = last_decision(&mut users);
            rules.extend(users);
        }
        Ok(IptablesChain {
            protocol,
            way,
            drops,
            chain: if has_users { USERS } else { way.chain() },
            after,
            rules: rules.into_iter().filter_map(|rule| rule.own).collect(),
        })
    }

    /// The rules in a chain of iptables. A dump.
    pub fn chain_rules(&mut self, protocol: Family, chain: &str) -> io::Result<Vec<ChainRule>> {
        self.0.dump(iptables::dump_chain(protocol, chain), iptables::parse)
    }

    /// None where a change came between two parts of the dump.
    fn tables_and_chains<'a>(
        &mut self,
        messages: &mut [Message],
        wanted: &[(Family, &'a str, &'a str)],
    ) -> io::Result<Option<TablesAndChains<'a>>> {
        let mut tables: Vec<Found> = Vec::new();
        let (mut chains, mut others) = (Vec::new(), Others::default());
        let outcome = self.0.exchange_batch(messages, &mut |number, reply| match number
            .checked_sub(1)
            .and_then(|chain| wanted.get(chain))
        {
            None => {
                tables.extend(table::parse(reply));
                others.iptables.extend(iptables::parse_table(reply));
                others.firewalld |= table::is_firewalld(reply);
                others.any |= iptables::is_of_others(reply);
            }
            Some((family, table, _)) => {
                chains.extend(table::parse_chain(reply).map(|chain| (*family, *table, chain)));
            }
        })?;
        for (number, error) in outcome.into_iter().enumerate().filter_map(|(at, error)| Some((at, error?))) {
            match number {
                0 if error.is_interrupted() => return Ok(None),
                // No such table, or no such chain in it.
                1.. if error.errno == Errno::ENOENT as i32 => {}
                _ => return Err(error.into()),
            }
        }
        Ok(Some((tables, chains, others)))
    }

    /// The comments of a chain's rules, in one text. A dump of these rules.
    pub fn comments(&mut self, family: Family, table: &str, chain: &str) -> io::Result<String> {
        Ok(self.0.dump(table::dump_chain(family, table, chain), table::parse_comment)?.concat())
    }

    /// The elements of a set, none where there is no such set. A dump; what is beyond so many as nobody needs is passed over.
    pub fn elements(&mut self, family: Family, table: &str, set: &Kind) -> io::Result<Vec<Element>> {
        let found = Cell::new(0);
        let parse = |reply: &[u8]| {
            let elements = set::parse(reply, set).filter(|_| found.get() < MOST_ELEMENTS)?;
            found.set(found.get() + elements.len());
            Some(elements)
        };
        match self.0.dump(set::dump(family, table, set), parse) {
            Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => Ok(Vec::new()),
            parts => Ok(parts?.concat()),
        }
    }

    /// The elements that are there of `wanted`, each of a set of a table. A get for each.
    pub fn elements_of(
        &mut self,
        family: Family,
        wanted: &[(&str, &Kind, Element)],
    ) -> io::Result<Vec<(usize, Element)>> {
        let get = |(table, kind, element): &(&str, &Kind, Element)| set::get(family, table, kind, element);
        let mut messages: Vec<Message> = wanted.iter().map(get).collect();
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let outcome = self.0.exchange(&mut messages, &mut |number, reply| {
            let elements = wanted.get(number).and_then(|(_, kind, _)| set::parse(reply, kind));
            found.extend(elements.into_iter().flatten().map(|element| (number, element)));
        })?;
        let is_absent = |error: &KernelError| error.errno == Errno::ENOENT as i32;
        match outcome.into_iter().flatten().find(|error| !is_absent(error)) {
            Some(error) => Err(error.into()),
            None => Ok(found),
        }
    }

    /// Ends all connections that are tracked and that `host` answers. Without ctnetlink there is no way to, and none is needed
    /// for anything to go on.
    pub fn cut_flows(&mut self, host: IpAddr) -> io::Result<()> {
        let mut deletes = match self.0.dump(flows::dump_to(host), |reply| flows::delete(reply, host)) {
            Err(error) if lacks_conntrack(&error) => return Ok(()),
            deletes => deletes?,
        };
        for part in deletes.chunks_mut(FLOWS_AT_ONCE) {
            part.iter_mut().for_each(|delete| delete.add_flags(ACK));
            self.0.exchange(part, &mut |_, _| {})?;
        }
        Ok(())
    }

    /// All chains of anybody's that packets or bridged frames can meet. A dump.
    pub fn chains(&mut self) -> io::Result<Vec<ForeignChain>> {
        self.0.dump(decode::dump(), decode::parse)
    }

    /// The rules of a table, in order, with the ports in sets by which UDP is accepted. A dump, and one for each such set.
    pub fn rules(&mut self, protocol: Family, table: &str) -> io::Result<Vec<ForeignRule>> {
        let mut rules: Vec<ForeignRule> =
            self.0.dump(table::dump_rules(table::family_number(protocol), table), decode::parse_rule)?;
        let asks =
            rules.iter_mut().filter(|rule| rule.lets_in_by_udp()).flat_map(|rule| &mut rule.conditions);
        for condition in asks.filter(|one| matches!(one, Condition::PortsOf(..))).take(MOST_SETS) {
            if let Condition::PortsOf(set, is_member) = condition {
                // One that has gone meanwhile is not known.
                let members =
                    self.0.dump(ports::dump(protocol, table, set), ports::parse).unwrap_or_default();
                *condition = Condition::Ports(ports::where_in(ports::ranges(members.concat()), *is_member));
            }
        }
        Ok(rules)
    }

    /// Makes all changes or none (one nfnetlink batch). The error tells which change was refused.
    pub fn change(&mut self, changes: &[Change]) -> Result<Result<(), (usize, KernelError)>, Broken> {
        let mut messages = vec![table::batch(attr::BATCH_BEGIN)];
        let mut owners = vec![0];
        for (number, change) in changes.iter().enumerate() {
            change.put(&mut messages);
            owners.resize(messages.len(), number);
        }
        // Only the last real message is acknowledged; kernels before 6.10 do not answer the batch's end.
        if let Some(last) = messages.last_mut() {
            last.add_flags(ACK);
        }
        messages.push(table::batch(attr::BATCH_END));
        let outcome = self.0.exchange_batch(&mut messages, &mut |_, _| {})?;
        let mut refusals = outcome.into_iter().enumerate().filter_map(|(at, error)| Some((at, error?)));
        Ok(refusals
            .next()
            .map_or(Ok(()), |(at, error)| Err((owners.get(at).copied().unwrap_or_default(), error))))
    }
}
