//! A host as plain data, and what a step does to it: enough to see that a plan leads where it should.

use std::net::Ipv4Addr;

use ipnet::IpNet;

use crate::config::{Environment, File};
use crate::desired::Desired;
use crate::item::{
    AddressChange, ClaimChange, GuestFilterChange, LinkChange, PortChange, PortMappingsChange, RouteChange,
    SettingChange, Step, TableChange,
};
use crate::model::facts::Way;
use crate::model::link::{ETHERNET, Ipv4Conf, Ipv6Conf, Tun};
use crate::model::route::Hop;
use crate::model::ruleset::{Chain, Family, Found, FoundChain, PortMappings, Set, Table, table_name};
use crate::model::setting::IPV6;
use crate::model::{AddrGen, Address, IfName, Link, Mac, PortMapping, Question, Route, Setting};
use crate::observed::{Observed, Tables};
use crate::plan::{Refusal, down, up};

pub fn name(name: &str) -> IfName {
    IfName::new(name).unwrap()
}

/// The record in a set, in one line.
fn text(set: &Set) -> String {
    let entries: Vec<&str> = set.elements.iter().map(|element| element.comment.as_str()).collect();
    entries.join(" ")
}

pub fn link(index: u32, text: &str, kind: Option<&str>) -> Link {
    Link {
        index,
        name: name(text),
        altnames: Vec::new(),
        kind: kind.map(str::to_owned),
        hardware: ETHERNET,
        up: false,
        loopback: false,
        carrier: true,
        operational: true,
        mtu: 1500,
        mac: Some(Mac([2, 0, 0, 0, 0, index as u8])),
        peer: None,
        master: None,
        group_fwd_mask: None,
        isolated: None,
        fdb_max_learned: (kind == Some("bridge")).then_some(0),
        stp_delay: 0,
        default_vlan: None,
        group: 0,
        alias: String::new(),
        token: None,
        addr_gen: Some(AddrGen::EUI64),
        ipv4: Ipv4Conf::default(),
        ipv6: Some(Ipv6Conf {
            accept_ra: 1,
            disable_ipv6: 0,
            force_forwarding: Some(0),
            is_of_5_19: true,
            copied: [0; IPV6.len()],
        }),
        leads_abroad: false,
        tun: (kind == Some("tun")).then_some(Tun {
            is_tap: true,
            persistent: false,
            owner: None,
            multi_queue: false,
        }),
    }
}

/// A plain route of the main table.
fn way(destination: Option<IpNet>, v6: bool, devices: Vec<u32>) -> Way {
    Way { destination, v6, table: 254, kind: 1, metric: 0, devices, nexthop: None, protocol: 3 }
}

/// The host of the reference lab: eth3 with a default route, and two taps.
pub struct World(pub Observed);

impl World {
    pub fn lab() -> Self {
        let mut world = Self(Observed { nft: Tables::Readable, ..Observed::default() });
        world.0.facts.asked.extend([Question::Links, Question::Addresses(0)]);
        world.0.facts.asked.extend([false, true].map(|v6| Question::WideForwarding { v6 }));
        // What interfaces to come will be like.
        world.0.facts.links.push(link(0, "default", None));
        world.0.facts.fresh4 = Some(false);
        world.0.facts.links.push(Link { up: true, ..link(2, "eth3", None) });
        world.0.facts.links.extend([link(3, "vif0.0", Some("tun")), link(4, "vif1.0", Some("tun"))]);
        world.add_address(&name("eth3"), Address::plain("192.168.1.230/24".parse().unwrap()));
        world.0.facts.routes.push(Route {
            destination: None,
            origin: None,
            family: nix::libc::AF_INET as u8,
            tos: 0,
            table: 254,
            protocol: 3,
            scope: 0,
            kind: 1,
            metric: 0,
            source: None,
            expires: None,
            hops: vec![Hop {
                device: name("eth3"),
                gateway: Some(Ipv4Addr::new(192, 168, 1, 25).into()),
                weight: 1,
                onlink: false,
            }],
            rest: Vec::new(),
        });
        world.settle();
        world
    }

