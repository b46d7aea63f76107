//! `kvmnet`: for people who want to look, and to put right. Arguments and printing; all else is in the library.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kvmnet::config::Environment;
use kvmnet::error::Error;
use kvmnet::{check, config, init, status};

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
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("kvmnet: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            error.exit_status().into()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    let environment = Environment::of_process();
    match command {
        Command::Status { network, json } => {
            let status = status::read(network.as_deref())?;
            if json { print_json(&status) } else { print!("{}", status.render(has_color())) }
        }
        Command::Check { json } => {
            let findings = check::check(&environment)?;
            if json {
                print_json(&findings)
            } else {
                print!("{}", check::render(&findings, has_color()))
            }
            if findings.iter().any(check::Finding::is_problem) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Config(ConfigCommand::Show { network, json }) => {
            let shown = config::show(&environment, network.as_deref())?;
            if json { print_json(&shown) } else { print!("{shown}") }
        }
        Command::Config(ConfigCommand::Init) => print!("{}", init::file()?),
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &impl serde::Serialize) {
    // Plain data with names for keys cannot fail to be JSON.
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Colour is for people: on a terminal, and unless NO_COLOR says otherwise (no-color.org).
fn has_color() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
