//! What the keys of a network must be to each other, and networks to each other.
//!
//! In: the settings of every network, the environment's included. Out: the networks, complete and apart, or
//! all that is wrong. Never: asks the kernel: whether an uplink exists is a question of `observed`.

use ipnet::IpNet;

use super::error::{ConfigError, ConfigErrors, Place, Problem};
use super::keys::{KEYS, key_name};
use super::settings::{Setting, Settings};
use super::value;
use crate::model::{IfName, Key, Mode, Network, Uplink};

/// A network that is yet to be checked.
pub(super) struct Draft<'a> {
    pub name: &'a str,
    pub place: &'a Place,
    pub settings: Settings,
}

/// A draft with its mode, and of its settings those that the mode has a use for.
struct InUse<'a> {
    draft: &'a Draft<'a>,
    mode: Mode,
    settings: Settings,
}

/// Whether `key` means anything in `mode`. One that does not may be set all the same.
pub(super) fn has_use_for(mode: Mode, key: Key) -> bool {
    match key {
        Key::Mode | Key::Bridge | Key::Keep | Key::Taps => true,
        Key::Address | Key::Veth => mode.has_host_address(),
        Key::Uplink => mode.forwards() || mode == Mode::Bridged,
        Key::NatSource => mode == Mode::Nat,
        Key::Confirm | Key::UplinkManaged => mode == Mode::Bridged,
    }
}