    /// Ports that lead to guests, as the rules have them then.
    fn change_mappings(&mut self, change: &PortMappingsChange) {
        let (is_new, PortMappings { table, sets, .. }) = match change {
            PortMappingsChange::Add(mappings) => (true, mappings),
            PortMappingsChange::Delete(mappings) => (false, mappings),
        };
        let bridge = name(table.strip_prefix("kvmnet-").unwrap());
        for Set { kind, elements } in sets {
            for element in elements {
                let known = self.0.led_sets.iter_mut().find(|(on, set)| *on == bridge && set.kind == *kind);
                let (_, set) = known.unwrap();
                assert!(is_new || set.has(element), "{element} is there");
                set.elements.retain(|one| one.key != element.key);
                set.elements.extend(is_new.then(|| element.clone()));
            }
        }
        self.know_mappings();
    }

    fn know_mappings(&mut self) {
        let sets = self.0.led_sets.iter();
        let all = sets.flat_map(|(on, set)| set.elements.iter().map(|one| (*on, one)));
        self.0.port_mappings = all.filter_map(|(on, one)| Some((on, PortMapping::read(one)?))).collect();
    }

    pub fn link(&mut self, name: &IfName) -> &mut Link {
        self.0.facts.links.iter_mut().find(|link| link.name == *name).unwrap()
    }

    fn add_address(&mut self, link: &IfName, address: Address) {
        let index = self.link(link).index;
        if !self.0.addresses(link).iter().any(|has| has.net == address.net) {
            self.0.facts.addresses.push((index, address));
        }
    }

    /// What follows from the rest: routes, records, who is there.
    pub fn settle(&mut self) {
        let facts = &mut self.0.facts;
        facts.ways.clear();
        for route in &facts.routes {
            let devices =
                facts.links.iter().filter(|link| route.is_over(&link.name)).map(|link| link.index).collect();
            facts.ways.push(way(route.destination, false, devices));
        }
        for (index, address) in &facts.addresses {
            let destination = Some(address.net.trunc());
            let v6 = address.net.addr().is_ipv6();
            facts.ways.push(way(destination, v6, vec![*index]));
        }
        self.0.work_out();
    }

    /// The world as the hook of this tap sees it.
    fn seen_from(&mut self, tap: &str) {
        self.0.besides = Some(name(tap));
        self.0.work_out();
    }

    pub fn desired(config: &str, tap: &str) -> Desired {
        let environment = Environment::default();
        let file = File::parse("kvmnet.conf", config).unwrap();
        let network = file.choose(None, &environment, &name(tap)).unwrap().to_owned();
        Desired::new(name(tap), file.network(&network, &environment).unwrap())
    }

    /// The plan of an ifup.
    pub fn plan_up(&mut self, config: &str, tap: &str) -> Result<Vec<Step>, Refusal> {
        self.seen_from(tap);
        Ok(up(&Self::desired(config, tap), &self.0)?.steps().cloned().collect())
    }

    /// An ifup.
    pub fn up(&mut self, config: &str, tap: &str) -> Vec<Step> {
        let steps = self.plan_up(config, tap).unwrap();
        steps.iter().for_each(|step| self.play(step));
        steps
    }

    /// An ifdown.
    pub fn down(&mut self, tap: &str) -> Vec<Step> {
        self.seen_from(tap);
        let steps: Vec<Step> = down(&name(tap), &self.0).unwrap().steps().cloned().collect();
        steps.iter().for_each(|step| self.play(step));
        steps
    }

