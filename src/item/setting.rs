//! A number of an interface: a sysctl, an attribute such as the MTU, a filter on it.

use std::fmt;

use nix::errno::Errno;

use super::{Change, Numbers, Step, Transport, word};
use crate::model::{AddrGen, IfName, Setting};
use crate::netlink::message::Message;
use crate::netlink::route::{filter, link};
use crate::terminal::shell_word;

/// Changes a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    pub link: IfName,
    pub setting: Setting,
    pub from: u32,
    pub to: u32,
    /// Whether it puts back what kvmnet changed. An interface that is gone meanwhile needs nothing put back.
    pub back: bool,
}

impl SettingChange {
    /// Whether a network does without it where /proc/sys is read-only: the filters of taps stand alone then, and interfaces
    /// to come are not opened.
    pub fn is_spare(&self) -> bool {
        self.setting == Setting::DisableIpv6 || self.link == IfName::DEFAULT
    }

    /// Whether it puts a filter on an interface, or makes the place for one.
    pub fn adds_filter(&self) -> bool {
        self.is_filter() && self.to != 0
    }

    fn is_filter(&self) -> bool {
        matches!(self.setting, Setting::Clsact | Setting::Filter(_))
    }
}

impl Change for SettingChange {
    fn kind(&self) -> &'static str {
        "set"
    }

    fn deed(&self) -> String {
        let Self { link, setting, to, .. } = self;
        match (setting, to) {
            (Setting::Up, 0) => format!("set {link} down"),
            (Setting::Up, _) => format!("set {link} up"),
            (Setting::Isolated, 0) => format!("let {link} reach the other guests"),
            (Setting::Isolated, _) => format!("keep {link} and the other guests apart"),
            (Setting::Clsact | Setting::Filter(_), 0) => format!("take the {setting} off {link}"),
            (Setting::Clsact | Setting::Filter(_), _) => format!("put the {setting} on {link}"),
            _ => format!("set {setting} of {link} to {to}"),
        }
    }

    fn write_command(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, setting, to: value, .. } = self;
        let name = word(link);
        match setting {
            Setting::Up => write!(f, "ip link set {name} {}", if *value == 0 { "down" } else { "up" }),
            Setting::Mtu => write!(f, "ip link set {name} mtu {value}"),
            Setting::Group => write!(f, "ip link set {name} group {value}"),
            Setting::AddrGen => write!(f, "ip link set {name} addrgenmode {}", AddrGen(*value as u8)),
            // An older `ip` does not know it, and an older kernel passes over it.
            Setting::FdbMaxLearned => {
                write!(f, "ip link set {name} type bridge fdb_max_learned {value} 2>/dev/null || :")
            }
            Setting::GroupFwdMask => {
                write!(f, "ip link set {name} type bridge_slave group_fwd_mask {value:#x}")
            }
            Setting::Isolated => {
                let word = if *value == 0 { "off" } else { "on" };
                write!(f, "ip link set {name} type bridge_slave isolated {word}")
            }
            Setting::Clsact => {
                write!(f, "tc qdisc {} dev {name} clsact", if *value == 0 { "del" } else { "add" })
            }
            Setting::Filter(filter) => f.write_str(&filter.command(&name, *value != 0)),
            // With slashes, because an interface's name may have dots.
            _ => write!(f, "sysctl -q -w {}", shell_word(format!("{}={value}", setting.key(link)))),
        }
    }

    /// Whatever it was: on an interface that is gone by then nothing is left to take back.
    fn inverse(&self) -> Option<Step> {
        Some(Step::put_back(self.link, self.setting, self.to, self.from))
    }

    fn transport(&self) -> Transport {
        let is_file = self.setting.is_file() || self.link == IfName::DEFAULT;
        if is_file { Transport::File } else { Transport::Route }
    }

    fn message(&self, numbers: Numbers<'_>) -> Result<Option<Message>, IfName> {
        Ok(match self.setting {
            Setting::Clsact => Some(filter::set_clsact(numbers(&self.link)?, self.to != 0)),
            Setting::Filter(which) => Some(filter::set(numbers(&self.link)?, which, self.to != 0)),
            setting => link::set(&self.link, setting, self.to),
        })
    }

    fn is_there(&self, errno: Errno) -> bool {
        self.adds_filter() && errno == Errno::EEXIST
    }

    fn forgives(&self, errno: Errno) -> bool {
        match self.setting {
            Setting::Clsact if self.to != 0 => errno == Errno::EEXIST,
            Setting::Clsact | Setting::Filter(_) if self.to == 0 => {
                matches!(errno, Errno::ENOENT | Errno::EINVAL | Errno::ENODEV)
            }
            _ => self.back && errno == Errno::ENODEV,
        }
    }
}
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What is gone needs nothing put back, whatever the value; what a guest needs must be there.
    #[test]
    fn only_what_is_put_back_may_be_gone() {
        let link = IfName::new("eth3").unwrap();
        for (setting, to) in
            [(Setting::AcceptRa, 2), (Setting::Forwarding, 1), (Setting::Mtu, 1500), (Setting::Up, 0)]
        {
            assert!(&Step::put_back(link, setting, 7, to).forgives(Errno::ENODEV), "{setting} {to}");
            assert!(!&Step::put_back(link, setting, 7, to).forgives(Errno::EINVAL), "{setting} {to}");
            assert!(!&Step::set(link, setting, 7, to).forgives(Errno::ENODEV), "{setting} {to}");
            let undone = Step::set(link, setting, 7, to).inverse().unwrap();
            assert!(&undone.forgives(Errno::ENODEV), "{setting} {to}");
        }
    }
}
