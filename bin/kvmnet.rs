//! `kvmnet`, the command for people: arguments and printing. All else is in the library.
//!
//! `main` is C's, as in the hooks: the standard library's start-up would change how SIGPIPE is handled, which the program
//! that `kvmnet run` becomes is to find as it was.
#![no_main]

#[path = "kvmnet/arguments.rs"]
mod arguments;
#[path = "kvmnet/complete.rs"]
mod complete;

use std::ffi::{OsString, c_char, c_int};
use std::io::{self, IsTerminal, Write, stderr, stdin, stdout};

use arguments::{Arguments, Command, ConfigCommand};
use clap::{CommandFactory, Parser};
use kvmnet::config::Environment;
use kvmnet::error::Error;
use kvmnet::inherited::{self, Inherited};
use kvmnet::launch::{Launch, launch};
use kvmnet::log::{self, Level};
use kvmnet::run::{self, Creation, Difference, Done, Step};
use kvmnet::{caller, check, config, init, serve, status, terminal};
use serde::Serialize;
use serde_json::json;

/// Done.
const SUCCESS: u8 = 0;
/// Not done, or not all of it.
const FAILURE: u8 = 1;

// SAFETY: nothing else in the program is called `main`, and this is the signature that C's start-up calls.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let inherited = inherited::put_right();
    // SAFETY: C's start-up hands main so many texts, which stay for as long as the program runs.
    let words = unsafe { inherited::arguments(argc, argv) };
    kvmnet(&words, &inherited).into()
}

/// The whole of the program; gives its exit status.
fn kvmnet(words: &[OsString], inherited: &Inherited) -> u8 {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let json = arguments.command.wants_json();
    match run(arguments.command, inherited) {
        Ok(status) => status,
        Err(error) => {
            let hint = hint(&error, words);
            if json {
                // If this cannot be printed, the lines below say the same.
                say(&terminal::document(&json!({ "error": error.to_string(), "hint": hint })));
            }
            complain(&error.to_string(), hint.as_deref());
            error.exit_status()
        }
    }
}

/// Prints help or the version where it was asked for, else what is wrong with the arguments.
fn usage(error: &clap::Error) -> u8 {
    match arguments::complaint(error) {
        None => error.exit(),
        Some((problem, hint)) => {
            complain(&problem, Some(&hint));
            2
        }
    }
}

/// What to do about an error. Without rights: the same command with `sudo`, and its variables behind it, which is where
/// they are kept.
fn hint(error: &Error, words: &[OsString]) -> Option<String> {
    if !matches!(error, Error::NotRoot) {
        return error.hint();
    }
    let text = |part: &OsString| part.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (text(&name), text(&value)));
    // No shell takes another one for a variable.
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let ours = variables.filter(|(name, _)| name.starts_with("KVMNET_") && is_plain(name));
    let mut line = vec!["sudo".to_owned()];
    line.extend(ours.map(|(name, value)| format!("{name}={}", terminal::shell_word(&value))));
    line.push("kvmnet".to_owned());
    line.extend(words.iter().skip(1).map(|word| terminal::shell_word(text(word))));
    Some(line.join(" "))
}

fn run(command: Command, inherited: &Inherited) -> Result<u8, Error> {
    caller::require_equal_rights("kvmnet")?;
    match command {
        Command::Plan { down, json, tap } => {
            let preview = if down { run::preview_down(&tap) } else { run::preview_up(&tap) }?;
            show(&preview, json, |preview| preview.to_string())
        }
        Command::Attach { create, user, queues, tap } => {
            let creation = create.then_some(Creation { user, queues });
            report(run::attach(&tap, creation.as_ref(), &mut print_line, &mut print_step))
        }
        Command::Run { network, user, queues, tap, command } => {
            let error = launch(&Launch { network, user, queues, tap, command }, inherited);
            log::write("kvmnet", Level::Error, &error.to_string());
            Err(error)
        }
        Command::Detach { delete, tap } => report(run::detach(&tap, delete, &mut print_step)),
        Command::Apply { yes: true, quiet } => apply_at_once(quiet),
        Command::Apply { yes: false, .. } => apply(),
        Command::Up { network } => report(run::network_up(&network, &mut print_step)),
        Command::Down { force, network } => report(run::network_down(&network, force, &mut print_step)),
        Command::Gc => report(run::sweep(&mut print_step)),
        Command::Firewalld => logged(run::firewalld()),
        Command::Serve { interface } => {
            let sentence = serve::serve(&interface)?;
            log::write("kvmnet", Level::Info, &sentence);
            tell(&format!("# {}\n", terminal::printable(&sentence)))
        }
        Command::Status { network, json } => {
            show(&status::read(network.as_deref())?, json, |status| status.render(has_color()))
        }
        Command::Check { json } => {
            let findings = check::check(&Environment::of_process())?;
            show(&findings, json, |findings| check::render(findings, has_color()))?;
            Ok(status_of(!findings.has_problem()))
        }
        Command::Config(ConfigCommand::Show { network, json }) => {
            let shown = config::show(&Environment::of_process(), network.as_deref())?;
            show(&shown, json, |shown| shown.to_string())
        }
        Command::Config(ConfigCommand::Init) => tell(&init::file()?),
        Command::Complete { words } => tell(&complete::lines(Arguments::command(), &words)),
    }
}