    pub fn play(&mut self, step: &Step) {
        match step {
            Step::Link(change) => self.play_link(change),
            Step::Setting(SettingChange { link, setting, to, from, .. }) => {
                self.set(link, *setting, *from, *to);
            }
            Step::Port(PortChange { port, to, .. }) => {
                let master = to.as_ref().map(|bridge| self.link(bridge).index);
                self.link(port).master = master;
                self.link(port).group_fwd_mask = master.map(|_| 0);
                self.link(port).isolated = master.map(|_| false);
            }
            Step::Claim(ClaimChange::Add { tap, claim }) => {
                assert!(self.0.facts.claimant(claim).is_none(), "{step}");
                self.link(tap).altnames.push(claim.to_string());
            }
            Step::GuestFilter(GuestFilterChange { tap, from, to }) => {
                let index = self.link(tap).index;
                let filters = &mut self.0.facts.guest_filters;
                assert_eq!(filters.iter().find(|(of, _)| *of == index).map(|(_, now)| now), from.as_ref());
                filters.retain(|(of, _)| *of != index);
                filters.extend(to.clone().map(|to| (index, to)));
            }
            Step::Claim(ClaimChange::Delete { tap, claim }) => {
                self.link(tap).altnames.retain(|name| *name != claim.to_string());
            }
            Step::Address(AddressChange::Add { link, address }) => self.add_address(link, address.clone()),
            Step::Address(AddressChange::Delete { link, address }) => {
                let index = self.link(link).index;
                self.0.facts.addresses.retain(|(of, has)| *of != index || has.net != address.net);
            }
            Step::Address(AddressChange::ClearNodad { .. }) => {}
            Step::Route(RouteChange::Add(route)) => self.0.facts.routes.push(route.clone()),
            Step::Route(RouteChange::Delete(route)) => self.0.facts.routes.retain(|has| has != route),
            Step::Table(TableChange::Add(table)) => self.add_table(table),
            Step::Table(TableChange::Replace(table)) => {
                self.delete_table(table.family, &table.name);
                self.add_table(table);
            }
            Step::Table(TableChange::Remove(table)) => self.delete_table(table.family, &table.name),
            Step::Table(TableChange::Delete { family, name }) => self.delete_table(*family, name),
            Step::Elements(elements) => {
                let is_it =
                    |found: &&mut Found| found.family == elements.family && found.name == elements.table;
                let found = self.0.tables.iter_mut().find(is_it).unwrap();
                assert_eq!(found.record, Some(text(&elements.from)), "{step}");
                found.record = Some(text(&elements.to));
            }
            Step::PortMappings(change) => self.change_mappings(change),
            // Nothing that a plan is made of depends on them.
            Step::AcceptRules(_) | Step::Neighbour(_) | Step::Nexthop(_) | Step::PolicyRule(_) => {}
            Step::Flows(_) | Step::Ipv6Identity(_) | Step::Wait(_) | Step::Probe(_) => {}
        }
        self.settle();
    }

    fn play_link(&mut self, change: &LinkChange) {
        match change {
            LinkChange::AddBridge { name, mac, group } => self.add_link(name, "bridge", *mac, *group),
            LinkChange::AddVeth { outer, inner, macs, group } => {
                self.add_link(inner, "veth", macs[1], *group);
                self.add_link(outer, "veth", macs[0], 0);
                let (one, other) = (self.link(inner).index, self.link(outer).index);
                self.link(inner).peer = Some(other);
                self.link(outer).peer = Some(one);
            }
            LinkChange::Delete { name } => self.delete_link(name),
            LinkChange::Mac { link, to, from } => {
                assert_eq!(self.link(link).mac, Some(*from), "{change:?}");
                self.link(link).mac = Some(*to);
            }
            LinkChange::Alias { link, to, from } => {
                assert_eq!(&self.link(link).alias, from, "{change:?}");
                self.link(link).alias.clone_from(to);
            }
        }
    }

    fn add_link(&mut self, name: &IfName, kind: &str, mac: Mac, group: u32) {
        assert!(self.0.facts.link(name).is_none(), "{name} is made twice");
        let index = self.0.facts.links.iter().map(|link| link.index).max().unwrap() + 1;
        let new = self.link(&IfName::DEFAULT).clone();
        let made = link(index, name.as_str(), Some(kind));
        let Link { addr_gen, ipv4, ipv6, .. } = new;
        self.0.facts.links.push(Link { mac: Some(mac), group, addr_gen, ipv4, ipv6, ..made });
    }

    pub fn delete_link(&mut self, name: &IfName) {
        let index = self.link(name).index;
        let pair =
            name.as_str().strip_suffix(".1").filter(|_| self.link(name).kind.as_deref() == Some("veth"));
        let outer = pair.map(|pair| format!("{pair}.0"));
        self.0.facts.links.retain(|link| link.index != index && Some(link.name.as_str()) != outer.as_deref());
        self.0.facts.addresses.retain(|(of, _)| *of != index);
        self.0.facts.filters.retain(|(of, _)| *of != index);
        self.0.facts.routes.retain(|route| !route.is_over(name));
        self.0
            .facts
            .links
            .iter_mut()
            .filter(|link| link.master == Some(index))
            .for_each(|link| link.master = None);
    }

