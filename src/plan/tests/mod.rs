//! Tables of cases: a configuration, a host, and the plan as an administrator would type it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod changes;
mod choices;
mod given_back;
mod guests;
mod networks;
mod plans;
mod ports;
mod refusals;
pub(crate) mod world;

use world::{World, name};

/// One configuration with every key; only the word of `mode` differs.
fn config(mode: &str) -> String {
    format!(
        "mode = \"{mode}\"\nbridge = \"br0\"\naddress = [\"10.0.100.3/24\", \"fd00:100::3/64\"]\n\
         uplink = \"eth3\"\nnat_source = \"192.168.1.230\"\n"
    )
}

const MODES: [&str; 5] = ["isolated", "host-only", "routed", "nat", "bridged"];
