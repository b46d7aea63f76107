//! Other names of interfaces: RTM_NEWLINKPROP, RTM_DELLINKPROP (`rtnl_linkprop`), Linux 5.5.

use neli::consts::rtnl::{Ifla, Rtm};

use super::link::{BODY, SKIP_STATS};
use crate::model::IfName;
use crate::netlink::message::{CREATE, EXCL, Message, attributes, find, text};

const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;

fn change(kind: u16, flags: u16, link: &IfName, altname: &str) -> Message {
    Message::new(kind, flags, &[0; BODY]).with(|message| {
        message
            .put_str(Ifla::Ifname, link.as_bytes())
            .nest(IFLA_PROP_LIST, |names| names.put_str(IFLA_ALT_IFNAME, altname))
    })
}

/// Gives an interface another name; no interface of the namespace may have it.
pub fn add(link: &IfName, altname: &str) -> Message {
    change(RTM_NEWLINKPROP, CREATE | EXCL, link, altname)
}

/// Takes it away.
pub fn delete(link: &IfName, altname: &str) -> Message {
    change(RTM_DELLINKPROP, 0, link, altname)
}

/// Asks for the interface that has this other name.
pub fn get(altname: &str) -> Message {
    Message::new(Rtm::Getlink, 0, &[0; BODY])
        .with(|link| link.put_str(IFLA_ALT_IFNAME, altname).put_u32(Ifla::ExtMask, SKIP_STATS))
}

/// The other names among the attributes of an interface.
pub fn parse(attrs: &[u8]) -> Vec<String> {
    let names = attributes(find(attrs, IFLA_PROP_LIST).unwrap_or_default());
    names.filter(|(kind, _)| *kind == IFLA_ALT_IFNAME).map(|(_, name)| text(name)).collect()
}
