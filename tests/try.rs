//! `sudo ./install.sh --try`: two real guests in each of the five modes, and a table of who reached whom. Everything
//! happens in namespaces of this process's own; the machine's network is neither used nor seen.
//!
//! Not run by `cargo test` (`test = false`): `cargo test --test try -- --hooks DIR --guest DIR` runs it. It fails when
//! the table is not the one of the documentation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::io::{IsTerminal, Write, stdout};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use lab::{COLUMNS, Network, Reach, Row, Snapshot, Style, Trial};

const USAGE: &str = "usage: try [--hooks DIR] [--guest DIR]

  --hooks DIR   where qemu-ifup and qemu-ifdown are (default: $KVMNET_TEST_HOOKS)
  --guest DIR   where vmlinuz and initrd.gz are (default: $KVMNET_TEST_GUEST)";

const PICTURE: &str = "
   guest 1 -- vif0.0 --.                      .-- eth3 -- outside 192.168.1.25
                        >-- br0 ... the host <
   guest 2 -- vif1.0 --'                      '-- the host's own addresses
";

/// The five modes, each with guests that are started in one of the ways that people type.
const MODES: [(Network, Style); 5] = [
    (Network::ISOLATED, Style::Net),
    (Network::HOST_ONLY, Style::Netdev),
    (Network::ROUTED, Style::Nic),
    (Network::NAT, Style::Net),
    (Network::BRIDGED, Style::Netdev),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--hooks", Some(directory)) => lab::use_hooks(PathBuf::from(directory)),
            ("--guest", Some(directory)) => lab::use_guest(PathBuf::from(directory)),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    try_all()
}

/// Tries every mode and prints the table as it grows.
fn try_all() -> ExitCode {
    let start = Instant::now();
    println!("\n Two real guests in each of five modes, on {}.\n{PICTURE}", machine());
    print_head();
    let wrong: Vec<String> =
        MODES.into_iter().flat_map(|(network, style)| try_mode(network, style)).collect();
    let seconds = start.elapsed().as_secs();
    println!();
    if wrong.is_empty() {
        println!(" In nat the guests were told their addresses and routes by DHCP and router");
        println!(" announcements; elsewhere they have them by hand.");
        println!(" Each yes is an answer over IPv4 and one over IPv6, each no is neither. It is");
        println!(" what the documentation says, cell by cell; and when the last guest had gone,");
        println!(" each host was as it had been before the first. {seconds} seconds.\n");
        ExitCode::SUCCESS
    } else {
        wrong.iter().for_each(|line| println!(" ! {line}"));
        println!("\n This is not what the documentation says. {seconds} seconds.\n");
        ExitCode::FAILURE
    }
}

/// What runs the guests.
fn machine() -> String {
    let version = Command::new("qemu-system-x86_64").arg("--version").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let number =
        version.split_whitespace().skip_while(|&word| word != "version").nth(1).unwrap_or("(none found)");
    let how = if lab::accelerator() == "kvm" { "with KVM" } else { "emulated, without KVM" };
    format!("QEMU {number}, {how}")
}

fn print_head() {
    for line in 0..2 {
        let mode = ["", "mode"][line];
        let columns: String = COLUMNS.iter().map(|column| format!("{:<11}", column[line])).collect();
        println!(" {mode:<11}{columns}{}", ["outside", "sees 1 as"][line]);
    }
    println!(" {:-<10} {:-<10} {:-<10} {:-<10} {:-<10} {:-<10} {:-<13}", "", "", "", "", "", "", "");
}

/// Tries one mode and prints its row; returns what is wrong with it, in words.
fn try_mode(network: Network, style: Style) -> Vec<String> {
    let mode = network.mode;
    let outcome = caught(|| {
        progress(mode, "two guests boot, and QEMU runs qemu-ifup for each ...");
        let boot = if mode == "nat" { Trial::boot_served } else { Trial::boot };
        let mut trial = boot(network, style);
        progress(mode, "who reaches whom? ...");
        let row = trial.ask();
        progress(mode, "the guests are shut down, and QEMU runs qemu-ifdown ...");
        let Trial { lab, one, two, before, .. } = trial;
        one.stop();
        two.stop();
        (row, lab::within(std::time::Duration::from_secs(20), || Snapshot::of(&lab.host) == before))
    });
    progress(mode, "");
    match outcome {
        Ok((row, clean)) => {
            let expected = Row::expected(network);
            println!("{}", line(mode, &row, &expected));
            let mut wrong = complaints(mode, &row, &expected);
            wrong.extend((!clean).then(|| format!("{mode}: the host was not left as it had been")));
            wrong
        }
        Err(reason) => {
            println!(" {mode:<11}could not be tried, see below");
            vec![format!("{mode}: {reason}")]
        }
    }
}

/// Runs `work`; an assertion of the lab that fails in it is a reason, and no crash.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    drop(panic::take_hook());
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the lab broke").to_owned()
    })
}

/// Shows what is being done in the place where the row will be; a file or a pipe gets the rows alone.
fn progress(mode: &str, what: &str) {
    if stdout().is_terminal() {
        print!("\r\x1b[K {}{what}", if what.is_empty() { String::new() } else { format!("{mode:<11}") });
        stdout().flush().unwrap();
        if what.is_empty() {
            print!("\r\x1b[K");
        }
    }
}

/// A row of the table. What is not as it must be has a mark.
fn line(mode: &str, row: &Row, expected: &Row) -> String {
    let cell =
        |(found, wanted): (&Reach, &Reach)| format!("{:<11}", word(found).to_owned() + mark(found == wanted));
    let cells: String = row.cells.iter().zip(&expected.cells).map(cell).collect();
    let seen = if row.seen_as.is_empty() { "-".to_owned() } else { row.seen_as.join(" ") };
    format!(" {mode:<11}{cells}{seen}{}", mark(row.seen_as == expected.seen_as))
}

fn word(reach: &Reach) -> &'static str {
    match reach {
        Reach::All => "yes",
        Reach::Nobody => "no",
        Reach::Some(_) => "in part",
    }
}

fn mark(right: bool) -> &'static str {
    if right { "" } else { " !" }
}

/// What is wrong with a row, one sentence a cell.
fn complaints(mode: &str, row: &Row, expected: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((found, wanted), column) in row.cells.iter().zip(&expected.cells).zip(COLUMNS) {
        if found != wanted {
            let which = if let Reach::Some(answers) = found { answers.join(", ") } else { String::new() };
            wrong.push(format!(
                "{mode}: {}: {} {which}, must be {}",
                column.join(" "),
                word(found),
                word(wanted)
            ));
        }
    }
    if row.seen_as != expected.seen_as {
        let [found, wanted] = [row, expected].map(|row| row.seen_as.join(", "));
        wrong.push(format!("{mode}: outside saw guest 1 as {found:?}, and must see {wanted:?}"));
    }
    wrong
}
