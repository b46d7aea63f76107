//! What may come next on a command line, as the shells of share/completions ask for it.

use std::ffi::OsString;

use clap::{Arg, Command};
use kvmnet::completion;

/// What may stand for the last of `words`: a line each, with what it means behind a tab.
pub fn lines(mut root: Command, words: &[OsString]) -> String {
    root.build();
    let Some((typed, before)) = words.split_last() else { return String::new() };
    let typed = typed.to_string_lossy();
    let mut offers = offers(&root, before, typed.starts_with('-'));
    offers.retain(|(word, _)| word.starts_with(&*typed));
    offers.iter().map(|(word, help)| format!("{word}\t{help}\n")).collect()
}

/// All words that may follow `before`, each with its help.
fn offers(root: &Command, before: &[OsString], is_option: bool) -> Vec<(String, String)> {
    let mut command = root;
    let mut arguments = 0;
    let mut wants_value = false;
    for word in before {
        if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else if word.as_encoded_bytes().starts_with(b"-") {
            wants_value = option(command, word).is_some_and(|option| option.get_action().takes_values());
            continue;
        } else if !wants_value {
            arguments += 1;
        }
        wants_value = false;
    }
    if wants_value {
        return Vec::new();
    }
    if is_option {
        let options =
            command.get_arguments().filter_map(|option| Some((long(option)?, text(option.get_help()))));
        return options.filter(|(word, _)| !before.iter().any(|given| **given == **word)).collect();
    }
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let commands = commands.map(|command| (command.get_name().to_owned(), text(command.get_about())));
    let argument = command.get_positionals().nth(arguments);
    let names = argument.map(|argument| names(command, argument)).unwrap_or_default();
    commands.chain(names.into_iter().map(|name| (name, String::new()))).collect()
}

/// The names that there are for an argument.
fn names(command: &Command, argument: &Arg) -> Vec<String> {
    match (command.get_name(), argument.get_id().as_str()) {
        ("attach", "tap") => completion::free_taps(),
        ("detach", "tap") => completion::attached_taps(),
        (_, "tap") => completion::taps(),
        (_, "network") => completion::networks(),
        _ => Vec::new(),
    }
}

fn option<'a>(command: &'a Command, word: &OsString) -> Option<&'a Arg> {
    command.get_arguments().find(|option| long(option).is_some_and(|long| **word == *long))
}

fn long(option: &Arg) -> Option<String> {
    option.get_long().map(|long| format!("--{long}"))
}

fn text(help: Option<&impl ToString>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}
