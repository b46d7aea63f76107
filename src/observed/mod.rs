//! What the kernel said, as far as it was asked, and what follows from it.
//!
//! In: what `reader` has found out. Never: asks, or decides what is to be done.

mod way_out;

pub use crate::network::Instance;

use std::io;

use nix::errno::Errno;

use crate::model::address::PROTOCOL_LINK_LOCAL;
use crate::model::iptables::IptablesChain;
use crate::model::lease::Lease;
use crate::model::ruleset::{Found, Set};
use crate::model::{
    Address, AddressManager, Changed, Facts, GuestIdentity, IfName, Ledger, Link, Listener, Need, Network,
    Owner, PortMapping, Setting, Uplink,
};
use crate::network;
use crate::subnet::GlobalId;

/// Whether the tables of nf_tables could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tables {
    Readable,
    /// Not without rights.
    Hidden,
    /// The kernel has no nf_tables.
    #[default]
    Absent,
}

/// What the kernel says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Interfaces, addresses, routes.
    pub facts: Facts,
    /// The tables of kvmnet's networks.
    pub tables: Vec<Found>,
    /// The guest at hand, who keeps no network alive.
    pub besides: Option<IfName>,
    /// Every network of kvmnet's, as it follows from the facts and the tables.
    pub networks: Vec<Instance>,
    /// The program that keeps the addresses of the NIC that is to be taken over.
    pub owner: Option<AddressManager>,
    /// What was found out otherwise than by rtnetlink.
    pub(crate) met: Vec<Need>,
    /// The numbers of those interfaces that are Wi-Fi stations, of those that were looked at.
    pub stations: Vec<u32>,
    /// The chains of iptables that may drop guests' packets, where there are any.
    pub iptables_chains: Vec<IptablesChain>,
    /// Whether firewalld has its table.
    pub firewalld: bool,
    /// Whether others have tables that guests' packets may meet, beside iptables'.
    pub has_other_tables: bool,
    /// Who the guest is, as the command line of the VM says that started this program.
    pub starter: GuestIdentity,
    /// The addresses that guests of the bridge have been given.
    pub leases: Vec<Lease>,
    /// Other taps of the guest's VM, of those that were asked about.
    pub same_vm: Vec<IfName>,
    /// The ports that lead to guests, each with the bridge of its network, as far as they were asked for.
    pub port_mappings: Vec<(IfName, PortMapping)>,
    /// All that is in the sets of a network for them, by its bridge, where it was asked for.
    pub led_sets: Vec<(IfName, Set)>,
    /// The programs that listen on ports that shall lead to the guest.
    pub listeners: Vec<Listener>,
    /// Whether the tables could be read.
    pub nft: Tables,
    /// The machine's global ID, where an IPv6 subnet is to be chosen.
    pub global_id: Option<GlobalId>,
    /// Whether /proc/sys cannot be written, as in many containers; known only where that matters.
    pub is_proc_fixed: bool,
}

impl Observed {
    /// Works out what stands from what was read until now.
    pub(crate) fn work_out(&mut self) {
        self.networks = network::instances(&self.facts, &self.tables, self.besides.as_ref());
    }

    /// The records of all networks.
    pub fn ledgers(&self) -> impl Iterator<Item = &Ledger> {
        self.networks.iter().filter_map(|instance| instance.ledger.as_ref())
    }

    /// The guests of this bridge, of those that are among the facts, by name.
    pub fn guests(&self, bridge: &IfName) -> Vec<&Link> {
        let instance = self.network(bridge).into_iter();
        let mut guests: Vec<&Link> = instance.flat_map(|instance| instance.guests(&self.facts)).collect();
        guests.sort_by_key(|link| link.name);
        guests
    }

    /// The same, if nothing was hidden: who changes something must have seen everything.
    pub fn complete(self) -> io::Result<Self> {
        match self.nft {
            Tables::Hidden => Err(Errno::EPERM.into()),
            _ => Ok(self),
        }
    }

    /// Whether the kernel has nf_tables.
    pub fn has_nft(&self) -> bool {
        self.nft != Tables::Absent
    }

    /// The network of this bridge.
    pub fn network(&self, bridge: &IfName) -> Option<&Instance> {
        self.networks.iter().find(|instance| instance.bridge == *bridge)
    }

    /// The uplink of a bridged network: by its name, else the one that was taken over, else by the default route.
    pub fn nic(&self, network: &Network) -> Option<&Link> {
        let taken = || self.network(&network.bridge)?.ledger.as_ref()?.nic();
        match &network.uplink {
            Uplink::Named(names) => names.first().and_then(|name| self.facts.link(name)),
            Uplink::None => None,
            Uplink::DefaultRoute => taken()
                .and_then(|name| self.facts.link(&name))
                .or_else(|| self.way_out(Some(&network.bridge))),
        }
    }