    fn set(&mut self, link: &IfName, setting: Setting, from: u32, to: u32) {
        let now = self.0.value(link, setting);
        assert!(now == Some(from), "{setting} of {link} is {now:?} and not {from}");
        if setting == Setting::WideForwarding6 {
            self.0.facts.wide6 = to != 0;
            return;
        }
        if *link == IfName::DEFAULT && setting == Setting::Forwarding {
            self.0.facts.fresh4 = Some(to != 0);
        }
        let link = self.link(link);
        match setting {
            Setting::Up => link.up = to != 0,
            Setting::Mtu => link.mtu = to,
            Setting::Group => link.group = to,
            Setting::AddrGen => link.addr_gen = Some(AddrGen(to as u8)),
            Setting::Forwarding => link.ipv4.forwarding = to,
            Setting::RpFilter => link.ipv4.rp_filter = to,
            Setting::ArpIgnore => link.ipv4.arp_ignore = to,
            Setting::AcceptLocal => link.ipv4.accept_local = to,
            Setting::RouteLocalnet => link.ipv4.route_localnet = to,
            Setting::AcceptRa => link.ipv6.as_mut().unwrap().accept_ra = to,
            Setting::ForceForwarding => link.ipv6.as_mut().unwrap().force_forwarding = Some(to),
            Setting::Router => link.ipv6.as_mut().unwrap().copied[0] = to,
            Setting::Ipv4(place) => link.ipv4.copied[place] = to,
            Setting::Ipv6(place) => link.ipv6.as_mut().unwrap().copied[place] = to,
            Setting::DisableIpv6 => link.ipv6.as_mut().unwrap().disable_ipv6 = to,
            Setting::FdbMaxLearned => link.fdb_max_learned = Some(to),
            Setting::GroupFwdMask => link.group_fwd_mask = Some(to as u16),
            Setting::Isolated => link.isolated = Some(to != 0),
            Setting::Clsact | Setting::Filter(_) => {
                let filter = (link.index, setting);
                self.0.facts.filters.retain(|known| *known != filter);
                self.0.facts.filters.extend((to != 0).then_some(filter));
            }
            Setting::WideForwarding6 => {}
        }
    }

    fn add_table(&mut self, table: &Table) {
        let found_chain = |chain: &Chain| FoundChain {
            name: chain.name.to_owned(),
            hook: Some(chain.hook.clone()),
            drops: chain.drops,
            uses: table.uses(chain) as u32,
        };
        let chains = table.chains.iter().map(found_chain).collect();
        let (objects, comment) = ((table.chains.len() + table.sets.len()) as u32, table.comment.clone());
        let record = table.sets.first().filter(|_| table.family == Family::Inet).map(text);
        let name = table.name.clone();
        let found = Found { family: table.family, name, comment, objects, record, dormant: false, chains };
        let is_there = |has: &Found| has.family == table.family && has.name == table.name;
        assert!(!self.0.tables.iter().any(is_there), "{} is added twice", table.name);
        self.0.tables.push(found);
        let bridge = self::name(table.name.strip_prefix("kvmnet-").unwrap());
        let maps = table.sets.iter().skip(1).cloned();
        self.0.led_sets.extend(maps.map(|set| (bridge, set)));
        self.know_mappings();
    }

    fn delete_table(&mut self, family: Family, name: &str) {
        self.0.tables.retain(|table| table.family != family || table.name != name);
        if family == Family::Inet {
            self.0.led_sets.retain(|(on, _)| table_name(on) != name);
            self.know_mappings();
        }
    }

    /// All that a person could see, in one text.
    pub fn snapshot(&self) -> String {
        let facts = &self.0.facts;
        let mut links = facts.links.clone();
        links.sort_by_key(|link| link.index);
        let mut addresses = facts.addresses.clone();
        addresses.sort_by_key(|(index, address)| (*index, address.net));
        let tables = &self.0.tables;
        format!(
            "{links:#?}\n{addresses:#?}\n{:#?}\n{tables:#?}\nIPv6 forwarding: {}",
            facts.routes,
            facts.wide(true)
        )
    }
}
