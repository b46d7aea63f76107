//! `veth`: the pair through which the host joins, instead of by the bridge.

use super::bridge::new_interface;
use super::{Key, Mode, PLAIN, Problem, Value};
use crate::model::Veth;

pub(crate) static KEY: Key = Key {
    word: "veth",
    #[cfg(test)]
    meaning: "host-only, routed, nat: join through `NAME.0` and `NAME.1`",
    is_used: Mode::has_host_address,
    set: |network, entry| entry.one(parse).map(|veth| network.veth = Some(veth)),
    get: |network| network.veth.as_ref().map(Value::text),
    digest: |network| Some(format!("{:?}", network.veth)),
    makes: |network| network.veth.iter().flat_map(|veth| [veth.outer, veth.inner]).collect(),
    ..PLAIN
};

/// `veth1`, for the pair veth1.0 and veth1.1.
fn parse(text: &str) -> Result<Veth, Problem> {
    new_interface(text)?;
    let too_long = |bad| Problem::from(bad).hint("a name for two ends, .0 and .1, has at most 13 bytes");
    text.parse().map_err(too_long)
}