    /// The interface that was changed, whatever its name is now.
    pub fn place(&self, changed: &Changed) -> Option<&Link> {
        let by_number =
            self.facts.links.iter().find(|link| link.index == changed.index && changed.index != 0);
        by_number.or_else(|| self.facts.link(&changed.link))
    }

    /// The value of `setting` now; None where the interface is gone or has no such setting.
    pub fn value(&self, link: &IfName, setting: Setting) -> Option<u32> {
        if setting == Setting::WideForwarding6 {
            return Some(u32::from(self.facts.wide(true)));
        }
        if *link == IfName::DEFAULT && setting == Setting::Forwarding {
            let fresh = || self.facts.link(link).map(|link| link.ipv4.forwarding);
            return self.facts.fresh4.map(u32::from).or_else(fresh);
        }
        let link = self.facts.link(link)?;
        match setting {
            Setting::Up => Some(u32::from(link.up)),
            Setting::Mtu => Some(link.mtu),
            Setting::Group => Some(link.group),
            Setting::AddrGen => link.addr_gen.map(|mode| u32::from(mode.0)),
            Setting::Forwarding => Some(link.ipv4.forwarding),
            Setting::RpFilter => Some(link.ipv4.rp_filter),
            Setting::ArpIgnore => Some(link.ipv4.arp_ignore),
            Setting::AcceptLocal => Some(link.ipv4.accept_local),
            Setting::RouteLocalnet => Some(link.ipv4.route_localnet),
            Setting::AcceptRa => link.ipv6.map(|ipv6| ipv6.accept_ra),
            Setting::ForceForwarding => link.ipv6.and_then(|ipv6| ipv6.force_forwarding),
            Setting::Router => link.ipv6.map(|ipv6| ipv6.copied[0]),
            Setting::DisableIpv6 => link.ipv6.map(|ipv6| ipv6.disable_ipv6),
            Setting::FdbMaxLearned => link.fdb_max_learned,
            Setting::GroupFwdMask => link.group_fwd_mask.map(u32::from),
            Setting::Isolated => link.isolated.map(u32::from),
            Setting::Clsact | Setting::Filter(_) => {
                Some(u32::from(self.facts.filters.contains(&(link.index, setting))))
            }
            Setting::Ipv4(place) => link.ipv4.copied.get(place).copied(),
            Setting::Ipv6(place) => link.ipv6.and_then(|ipv6| ipv6.copied.get(place).copied()),
            Setting::WideForwarding6 => None,
        }
    }

    /// The ports that lead to guests of a bridge.
    pub fn mappings_on<'a>(&'a self, bridge: &'a IfName) -> impl Iterator<Item = &'a PortMapping> {
        self.port_mappings.iter().filter(move |(on, _)| on == bridge).map(|(_, mapping)| mapping)
    }

    /// The tap that ports of a network lead to; None where it is gone, or on another network.
    pub fn owner(&self, bridge: &IfName, owner: &Owner) -> Option<&Link> {
        let index = self.facts.bridge(bridge)?.index;
        self.facts.links.iter().find(|link| owner.is(link) && link.master == Some(index))
    }

    /// The taps on a bridge, of those that are among the facts.
    pub fn taps_on(&self, bridge: &IfName) -> impl Iterator<Item = &Link> {
        let index = self.facts.link(bridge).map(|bridge| bridge.index);
        let is_port = move |link: &&Link| index.is_some() && link.master == index;
        self.facts.links.iter().filter(|link| link.is_tap()).filter(is_port)
    }

    /// Whether a NIC that was taken over still has an address: one that another machine has stays there.
    ///
    /// One that was down makes itself a link-local address as soon as it is set up: that is nothing it had.
    pub fn still_has_addresses(&self, nic: &IfName, ledger: &Ledger) -> bool {
        let came_up = ledger.changed(nic, Setting::Up).is_some();
        let is_fresh = |address: &Address| came_up && address.protocol == PROTOCOL_LINK_LOCAL;
        self.addresses(nic).iter().any(|address| !address.is_duplicate() && !is_fresh(address))
    }

    /// The addresses of an interface, which must have been asked for.
    pub fn addresses(&self, link: &IfName) -> Vec<Address> {
        let Some(index) = self.facts.link(link).map(|link| link.index) else { return Vec::new() };
        debug_assert!(
            index == 0 || self.has_met(&Need::HostAddresses(index)),
            "the addresses of {link} were not asked for"
        );
        self.facts.addresses_of(index)
    }
}
