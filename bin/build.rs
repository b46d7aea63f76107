//! How a release is linked: without tables for unwinding. A test does unwind, and what it starts is left alone.
use std::env;

fn main() {
    println!("cargo::rerun-if-changed=bin/no-unwind-tables.ld");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let Ok(root) = env::var("CARGO_MANIFEST_DIR") else { return };
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{root}/bin/no-unwind-tables.ld");
    }
}
