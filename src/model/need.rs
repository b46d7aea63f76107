//! What has to be known before it can be said what shall be.

use super::{IfName, Question};

/// Something to find out, of the kernel by rtnetlink or by another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// An answer of rtnetlink.
    Of(Question),
    /// The default routes of a family: those of the main table if it has any.
    Defaults { v6: bool },
    /// Every IPv6 default route of the main table.
    AllDefaults6,
    /// The host's addresses on its interface, of which it is enough to know that they are there.
    HostAddresses(u32),
    /// What an interface will be like that is still to come.
    Template,
    /// The global ID of the machine's local IPv6 addresses.
    GlobalId,
    /// Which of the ports that shall lead to the guest lead to any now.
    PortMappings,
    /// Who listens on them.
    Listeners,
    /// Whether /proc/sys cannot be written.
    ReadOnlySys,
    /// Whether the interface with this number is a Wi-Fi station.
    Station(u32),
    /// The program that keeps the addresses of a NIC.
    Manager(IfName),
    /// What the command line of the VM says that started this program.
    Starter,
    /// The addresses that guests of a bridge have been given.
    Leases(IfName),
    /// Whether this tap is the same VM's.
    SameVm(IfName),
}

impl From<Question> for Need {
    fn from(question: Question) -> Self {
        Need::Of(question)
    }
}
