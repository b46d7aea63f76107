//! The arguments of `kvmnet`, and what is wrong with them, in its own words.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use kvmnet::IfName;
use kvmnet::launch::MOST_QUEUES;

/// See and change the networks of QEMU guests.
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
    /// Show the networks and their guests.
    #[command(
        after_help = "Examples:\n  kvmnet status\n  kvmnet status lab\n  kvmnet status --json | jq '.networks[].guests[].vm'"
    )]
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Only this network.
        network: Option<String>,
    },
    /// Look for problems in the configuration and on the machine.
    #[command(
        after_help = "Examples:\n  kvmnet check\n  KVMNET_CONFIG=~/new.conf kvmnet check &&\n    sudo cp ~/new.conf /etc/kvmnet.conf"
    )]
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the commands that do what a hook would do now; nothing is changed.
    #[command(
        after_help = "Examples:\n  kvmnet plan vif0.0\n  KVMNET_MODE=isolated kvmnet plan vif0.0\n  kvmnet plan --down vif0.0\n  sudo ip tuntap add vif0.0 mode tap; sudo kvmnet plan vif0.0 | sudo sh -e"
    )]
    Plan {
        /// Show what qemu-ifdown would do instead of qemu-ifup.
        #[arg(long)]
        down: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The tap, which need not exist yet.
        tap: IfName,
    },
    /// Show the configuration in force, or write one for this machine.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Attach a tap to its network, as qemu-ifup does, and print each step.
    #[command(
        after_help = "Examples:\n  sudo kvmnet attach vif0.0\n  sudo kvmnet attach --create --user alice tap0\n  sudo KVMNET_NETWORK=lab kvmnet attach --create tap1"
    )]
    Attach {
        /// Make a persistent tap first, for a program that wants one that is ready.
        #[arg(long)]
        create: bool,
        /// Let this user, given by name or number, open the tap that is made.
        #[arg(long, requires = "create", value_name = "NAME")]
        user: Option<String>,
        /// Let a program open so many queues of the tap that is made.
        #[arg(long, requires = "create", value_name = "N", value_parser = queues())]
        queues: Option<u16>,
        /// The tap.
        tap: IfName,
    },
    /// Run QEMU as a user without rights, with a tap on its network.
    #[command(
        after_help = "Examples:\n  sudo kvmnet run -- qemu-system-x86_64 -m 1024 disk.qcow2\n  sudo kvmnet run --network lab --queues 4 -- qemu-system-x86_64 -name web …\n  sudo kvmnet run -- qemu-system-x86_64 … {net} \\\n    -device e1000,netdev=kvmnet0,mac={mac}\n\n{net} stands for `-netdev tap,id=kvmnet0,…`, inside an argument for the tap's\nfiles alone (-nic tap,{net}), and {mac} for a MAC of the VM's own. Without {net},\na virtio NIC is added at the end."
    )]
    Run {
        /// The network, by name.
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        /// Run it as this user, given by name or number; by default who called sudo.
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Give the tap several queues.
        #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = queues())]
        queues: u16,
        /// The tap's name; %d in it is the first number that is free.
        #[arg(long, value_name = "NAME", default_value_t = IfName::NEW_TAP)]
        tap: IfName,
        /// The program and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Detach a tap from its network, as qemu-ifdown does, and print each step.
    #[command(after_help = "Examples:\n  sudo kvmnet detach vif0.0\n  sudo kvmnet detach --delete tap0")]
    Detach {
        /// Delete the tap as well.
        #[arg(long)]
        delete: bool,
        /// The tap.
        tap: IfName,
    },
    /// Bring the networks that are up to what the file says; shows the changes and asks first.
    #[command(
        after_help = "Examples:\n  sudo kvmnet apply\n  sudo nft flush ruleset && sudo kvmnet apply --yes"
    )]
    Apply {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// With --yes: print only what is wrong.
        #[arg(long, requires = "yes")]
        quiet: bool,
    },
    /// Bring up a network, which stays up with or without guests.
    #[command(after_help = "Example:\n  sudo kvmnet up lab")]
    Up {
        /// Its name; the one at the top of the file is "default".
        network: String,
    },
    /// Take down a network.
    #[command(after_help = "Examples:\n  sudo kvmnet down lab\n  sudo kvmnet down --force default")]
    Down {
        /// Take it down even if guests are on it.
        #[arg(long)]
        force: bool,
        /// Its name or its bridge.
        network: String,
    },
    /// Clean up after guests that were killed.
    #[command(after_help = "Example:\n  sudo kvmnet gc")]
    Gc,
    /// Tell the guests of a network their addresses and names; udev or a hook starts it.
    ///
    /// It runs until the network is gone, or its guests are to be told nothing any more.
    #[command(after_help = "Example:\n  sudo kvmnet serve br0")]
    Serve {
        /// The network's bridge, or the interface that the host takes part by.
        interface: String,
    },
    /// Have firewalld's zones for kvmnet hold the networks of now; a hook starts it.
    #[command(hide = true)]
    Firewalld,
    /// Print what may come next on a command line, for a shell.
    #[command(hide = true)]
    Complete {
        /// The words after `kvmnet`, the last of which is being typed.
        #[arg(last = true)]
        words: Vec<OsString>,
    },
}

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Print the values in force, and where each comes from.
    #[command(after_help = "Examples:\n  kvmnet config show\n  KVMNET_MODE=isolated kvmnet config show lab")]
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Only this network.
        network: Option<String>,
    },
    /// Print a configuration for this machine, with a free subnet and its uplink.
    #[command(after_help = "Example:\n  kvmnet config init | sudo tee /etc/kvmnet.conf")]
    Init,
}

impl Command {
    /// Whether errors are to be JSON, too.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::Plan { json, .. } | Command::Status { json, .. } | Command::Check { json } => *json,
            Command::Config(ConfigCommand::Show { json, .. }) => *json,
            _ => false,
        }
    }
}

/// So many as the kernel has for a tap.
fn queues() -> impl clap::builder::TypedValueParser {
    clap::value_parser!(u16).range(1..=i64::from(MOST_QUEUES))
}

/// The problem that clap found and what to do about it; None where help or the version was asked for.
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
