//! What bash, zsh and fish offer after `kvmnet`: each shell completes a line with its own file of share/completions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod lab;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use lab::{Lab, Network, Tap, hooks_dir};

/// Each shell, and a script that completes the line of its arguments and prints the words that are offered. zsh has its
/// completion in its line editor only: what would show the words prints them.
const SHELLS: [(&str, &str); 3] = [
    (
        "bash",
        r#"source share/completions/kvmnet.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        read -r _ _ function _ <<<"$(complete -p kvmnet)"
        $function && printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        r#"_describe() { print -rl -- "${(@P)2%%:*}" }
        words=("$@") CURRENT=$#
        source share/completions/_kvmnet"#,
    ),
    (
        "fish",
        r#"source share/completions/kvmnet.fish
        complete --do-complete "$argv" | string replace --regex '\t.*' ''"#,
    ),
];

/// The words that a shell offers for the last word of `line`, in the order of the alphabet.
fn offered(lab: &Lab, (shell, script): (&str, &str), line: &str) -> Vec<String> {
    let mut command = Command::new(shell);
    // fish has no name for the script itself.
    let name: &[&str] = if shell == "fish" { &[] } else { &[shell] };
    command.args(["-c", script]).args(name).args(line.split(' '));
    let path = format!("{}:/usr/bin:/bin", hooks_dir().display());
    command.env_clear().env("PATH", path).env("HOME", "/run").current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = lab.host.enter(|| command.output().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} {line:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words: Vec<String> = text.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words
}

/// Checks what each shell offers for some lines.
#[track_caller]
fn assert_offers(lab: &Lab, lines: &[(&str, &[&str])]) {
    for shell in SHELLS {
        for (line, words) in lines {
            assert_eq!(offered(lab, shell, line), *words, "{} completes {line:?}", shell.0);
        }
    }
}

const LAB: &str = "[network.lab]\nmode = \"isolated\"\nbridge = \"br-lab\"\n";

#[test]
fn commands_and_options() {
    let lab = Lab::new(Network::NAT);
    assert_offers(
        &lab,
        &[
            ("kvmnet a", &["apply", "attach"]),
            ("kvmnet config ", &["help", "init", "show"]),
            ("kvmnet com", &[]),
            ("kvmnet attach --", &["--create", "--help", "--queues", "--user"]),
            ("kvmnet attach --create --u", &["--user"]),
            ("kvmnet attach --create --c", &[]),
            ("kvmnet apply ", &[]),
        ],
    );
}

#[test]
fn names_of_networks() {
    let lab = Lab::new(Network::NAT);
    lab.write_config(&format!("{}{LAB}", Network::NAT.config()));
    let both: &[&str] = &["default", "lab"];
    assert_offers(
        &lab,
        &[
            ("kvmnet up ", both),
            ("kvmnet up l", &["lab"]),
            ("kvmnet up lab ", &[]),
            ("kvmnet down --force ", both),
            ("kvmnet status --json ", both),
            ("kvmnet config show ", both),
        ],
    );
}

/// A file that cannot be read, or is wrong, has no names; one that is not there has the built-in one.
#[test]
fn a_configuration_without_names() {
    let lab = Lab::new(Network::NAT);
    lab.write_config("mode = \"natt\"\n");
    assert_offers(&lab, &[("kvmnet up ", &[])]);
    // Nobody trusts it.
    let writable = || fs::set_permissions("/etc/kvmnet.conf", Permissions::from_mode(0o666));
    lab.write_config(LAB);
    lab.host.enter(writable).unwrap();
    assert_offers(&lab, &[("kvmnet up ", &[])]);
    lab.host.enter(|| fs::remove_file("/etc/kvmnet.conf")).unwrap();
    assert_offers(&lab, &[("kvmnet up ", &["default"])]);
}

#[test]
fn names_of_taps() {
    let lab = Lab::new(Network::NAT);
    let _attached = lab.attach(1);
    let _free = Tap::open(&lab.host, "free0");
    // A name that a shell would read as something else.
    let _odd = Tap::open(&lab.host, "$(id)");
    assert_offers(
        &lab,
        &[
            ("kvmnet plan ", &["free0", "vif0.0"]),
            ("kvmnet plan --down v", &["vif0.0"]),
            ("kvmnet attach ", &["free0"]),
            ("kvmnet attach --create --user ", &[]),
            ("kvmnet attach --create --user me ", &["free0"]),
            ("kvmnet detach ", &["vif0.0"]),
        ],
    );
}
