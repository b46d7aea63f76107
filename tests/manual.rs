//! kvmnet(8) has every command and every option, in the words of `kvmnet --help`, and the README has every command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "only the commands are looked at")]
#[path = "../bin/kvmnet/arguments.rs"]
mod arguments;

use clap::{Arg, Command, CommandFactory};

const MANUAL: &str = include_str!("../docs/man/kvmnet.8");
const README: &str = include_str!("../README.md");

/// The commands that do something, each with the words that call it.
fn commands() -> Vec<(String, Command)> {
    let root = arguments::Arguments::command();
    let mut commands = Vec::new();
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        if !command.has_subcommands() {
            commands.push((name.to_owned(), command.clone()));
        }
        let inner = command.get_subcommands();
        commands.extend(inner.map(|inner| (format!("{name} {}", inner.get_name()), inner.clone())));
    }
    commands
}

/// `Fl -user Ar name`
fn option(option: &Arg) -> Option<String> {
    let long = option.get_long()?;
    let value = option.get_value_names().filter(|_| option.get_action().takes_values());
    let value = value.map(|names| format!(" Ar {}", names[0].to_lowercase())).unwrap_or_default();
    Some(format!("Fl -{long}{value}"))
}

/// The line of an argument in the synopsis.
fn usage(argument: &Arg) -> String {
    let word = option(argument).unwrap_or_else(|| format!("Ar {}", argument.get_id()));
    if argument.is_required_set() { format!(".{word}\n") } else { format!(".Op {word}\n") }
}

#[test]
fn the_synopsis_is_that_of_the_program() {
    let lines = commands().into_iter().map(|(name, command)| {
        let arguments: String = command.get_arguments().map(usage).collect();
        format!(".Nm\n.Cm {name}\n{arguments}")
    });
    let synopsis: String = lines.collect();
    assert!(MANUAL.contains(&format!(".Sh SYNOPSIS\n{synopsis}.Sh DESCRIPTION\n")), "{synopsis}");
}

#[test]
fn the_options_are_those_of_the_program() {
    // Those that several commands have, in the same words, stand there once.
    let mut options: Vec<(String, String, Vec<String>)> = Vec::new();
    for (name, command) in commands() {
        for argument in command.get_arguments() {
            let Some(word) = option(argument) else { continue };
            let help = argument.get_help().unwrap().to_string();
            match options.iter_mut().find(|known| (&known.0, &known.1) == (&word, &help)) {
                Some((.., commands)) => commands.push(name.clone()),
                None => options.push((word, help, vec![name.clone()])),
            }
        }
    }
    let entries = options
        .iter()
        .map(|(word, help, commands)| format!(".It {word} Pq Cm {}\n{help}.\n", commands.join(" , ")));
    let table: String = entries.collect();
    assert!(MANUAL.contains(&format!(".Bl -tag -width Ds\n{table}.El\n")), "{table}");
}

#[test]
fn every_command_is_explained() {
    for (name, _) in commands() {
        assert!(MANUAL.contains(&format!("\n.It Cm {name}")), "{name}");
        assert!(
            README.contains(&format!("`kvmnet {name}")) || README.contains(&format!("`{name}")),
            "{name}"
        );
    }
}
