//! Bridges that stand have a digest in their marks: it must not change with the program.

use super::{complaints, networks};

#[test]
fn what_marks_hold() {
    let all = "bridge='br7'\naddress=['10.7.0.1/24','fd07::1/64']\nuplink=['eth3','wlan0']\nnat_source='192.0.2.1'\n\
               veth='veth1'\nkeep=true\nconfirm=false\nuplink_managed='take'";
    let rows = [
        (String::new(), 0xaa7c_af22),
        // What was built in before.
        ("address='10.0.100.3/24'".to_owned(), 0xdaab_db34),
        ("mode='isolated'".to_owned(), 0x0669_d356),
        (format!("mode='nat'\n{all}"), 0x15bb_3153),
        (format!("mode='routed'\n{all}"), 0x3d76_3b66),
        (format!("mode='host-only'\n{all}"), 0x6c81_d2be),
        (format!("mode='isolated'\n{all}"), 0x04a7_8bbe),
        ("mode='bridged'\nuplink='auto'\nconfirm=false".to_owned(), 0x8256_2d32),
        ("mode='bridged'\nuplink='eth3'\nuplink_managed='take'".to_owned(), 0xdb01_99b3),
    ];
    for (text, digest) in rows {
        let networks = networks(&text).unwrap_or_else(|_| panic!("{:?}", complaints(networks(&text))));
        assert_eq!(networks[0].digest, digest, "{text}");
    }
}
