//! `kvmnet`: for people who want to look, and to put right. Arguments and printing; all else is in the library.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kvmnet::config::Environment;
use kvmnet::error::Error;
use kvmnet::log::{self, Level};
use kvmnet::model::IfName;
use kvmnet::plan::Step;
use kvmnet::run::{self, Creation, Done};
use kvmnet::{config, inherited, init, status, terminal};

/// The networks of QEMU guests: see what is, see what would happen, put right what is wrong.
#[derive(Parser)]
#[command(name = "kvmnet", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done; 1 failed, nothing changed; 2 wrong usage or configuration, nothing touched."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what a hook would do now, as the commands that do the same; nothing is done.
    #[command(
        after_help = "Examples:\n  kvmnet plan vif0.0\n  KVMNET_MODE=isolated kvmnet plan vif0.0\n  kvmnet plan --down vif0.0\n  sudo kvmnet plan vif0.0 | sudo sh -e"
    )]
    Plan {
        /// What qemu-ifdown would do, not qemu-ifup.
        #[arg(long)]
        down: bool,
        /// As data.
        #[arg(long)]
        json: bool,
        /// The tap; QEMU may still have to make it.
        tap: IfName,
    },
    /// Attaches a tap to its network, as qemu-ifup does, and prints each step.
    #[command(
        after_help = "Examples:\n  sudo kvmnet attach vif0.0\n  sudo kvmnet attach --create --user alice tap0\n  sudo KVMNET_NETWORK=lab kvmnet attach --create tap1"
    )]
    Attach {
        /// Makes a persistent tap first, for programs that take a ready one.
        #[arg(long)]
        create: bool,
        /// Who may open the tap that is made: a name or a number.
        #[arg(long, requires = "create", value_name = "NAME")]
        user: Option<String>,
        /// The tap.
        tap: IfName,
    },
    /// Takes a tap off its network, as qemu-ifdown does, and prints each step.
    #[command(after_help = "Examples:\n  sudo kvmnet detach vif0.0\n  sudo kvmnet detach --delete tap0")]
    Detach {
        /// Deletes the tap, too.
        #[arg(long)]
        delete: bool,
        /// The tap.
        tap: IfName,
    },
    /// Shows the networks and who is on them.
    #[command(
        after_help = "Examples:\n  kvmnet status\n  kvmnet status lab\n  kvmnet status --json | jq '.networks[].guests[].vm'"
    )]
    Status {
        /// Only this network.
        network: Option<String>,
        /// As data.
        #[arg(long)]
        json: bool,
    },
    /// Brings every living network to what the configuration says; shows the difference first.
    #[command(
        after_help = "Examples:\n  sudo kvmnet apply\n  sudo nft flush ruleset && sudo kvmnet apply --yes"
    )]
    Apply {
        /// Does not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Brings a network up, to stay with guests or without.
    #[command(after_help = "Example:\n  sudo kvmnet up lab")]
    Up {
        /// A network of the configuration; the one at its top level is "default".
        network: String,
    },
    /// Takes a network down.
    #[command(after_help = "Examples:\n  sudo kvmnet down lab\n  sudo kvmnet down --force default")]
    Down {
        /// Also from under its guests.
        #[arg(long)]
        force: bool,
        /// The network.
        network: String,
    },
    /// Takes away what guests left that were killed.
    #[command(after_help = "Example:\n  sudo kvmnet gc")]
    Gc,
    /// Looks for what is wrong with the configuration and the machine, touching nothing.
    #[command(
        after_help = "Examples:\n  kvmnet check\n  KVMNET_CONFIG=/tmp/new.conf kvmnet check && sudo cp /tmp/new.conf /etc/kvmnet.conf"
    )]
    Check {
        /// As data.
        #[arg(long)]
        json: bool,
    },
    /// Shows the configuration that holds, or writes one for this machine.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Prints the values that hold, and where each comes from.
    #[command(after_help = "Examples:\n  kvmnet config show\n  KVMNET_MODE=isolated kvmnet config show lab")]
    Show {
        /// Only this network.
        network: Option<String>,
        /// As data.
        #[arg(long)]
        json: bool,
    },
    /// Prints a commented file for this machine, with a free subnet and its uplink.
    #[command(after_help = "Example:\n  kvmnet config init | sudo tee /etc/kvmnet.conf")]
    Init,
}

