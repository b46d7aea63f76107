//! Guests whose disks are copies of one disk.

use crate::kit::Serving;

/// Their DHCP clients call themselves the same (networkd's and cloud images' are made of /etc/machine-id): it is the MAC that
/// counts.
#[test]
fn copies_of_one_disk_get_an_address_each() {
    let serving = Serving::nat();
    let guests = [1, 2].map(|number| serving.attach(number));
    let [one, two] = guests.each_ref().map(|guest| serving.lease_as(guest, "copy"));
    assert_ne!(one, two);
    assert_eq!(
        serving.lease_as(&guests[0], "other"),
        one,
        "the same MAC has the same address, whatever it calls itself"
    );
}
