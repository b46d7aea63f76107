//! Which program keeps a NIC's addresses, and would not know of a takeover. What each does then, and why these are
//! the signs, is measured in docs/dhcp.md.

use std::fs;

use crate::model::address::FOREVER;
use crate::model::{Address, AddressManager, Link};

/// The owner of `nic`, if a program is one and lives. Costs two failed opens where none is.
pub fn of(nic: &Link, addresses: &[Address]) -> Option<AddressManager> {
    let leased = addresses.iter().any(|address| address.net.addr().is_ipv4() && address.valid != FOREVER);
    networkd(nic.index).or_else(|| network_manager(nic.index)).or_else(|| client(nic, leased))
}

fn networkd(index: u32) -> Option<AddressManager> {
    let state = read(&format!("/run/systemd/netif/links/{index}"))?;
    let value = |key: &str| state.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let configures = matches!(value("ADMIN_STATE="), "configuring" | "configured" | "failed");
    let owns = configures && !value("NETWORK_FILE=").is_empty() && lives("systemd-network");
    owns.then_some(AddressManager::Networkd)
}

fn network_manager(index: u32) -> Option<AddressManager> {
    let state = read(&format!("/run/NetworkManager/devices/{index}"))?;
    if !state.lines().any(|line| line == "managed=true") || !lives("NetworkManager") {
        return None;
    }
    let is_own = state.lines().any(|line| line.starts_with("route-metric-default-effective="));
    Some(if is_own { AddressManager::NetworkManager } else { AddressManager::NetworkManagerExternal })
}

/// A DHCP client by its file with a process number.
fn client(nic: &Link, leased: bool) -> Option<AddressManager> {
    let name = &nic.name;
    let is = |path: String, comms: &[&str]| {
        let pid = read(&path)?;
        let comm = read(&format!("/proc/{}/comm", pid.trim().parse::<u32>().ok()?))?;
        comms.contains(&comm.trim()).then_some(())
    };
    let dhcpcd = [format!("/run/dhcpcd/{name}.pid"), "/run/dhcpcd/pid".to_owned()];
    let dhclient = [
        format!("/run/dhclient.{name}.pid"),
        format!("/run/dhclient-{name}.pid"),
        "/run/dhclient.pid".to_owned(),
    ];
    if leased && dhcpcd.into_iter().any(|path| is(path, &["dhcpcd"]).is_some()) {
        return Some(AddressManager::Dhcpcd);
    }
    if leased && dhclient.into_iter().any(|path| is(path, &["dhclient"]).is_some()) {
        return Some(AddressManager::Dhclient);
    }
    is(format!("/run/udhcpc.{name}.pid"), &["udhcpc", "busybox"]).map(|()| AddressManager::Udhcpc)
}

/// Whether a program of this name listens to the kernel's route events: the files of a manager outlive it.
fn lives(comm: &str) -> bool {
    let table = read("/proc/net/netlink").unwrap_or_default();
    // sk, protocol (0 is rtnetlink), port (the first socket's is its process), groups, …
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "0", port, groups, ..] if !groups.trim_start_matches('0').is_empty() => {
                read(&format!("/proc/{port}/comm")).is_some_and(|name| name.trim() == comm)
            }
            _ => false,
        }
    })
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}
