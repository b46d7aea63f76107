//! The arguments of `kvmnet`, and what is wrong with them, in its own words.

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use kvmnet::model::IfName;

/// The networks of QEMU guests: what is, what would happen, what is wrong.
#[derive(Parser)]
#[command(name = "kvmnet", version)]
#[command(
    after_help = "Exit status: 0 done; 1 failed, nothing changed;\n             2 wrong usage or configuration, nothing touched."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Prints what a hook would do now, as commands; nothing is done.
    #[command(
        after_help = "Examples:\n  kvmnet plan vif0.0\n  KVMNET_MODE=isolated kvmnet plan vif0.0\n  kvmnet plan --down vif0.0\n  sudo ip tuntap add vif0.0 mode tap; sudo kvmnet plan vif0.0 | sudo sh -e"
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
        /// Makes a persistent tap first, for who takes a ready one.
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
    /// Brings living networks to what the file says; shows it and asks.
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
        /// Its name; the one at the top of the file is "default".
        network: String,
    },
    /// Takes a network down.
    #[command(after_help = "Examples:\n  sudo kvmnet down lab\n  sudo kvmnet down --force default")]
    Down {
        /// Also from under its guests.
        #[arg(long)]
        force: bool,
        /// Its name, or its bridge.
        network: String,
    },
    /// Takes away what guests left that were killed.
    #[command(after_help = "Example:\n  sudo kvmnet gc")]
    Gc,
    /// Looks for what is wrong, in the file and on the machine.
    #[command(
        after_help = "Examples:\n  kvmnet check\n  KVMNET_CONFIG=/tmp/new.conf kvmnet check &&\n    sudo cp /tmp/new.conf /etc/kvmnet.conf"
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
pub enum ConfigCommand {
    /// Prints the values that hold, and where each comes from.
    #[command(after_help = "Examples:\n  kvmnet config show\n  KVMNET_MODE=isolated kvmnet config show lab")]
    Show {
        /// Only this network.
        network: Option<String>,
        /// As data.
        #[arg(long)]
        json: bool,
    },
    /// Prints a file for this machine, with a free subnet and its uplink.
    #[command(after_help = "Example:\n  kvmnet config init | sudo tee /etc/kvmnet.conf")]
    Init,
}

impl Command {
    /// Whether it shall answer as data.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::Plan { json, .. } | Command::Status { json, .. } | Command::Check { json } => *json,
            Command::Config(ConfigCommand::Show { json, .. }) => *json,
            _ => false,
        }
    }
}

/// What clap says, as the problem and what to do about it; None where it is what was asked for, as help is.
pub fn complaint(error: &clap::Error) -> Option<(String, String)> {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand) {
        return None;
    }
    let text = error.to_string();
    let mut parts = text.split("\n\n").map(str::trim);
    let problem = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let problem = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    let (mut tip, mut usage) = (None, None);
    for part in parts {
        tip = tip.or(part.strip_prefix("tip: "));
        usage = usage.or(part.strip_prefix("Usage: "));
    }
    let hint = tip.or(usage).unwrap_or("kvmnet --help").lines().next().unwrap_or_default().to_owned();
    Some((problem, hint))
}
