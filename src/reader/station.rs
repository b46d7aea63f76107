//! Whether an interface is one that no bridge can have.

use std::path::Path;

use crate::model::Link;
use crate::netlink::wifi;

/// Whether an interface is a Wi-Fi station, which the kernel lets into no bridge. Only a Wi-Fi interface (`wiphy_sysfs` in
/// `net/wireless/sysfs.c`) costs more than a look. Where the kernel does not say, it will when the bridge is there.
pub(super) fn is_station(link: &Link) -> bool {
    let is_wifi = Path::new("/sys/class/net").join(link.name.as_str()).join("phy80211").exists();
    is_wifi && wifi::has_one_mac(link.index).unwrap_or_default()
}