/// Shows the changes, asks, and makes them.
fn apply() -> Result<u8, Error> {
    let difference = run::difference()?;
    say(&difference.to_string());
    if difference.plan.is_empty() {
        // Its zones are no part of the difference.
        let status = logged(run::firewalld())?;
        return Ok(met(&difference, status));
    }
    if !stdin().is_terminal() {
        complain("no terminal to ask on: nothing was changed", Some("kvmnet apply --yes"));
        return Ok(FAILURE);
    }
    let mut answer = String::new();
    say("Do it? [y/N] ");
    let _ = stdin().read_line(&mut answer);
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        complain("nothing was changed", None);
        return Ok(FAILURE);
    }
    let status = report(run::converge(&mut |found| *found == difference))?;
    Ok(met(&difference, status))
}

/// Makes the changes, whatever they are, and shows them: they are looked at once, so that nothing changes in between.
fn apply_at_once(quiet: bool) -> Result<u8, Error> {
    let mut found = None;
    let done = run::converge(&mut |difference| {
        found = Some(difference.clone());
        true
    });
    // Only now: whoever reads this slowly holds no hook up.
    found.iter().filter(|_| !quiet).for_each(|found| say(&found.to_string()));
    let status = match done {
        Ok(done) if !done.changed && done.left.is_empty() => SUCCESS,
        done if quiet => logged(done)?,
        done => report(done)?,
    };
    Ok(found.map_or(status, |found| met(&found, status)))
}

/// What is left to a person is not done.
fn met(difference: &Difference, status: u8) -> u8 {
    if difference.unmet.is_empty() { status } else { FAILURE }
}

fn status_of(is_right: bool) -> u8 {
    if is_right { SUCCESS } else { FAILURE }
}

fn print_line(command: &str) {
    say(&format!("{command}\n"));
}

fn print_step(step: &Step) {
    step.command().iter().for_each(|command| print_line(command));
}

/// Prints and logs what was done, and what could not be.
fn report(done: Result<Done, Error>) -> Result<u8, Error> {
    done.iter().for_each(|done| say(&format!("# {}\n", terminal::printable(&done.summary))));
    logged(done)
}

/// Logs what was done, and complains of what could not be.
fn logged(done: Result<Done, Error>) -> Result<u8, Error> {
    let done = done.inspect_err(|error| log::write("kvmnet", Level::Error, &error.to_string()))?;
    if done.changed {
        log::write("kvmnet", Level::Info, &done.summary);
    }
    for note in &done.notes {
        complain(note, None);
        log::write("kvmnet", Level::Error, note);
    }
    for error in &done.left {
        complain(&error.to_string(), error.hint().as_deref());
        log::write("kvmnet", Level::Error, &error.to_string());
    }
    Ok(status_of(done.left.is_empty()))
}

/// Prints. A change is not left half done because nobody can read of it.
fn say(text: &str) {
    let _ = write_out(text);
}

/// Prints data, as JSON or as text.
fn show<T: Serialize>(data: &T, json: bool, text: impl FnOnce(&T) -> String) -> Result<u8, Error> {
    tell(&if json { terminal::document(data) } else { text(data) })
}

/// Prints what was asked for. A reader that goes away, as `head` does, is not an error; a full disk is.
fn tell(text: &str) -> Result<u8, Error> {
    match write_out(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::system("write to the standard output")(error))
        }
        _ => Ok(SUCCESS),
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

fn complain(what: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("hint: {}\n", terminal::printable(hint))).unwrap_or_default();
    let _ = write!(stderr(), "kvmnet: {}\n{hint}", terminal::lines(what));
}

/// Colour is for people: on a terminal, and unless NO_COLOR says otherwise (no-color.org).
fn has_color() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
