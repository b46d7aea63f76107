//! The networks of the README, as a person configures them and with the addresses of its reference lab.

/// One kind of network: a mode, and the keys that give it its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub mode: &'static str,
    /// The key `uplink`, or nothing.
    pub uplink: &'static str,
    /// Further keys, one a line.
    pub keys: &'static str,
    /// The interface of the host that carries the host's address in this network, or would.
    pub gate: &'static str,
}

/// How a person names the uplink of the reference lab.
const UPLINK: &str = "uplink  = \"eth3\"\n";

impl Network {
    pub const ISOLATED: Self = Self { mode: "isolated", uplink: UPLINK, keys: "", gate: "br0" };
    pub const HOST_ONLY: Self = Self { mode: "host-only", uplink: UPLINK, keys: "", gate: "br0" };
    pub const HOST_ONLY_VETH: Self =
        Self { mode: "host-only", uplink: UPLINK, keys: "veth = \"veth1\"\n", gate: "veth1.1" };
    pub const ROUTED: Self = Self { mode: "routed", uplink: UPLINK, keys: "", gate: "br0" };
    pub const ROUTED_VETH: Self =
        Self { mode: "routed", uplink: UPLINK, keys: "veth = \"veth1\"\n", gate: "veth1.1" };
    pub const NAT: Self = Self { mode: "nat", uplink: UPLINK, keys: "", gate: "br0" };
    pub const NAT_SOURCE: Self =
        Self { mode: "nat", uplink: UPLINK, keys: "nat_source = \"192.168.1.230\"\n", gate: "br0" };
    pub const NAT_VETH: Self =
        Self { mode: "nat", uplink: UPLINK, keys: "veth = \"veth1\"\n", gate: "veth1.1" };
    pub const NAT_BY_ROUTES: Self = Self { mode: "nat", uplink: "", keys: "", gate: "br0" };
    pub const ROUTED_BY_ROUTES: Self = Self { mode: "routed", uplink: "", keys: "", gate: "br0" };
    pub const BRIDGED: Self = Self { mode: "bridged", uplink: UPLINK, keys: "", gate: "br0" };

    /// In the tests of what people are shown, nat tells guests nothing, unless they ask for it: in a lab there is nobody who
    /// would, and each look would say so.
    fn silence(&self) -> &'static str {
        let is_shown = ["check", "commands", "status"].contains(&env!("CARGO_CRATE_NAME"));
        if is_shown && self.mode == "nat" && !self.keys.contains("dhcp") { "dhcp = false\n" } else { "" }
    }

    /// The text of `/etc/kvmnet.conf`: the same for every mode but for the mode's word and this form's own keys.
    pub fn config(&self) -> String {
        let Self { mode, uplink, keys, .. } = self;
        format!(
            "mode    = \"{mode}\"\n\
             bridge  = \"br0\"\n\
             address = [\"10.0.100.3/24\", \"fd00:100::3/64\"]\n\
             {uplink}{keys}{}",
            self.silence()
        )
    }

    /// The table of a second network, `lab`, whose taps are named `lab…`.
    pub fn lab_table(&self) -> String {
        let Self { mode, uplink, keys, .. } = self;
        format!(
            "\n[network.lab]\n\
             taps    = [\"lab*\"]\n\
             mode    = \"{mode}\"\n\
             bridge  = \"br-lab\"\n\
             address = [\"10.0.200.3/24\", \"fd00:200::3/64\"]\n\
             {uplink}{keys}{}",
            self.silence()
        )
    }

    /// The addresses of guest `number` on the network `default`.
    pub fn guest(&self, number: u8) -> Place {
        let lan = self.mode == "bridged";
        let (v4, v6, host) =
            if lan { ("192.168.1", "fd00:1:", 66 + number) } else { ("10.0.100", "fd00:100:", number) };
        let gateway = if lan { "25" } else { "3" };
        Place {
            tap: format!("vif{}.0", number - 1),
            mac: format!("52:54:00:12:34:{:02x}", 0x55 + number),
            v4: format!("{v4}.{host}"),
            v6: format!("{v6}:{host}"),
            gateway4: format!("{v4}.{gateway}"),
            gateway6: format!("{v6}:{gateway}"),
        }
    }
}

/// Where a guest is: its tap on the host, and the addresses that a person gives it.
#[derive(Debug, Clone)]
pub struct Place {
    pub tap: String,
    pub mac: String,
    pub v4: String,
    pub v6: String,
    pub gateway4: String,
    pub gateway6: String,
}

impl Place {
    /// Guest `number` on the second network, `lab`.
    pub fn in_lab(number: u8) -> Self {
        Self {
            tap: format!("lab{}.0", number - 1),
            mac: format!("52:54:00:12:34:{:02x}", 0x65 + number),
            v4: format!("10.0.200.{number}"),
            v6: format!("fd00:200::{number}"),
            gateway4: "10.0.200.3".to_owned(),
            gateway6: "fd00:200::3".to_owned(),
        }
    }
}