/// Checks the drafts, and makes the networks of them.
pub(super) fn networks(drafts: &[Draft<'_>]) -> Result<Vec<Network>, ConfigErrors> {
    let in_use: Vec<InUse<'_>> = drafts.iter().map(InUse::new).collect();
    let mut errors = Vec::new();
    let mut networks = Vec::new();
    for (index, network) in in_use.iter().enumerate() {
        network.check_complete(&mut errors);
        network.check_names(&mut errors);
        network.check_addresses(&mut errors);
        network.check_uplink(&mut errors);
        network.check_nat_source(&mut errors);
        for other in in_use.iter().take(index) {
            network.check_apart(other, &mut errors);
        }
        networks.extend(network.build());
    }
    ConfigErrors::none_of(errors)?;
    Ok(networks)
}

impl<'a> InUse<'a> {
    fn new(draft: &'a Draft<'a>) -> Self {
        let mode = draft.settings.mode.as_ref().map_or(Mode::Nat, |mode| mode.value);
        let mut settings = draft.settings.clone();
        for (key, _) in KEYS.iter().filter(|(key, _)| !has_use_for(mode, *key)) {
            settings.unset(*key);
        }
        Self { draft, mode, settings }
    }

    fn build(&self) -> Option<Network> {
        let settings = self.settings.clone();
        Some(Network {
            name: self.draft.name.to_owned(),
            mode: self.mode,
            bridge: settings.bridge?.value,
            addresses: settings.address.into_iter().map(|address| address.value).collect(),
            uplink: settings.uplink.map_or(Uplink::DefaultRoute, |uplink| uplink.value),
            nat_source: settings.nat_source.map(|address| address.value),
            veth: settings.veth.map(|veth| veth.value),
            keep: settings.keep.is_some_and(|keep| keep.value),
            confirm: settings.confirm.is_none_or(|confirm| confirm.value),
            written_uplink: None,
            take_managed: settings.uplink_managed.is_some_and(|managed| managed.value),
            origins: self.draft.settings.origins(),
            overridden: false,
        })
    }

    /// What a named network must say. The top level has built-in values for these.
    fn check_complete(&self, errors: &mut Vec<ConfigError>) {
        let Draft { name, place, .. } = self.draft;
        let mut missing = |what: &str, hint: String| {
            let problem = Problem::new(format!("the network {name:?} has no {what}"));
            errors.push(ConfigError::new((*place).clone(), problem.hint(hint)));
        };
        if self.settings.bridge.is_none() {
            let bridge = IfName::new(&format!("br-{name}")).map_or("br1".to_owned(), |name| name.to_string());
            missing("bridge", format!("write bridge = {bridge:?} under [network.{name}]"));
        }
        if self.mode.has_host_address() && self.settings.address.is_empty() {
            let hint = "write address = \"10.0.101.3/24\", or another, under";
            missing("address, which its mode needs", format!("{hint} [network.{name}]"));
        }
    }

    /// Bridge, veth pair and uplinks are different interfaces.
    fn check_names(&self, errors: &mut Vec<ConfigError>) {
        let mut names = self.own_names();
        if let Some(Setting { value: Uplink::Named(uplinks), place }) = &self.settings.uplink {
            names.extend(uplinks.iter().map(|uplink| (Key::Uplink, uplink, place)));
        }
        for (index, (key, name, place)) in names.iter().enumerate() {
            let earlier = names.iter().take(index).find(|(_, earlier, _)| earlier == name);
            if let Some((other, _, _)) = earlier {
                let text =
                    format!("\"{name}\" is an interface of this network's {} already", key_name(*other));
                let problem = match (key, self.mode) {
                    (Key::Uplink, Mode::Bridged) => Problem::new(text)
                        .hint("write the NIC that is to be in the bridge, or is in it already, or \"auto\""),
                    _ => Problem::new(text),
                };
                errors.push(ConfigError::of_key(*key, (*place).clone(), problem));
            }
        }
    }

    /// The interfaces that kvmnet makes for the network.
    fn own_names(&self) -> Vec<(Key, &IfName, &Place)> {
        let bridge = self.settings.bridge.iter().map(|bridge| (Key::Bridge, &bridge.value, &bridge.place));
        let veth = self.settings.veth.iter().flat_map(|Setting { value: veth, place }| {
            [(Key::Veth, &veth.outer, place), (Key::Veth, &veth.inner, place)]
        });
        bridge.chain(veth).collect()
    }

    fn check_addresses(&self, errors: &mut Vec<ConfigError>) {
        for (index, Setting { value: net, place }) in self.settings.address.iter().enumerate() {
            if let (false, Err(problem)) = (self.mode == Mode::Routed, value::has_room(net)) {
                errors.push(ConfigError::of_key(Key::Address, place.clone(), problem));
            }
            let earlier = self.settings.address.iter().take(index).find(|other| overlap(&other.value, net));
            if let Some(other) = earlier {
                let text = match other.value == *net {
                    true => format!("\"{net}\" is there twice"),
                    false => format!("the subnet of \"{net}\" overlaps that of \"{}\"", other.value),
                };
                errors.push(ConfigError::of_key(Key::Address, place.clone(), Problem::new(text)));
            }
        }
    }

    /// Nobody's NIC is taken over by accident.
    fn check_uplink(&self, errors: &mut Vec<ConfigError>) {
        if self.mode != Mode::Bridged {
            return;
        }
        match &self.settings.uplink {
            None => {
                let place = self.settings.mode.as_ref().map_or(self.draft.place, |mode| &mode.place);
                let problem = Problem::new("bridged needs an uplink");
                let hint = match place {
                    Place::Variable(_) => {
                        "set KVMNET_UPLINK to the NIC, or to auto for the one with the default route"
                    }
                    _ => "write uplink = \"auto\" for the NIC with the default route, or the name of another",
                };
                errors.push(ConfigError::of_key(Key::Mode, place.clone(), problem.hint(hint)));
            }
            Some(Setting { value: Uplink::Named(names), place }) if names.len() != 1 => {
                let problem = Problem::new(format!("bridged takes one uplink, found {}", names.len()));
                errors.push(ConfigError::of_key(Key::Uplink, place.clone(), problem));
            }
            Some(_) => {}
        }
    }

    fn check_nat_source(&self, errors: &mut Vec<ConfigError>) {
        let Some(Setting { value: source, place }) = &self.settings.nat_source else { return };
        let addresses = &self.settings.address;
        let other_family = |net: &Setting<IpNet>| net.value.addr().is_ipv4() != source.is_ipv4();
        if !addresses.is_empty() && addresses.iter().all(other_family) {
            let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
            let problem = Problem::new(format!("{source} is {family}, and no address of this network is"));
            errors.push(ConfigError::of_key(Key::NatSource, place.clone(), problem));
        }
    }

    /// Two networks share no interface and no subnet. Uplinks they may.
    fn check_apart(&self, other: &InUse<'_>, errors: &mut Vec<ConfigError>) {
        for (key, name, place) in self.own_names() {
            if let Some((_, _, there)) = other.own_names().into_iter().find(|(_, taken, _)| *taken == name) {
                let problem = Problem::new(format!("\"{name}\" belongs to {}", other.described(there)));
                let problem = problem.hint("each network has its own");
                errors.push(ConfigError::of_key(key, place.clone(), problem));
            }
        }
        for Setting { value: net, place } in &self.settings.address {
            if let Some(taken) = other.settings.address.iter().find(|taken| overlap(&taken.value, net)) {
                let whose = other.described(&taken.place);
                let text = format!("the subnet of \"{net}\" overlaps that of \"{}\" in {whose}", taken.value);
                let problem = Problem::new(text).hint("each network has its own subnet");
                errors.push(ConfigError::of_key(Key::Address, place.clone(), problem));
            }
        }
    }

    fn described(&self, place: &Place) -> String {
        format!("the network {:?} ({})", self.draft.name, place.origin())
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
