//! Who the guest is, as the command line of the VM says that started this hook.

use crate::holder;
use crate::model::{GuestIdentity, IfName};
use crate::vmm;

/// So many processes are asked: QEMU itself is the parent, unless a script of its owner's is between them.
const GENERATIONS: usize = 3;

/// What the nearest says that says anything.
pub fn identity(tap: &IfName) -> GuestIdentity {
    let starters = holder::starters().take(GENERATIONS);
    let said = starters.map(|(pid, arguments)| {
        let alone = vmm::identity(&arguments, &[(u32::MAX, *tap)], tap);
        // A tap that was not given its name is told from the others that were not by those that the VM has open.
        let is_named = arguments.iter().any(|word| word.contains(tap.as_str()));
        if alone.macs.is_empty() || is_named {
            alone
        } else {
            let mut taps = holder::taps(&pid);
            // One that QEMU's helper makes comes to QEMU when it is attached.
            if !taps.iter().any(|(_, name)| name == tap) {
                taps.push((u32::MAX, *tap));
            }
            vmm::identity(&arguments, &taps, tap)
        }
    });
    said.into_iter().find(|identity| !identity.is_empty()).unwrap_or_default()
}
