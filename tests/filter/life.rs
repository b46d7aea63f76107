//! It comes, changes and goes.

use crate::kit::{attach, hook_of, lab_with, program, rules};
use crate::lab::{Network, each_mode};

fn goes_on_as_without(network: Network) {
    let lab = lab_with(network, "filter = true\n");
    let (one, two) = (attach(&lab, 1), attach(&lab, 2));
    lab.settle();
    let places = [lab.network.guest(1), lab.network.guest(2)];
    assert_eq!(one.pings_each(&[places[1].v4.clone(), places[1].v6.clone()]), [true, true]);
    assert_eq!(two.pings_each(&[places[0].v4.clone(), places[0].v6.clone()]), [true, true]);
    let before = (program(&lab, &one), rules(&lab));
    assert!(!before.0.is_empty() && before.1.contains("table bridge kvmnet-br0"), "{before:?}");
    hook_of(&lab, &one, 1).run().ok();
    assert!(program(&lab, &one) == before.0, "the filter is another one");
    assert_eq!(rules(&lab), before.1);
}

each_mode!(goes_on_as_without);
