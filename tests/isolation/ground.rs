//! Where the attacks are made: one host, the network under attack with two guests, and a network of each other mode with a
//! guest. The host knows every neighbour already and limits no errors, so that nothing fails to leak by chance.

use crate::lab::{Guest, Lab, Network, Place, within};

/// The networks beside, a table each.
const BESIDE: [(&str, Network); 4] = [
    ("iso", Network::ISOLATED),
    ("own", Network::HOST_ONLY),
    ("rou", Network::ROUTED),
    ("nat", Network::NAT),
];

/// A guest of another network.
pub struct Victim {
    pub network: Network,
    pub place: Place,
    pub bridge: String,
    pub guest: Guest,
}

pub struct Ground {
    pub lab: Lab,
    careless: bool,
    /// The attacker.
    pub one: Guest,
    /// Another guest of its network.
    pub two: Guest,
    pub victims: Vec<Victim>,
}

fn place(at: u8, name: &str) -> Place {
    let net = 201 + at;
    Place {
        tap: format!("{name}0.0"),
        mac: format!("52:54:00:12:35:{at:02x}"),
        v4: format!("10.0.{net}.1"),
        v6: format!("fd00:{net}::1"),
        gateway4: format!("10.0.{net}.3"),
        gateway6: format!("fd00:{net}::3"),
    }
}

fn table(at: u8, name: &str, network: &Network) -> String {
    let (net, Network { mode, uplink, .. }) = (201 + at, network);
    format!(
        "\n[network.{name}]\ntaps = [\"{name}*\"]\nmode = \"{mode}\"\nbridge = \"br-{name}\"\n\
         address = [\"10.0.{net}.3/24\", \"fd00:{net}::3/64\"]\n{uplink}"
    )
}

/// The configuration of a network and of those beside it.
pub fn config(network: &Network) -> String {
    let beside = (0..).zip(BESIDE).map(|(at, (name, network))| table(at, name, &network));
    network.config() + &beside.collect::<String>()
}

impl Ground {
    /// All guests are attached. `careless`: the host is a router, and all its settings speak for letting a guest through.
    #[track_caller]
    pub fn new(network: Network, careless: bool) -> Self {
        let lab = Lab::new(network);
        if careless {
            open_everything(&lab);
        }
        lab.host.sysctl("ipv6/conf/default/accept_dad", "0");
        lab.outside_knows_the_way();
        lab.write_config(&config(&network));
        let (one, two) = (lab.attach(1), lab.attach(2));
        let beside = (0..).zip(BESIDE).map(|(at, (name, network))| {
            let place = place(at, name);
            let guest = lab.boot_at(&place);
            lab.ifup(&guest).ok();
            Victim { network, place, bridge: format!("br-{name}"), guest }
        });
        let victims = beside.collect();
        let ground = Self { victims, one, two, careless, lab };
        ground.lab.settle();
        ground.know_each_other();
        ground
    }

    /// Whether the host forwards for others.
    pub fn is_router(&self) -> bool {
        self.careless
    }

    /// Nobody has to ask for a neighbour any more, and errors are sent without limit.
    pub fn know_each_other(&self) {
        let Self { lab, victims, .. } = self;
        let lan = if lab.network.mode == "bridged" { "br0" } else { "eth3" };
        let mut neighbours = vec![
            ("192.168.1.25", "fd00:1::25", lan, lab.outside.mac("eth0")),
            ("10.77.0.2", "fd00:77::2", "eth4", lab.other.mac("eth0")),
        ];
        let guests = [(1, &self.one), (2, &self.two)].map(|(at, guest)| (lab.network.guest(at), guest));
        for (place, guest) in &guests {
            neighbours.push((&place.v4, &place.v6, lab.network.gate, guest.mac("eth0")));
        }
        for Victim { place, bridge, guest, .. } in victims {
            neighbours.push((&place.v4, &place.v6, bridge, guest.mac("eth0")));
        }
        for (v4, v6, nic, [a, b, c, d, e, f]) in neighbours {
            for address in [v4, v6] {
                // Where there is no IPv6 there are no neighbours either.
                lab.host.try_run(&format!(
                    "ip neigh replace {address} dev {nic} nud permanent lladdr {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"
                ));
            }
        }
        for (key, value) in [
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv4/icmp_msgs_per_sec", "1000000"),
            ("ipv4/icmp_msgs_burst", "1000000"),
            ("ipv6/icmp/ratelimit", "0"),
        ] {
            if lab.host.read_sysctl(key).is_some() {
                lab.host.sysctl(key, value);
            }
        }
    }

    /// Sends frames by the attacker's tap, in turns: after each its peer has seen that all have passed.
    #[track_caller]
    pub fn send<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut frames = frames.into_iter().peekable();
        let mut turn = 0_u32;
        while frames.peek().is_some() {
            frames.by_ref().take(150).for_each(|frame| self.one.inject(frame));
            self.fence(turn);
            turn += 1;
        }
    }

    fn fence(&self, turn: u32) {
        let word = format!("fence {turn:08}");
        let at = self.two.count();
        let from = [2, 0xfe, 0, 0, 0, 1];
        let frame = crate::lab::Frame { from, to: crate::lab::frame::BROADCAST };
        let has_passed = || {
            let news = self.two.heard_since(at);
            news.iter().any(|frame| frame.windows(word.len()).any(|part| part == word.as_bytes()))
        };
        let sent = within(std::time::Duration::from_secs(20), || {
            self.one.inject(&frame.raw(crate::lab::frame::FOREIGN, word.as_bytes()));
            within(std::time::Duration::from_millis(200), has_passed)
        });
        assert!(sent, "what the attacker sends comes to its peer");
    }
}

/// A router whose administrator believes everything.
fn open_everything(lab: &Lab) {
    lab.host_forwards_for_others();
    lab.bridged_frames_pass_firewall(true);
    for scope in ["all", "default", "eth3", "eth4"] {
        for (setting, value) in [
            ("ipv4/rp_filter", if scope == "all" { "0" } else { "2" }),
            ("ipv4/accept_local", "1"),
            ("ipv4/accept_source_route", "1"),
            ("ipv4/accept_redirects", "1"),
            ("ipv4/secure_redirects", "0"),
            ("ipv4/route_localnet", "1"),
            ("ipv4/bc_forwarding", "1"),
            ("ipv4/proxy_arp", "1"),
            ("ipv4/arp_accept", "1"),
            ("ipv6/accept_source_route", "1"),
            ("ipv6/proxy_ndp", "1"),
            ("ipv6/rpl_seg_enabled", "1"),
            ("ipv6/seg6_enabled", "1"),
        ] {
            let (family, name) = setting.split_once('/').unwrap();
            let key = format!("{family}/conf/{scope}/{name}");
            if lab.host.read_sysctl(&key).is_some() {
                lab.host.sysctl(&key, value);
            }
        }
    }
    lab.host.sysctl("ipv4/icmp_echo_ignore_broadcasts", "0");
    lab.host.ip("-6 route add 2001:db8::/32 via fd00:77::2");
    lab.host.ip("route add 203.0.113.0/24 via 10.77.0.2");
}