fn main() -> ExitCode {
    inherited::put_right();
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(status) => status,
        Err(error) => {
            complain(&error.to_string(), error.hint().as_deref());
            error.exit_status().into()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Plan { down, json, tap } => {
            let preview = if down { run::preview_down(&tap) } else { run::preview_up(&tap) }?;
            if json { say(&terminal::json(&preview)) } else { say(&preview.to_string()) }
        }
        Command::Attach { create, user, tap } => {
            let creation = create.then_some(Creation { user });
            return report(run::attach(&tap, creation.as_ref(), &mut print_step));
        }
        Command::Detach { delete, tap } => return report(run::detach(&tap, delete, &mut print_step)),
        Command::Apply { yes } => return apply(yes),
        Command::Up { network } => return report(run::network_up(&network, &mut print_step)),
        Command::Down { force, network } => {
            return report(run::network_down(&network, force, &mut print_step));
        }
        Command::Gc => return report(run::sweep(&mut print_step)),
        Command::Status { network, json } => {
            let status = status::read(network.as_deref())?;
            if json { say(&terminal::json(&status)) } else { say(&status.render(has_color())) }
        }
        Command::Check { json } => return check(json),
        Command::Config(ConfigCommand::Show { network, json }) => {
            let shown = config::show(&Environment::of_process(), network.as_deref())?;
            if json { say(&terminal::json(&shown)) } else { say(&shown.to_string()) }
        }
        Command::Config(ConfigCommand::Init) => say(&init::file()?),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(json: bool) -> Result<ExitCode, Error> {
    let findings = kvmnet::check::check(&Environment::of_process())?;
    if json {
        say(&terminal::json(&findings))
    } else {
        say(&kvmnet::check::render(&findings, has_color()))
    }
    let is_wrong = findings.iter().any(kvmnet::check::Finding::is_problem);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Shows the difference, asks, and does away with it.
fn apply(yes: bool) -> Result<ExitCode, Error> {
    let difference = run::difference()?;
    say(&difference.to_string());
    if difference.plan.is_empty() {
        return Ok(if difference.unmet.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !yes && !is_agreed() {
        complain("nothing was changed", Some("kvmnet apply --yes"));
        return Ok(ExitCode::FAILURE);
    }
    let status = report(run::converge(&difference, &mut |_| {}))?;
    Ok(if difference.unmet.is_empty() { status } else { ExitCode::FAILURE })
}

/// Whether the person at the terminal says yes.
fn is_agreed() -> bool {
    let mut answer = String::new();
    if !stdin().is_terminal() {
        return false;
    }
    say("Do it? [y/N] ");
    let _ = stdin().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}

fn print_step(step: &Step) {
    if let Some(command) = step.command() {
        say(&format!("{command}\n"));
    }
}

/// Says what was done, to the person and to the log, and what could not be.
fn report(done: Result<Done, Error>) -> Result<ExitCode, Error> {
    let done = done.inspect_err(|error| log::write("kvmnet", Level::Error, &error.to_string()))?;
    say(&format!("# {}\n", terminal::printable(&done.summary)));
    if done.changed {
        log::write("kvmnet", Level::Info, &done.summary);
    }
    for error in &done.left {
        complain(&error.to_string(), error.hint().as_deref());
        log::write("kvmnet", Level::Error, &error.to_string());
    }
    Ok(if done.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints. That nobody reads any more, as behind `| head`, is no reason to leave a change half done.
fn say(text: &str) {
    let mut stdout = stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

fn complain(what: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("hint: {}\n", terminal::printable(hint))).unwrap_or_default();
    let _ = write!(stderr(), "kvmnet: {}\n{hint}", terminal::lines(what));
}

/// Colour is for people: on a terminal, and unless NO_COLOR says otherwise (no-color.org).
fn has_color() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
