//! What a Wi-Fi interface is to its radio: nl80211, a family of generic netlink (`include/uapi/linux/nl80211.h`).

use std::io;

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::message::{ACK, Message, find, find_u32, u16_at};
use super::socket::Socket;

/// The family that knows the numbers of the others, and its request for one (`include/uapi/linux/genetlink.h`).
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NL80211_CMD_GET_INTERFACE: u8 = 5;
const NL80211_ATTR_IFINDEX: u16 = 3;
const NL80211_ATTR_IFTYPE: u16 = 5;
const NL80211_ATTR_4ADDR: u16 = 83;
/// NL80211_IFTYPE_ADHOC, _STATION, _P2P_CLIENT, _OCB.
const ONE_MAC: [u32; 4] = [1, 2, 8, 11];
/// The length of `struct genlmsghdr`.
const BODY: usize = 4;

/// Whether the Wi-Fi interface with this number sends frames with no MAC but its own, so that the kernel lets it into no
/// bridge: a station, unless it has four-address frames. An access point is none.
pub fn has_one_mac(index: u32) -> io::Result<bool> {
    let mut socket = Socket::open(NlFamily::Generic)?;
    let question = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY)
        .with(|question| question.put_str(CTRL_ATTR_FAMILY_NAME, "nl80211"));
    let number = |attrs: &[u8]| u16_at(find(attrs, CTRL_ATTR_FAMILY_ID)?, 0);
    // A kernel without Wi-Fi has no such family.
    let Some(family) = ask(&mut socket, question, Errno::ENOENT, number)? else { return Ok(false) };
    let question = request(family, NL80211_CMD_GET_INTERFACE)
        .with(|question| question.put_u32(NL80211_ATTR_IFINDEX, index));
    // An interface that is gone, or no Wi-Fi.
    let answer = ask(&mut socket, question, Errno::ENODEV, |attrs| Some(says_one_mac(attrs)))?;
    Ok(answer.unwrap_or_default())
}

/// What `read` finds among the attributes of the answer; None where the kernel says `absent`.
fn ask<T>(
    socket: &mut Socket,
    question: Message,
    absent: Errno,
    read: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut found = None;
    let outcome = socket.exchange(&mut [question], &mut |_, reply| {
        found = reply.get(BODY..).and_then(&read);
    })?;
    match outcome.into_iter().flatten().find(|error| error.errno != absent as i32) {
        Some(error) => Err(error.into()),
        None => Ok(found),
    }
}

fn request(family: u16, command: u8) -> Message {
    Message::new(family, ACK, &[command, 1, 0, 0])
}

/// The kernel's own condition for IFF_DONT_BRIDGE (`net/wireless/core.c`, `net/wireless/util.c`).
fn says_one_mac(attrs: &[u8]) -> bool {
    let kind = find_u32(attrs, NL80211_ATTR_IFTYPE);
    // Old kernels do not tell it; then they have the last word, once the bridge is there.
    let four = find(attrs, NL80211_ATTR_4ADDR).is_none_or(|value| value != [0]);
    kind.is_some_and(|kind| ONE_MAC.contains(&kind)) && !four
}

#[cfg(test)]
mod tests {
    use super::super::message::HEADER;
    use super::*;

    #[test]
    fn tells_a_station_from_what_can_be_bridged() {
        let says = |kind: u32, four: u8| {
            let mut reply = request(0, 0);
            reply.put_u32(NL80211_ATTR_IFINDEX, 7).put_u32(NL80211_ATTR_IFTYPE, kind);
            reply.put(NL80211_ATTR_4ADDR, &[four]);
            reply.bytes().get(HEADER + BODY..).is_some_and(says_one_mac)
        };
        let (station, access_point) = (2, 3);
        assert!(says(station, 0));
        assert!(!says(station, 1) && !says(access_point, 0));
        assert!(!says_one_mac(&[]));
    }
}
