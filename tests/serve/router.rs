//! The host is a router for its guests, in all that it says.

use crate::kit::Serving;
use crate::lab::eventually;

/// A guest asks now and then whether its router is still there. An answer that is not a router's would cost it the route.
#[test]
fn a_guest_that_asks_for_its_router_again_keeps_its_route() {
    let serving = Serving::nat();
    let one = serving.attach(1);
    let route = || one.ip("-6 route show default");
    eventually("the guest has a route by an announcement", || route().contains("via fe80::"));
    let link_local = serving.lab.host.link_local("br0").expect("the bridge has a link-local address");
    assert!(one.pings(&format!("{link_local}%eth0")), "the router answers");
    let neighbour = || one.ip(&format!("-6 neigh show {link_local} dev eth0"));
    one.ip(&format!("-6 neigh change {link_local} dev eth0 nud probe"));
    eventually("it was asked, and has answered", || neighbour().contains("REACHABLE"));
    assert!(neighbour().contains(" router "), "as a router: {}", neighbour());
    assert!(route().contains("via fe80::"), "the route is still there");
    assert!(one.pings("fd00:51::7"), "and leads outside");
}
