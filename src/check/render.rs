//! Findings for people, in 80 columns. Commands are not broken: they are there to be copied.

use super::Findings;
use super::finding::{Finding, Fix};

const WIDTH: usize = 80;
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// All findings, and what was looked at.
pub fn render(findings: &Findings, color: bool) -> String {
    let mut text: String = findings.findings.iter().map(|found| finding(found, color)).collect();
    text.push_str(&summary(findings));
    text
}

fn finding(finding: &Finding, color: bool) -> String {
    let word = if finding.is_problem() { "problem" } else { "note" };
    let place = finding.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
    let mut text = wrap(&format!("{place}{word}: {}", finding.problem), "    ");
    if color {
        let on = if finding.is_problem() { RED } else { YELLOW };
        text = text.replacen(&format!("{word}:"), &format!("{on}{word}{PLAIN}:"), 1);
    }
    match &finding.fix {
        None => {}
        Some(Fix::Say(say)) => text.push_str(&wrap(&format!("    fix: {say}"), "         ")),
        Some(Fix::Run(commands)) => {
            for (number, command) in commands.iter().enumerate() {
                text.push_str(if number == 0 { "    fix: " } else { "         " });
                text.push_str(command);
                text.push('\n');
            }
        }
    }
    text
}

fn summary(findings: &Findings) -> String {
    let problems = findings.iter().filter(|finding| finding.is_problem()).count();
    let notes = findings.iter().count() - problems;
    let found = match (problems, notes) {
        (0, 0) => "All right".to_owned(),
        (0, notes) => format!("No problem, {}", count(notes, "note")),
        (problems, 0) => count(problems, "problem"),
        (problems, notes) => format!("{}, {}", count(problems, "problem"), count(notes, "note")),
    };
    let looked = match findings.networks {
        Some(networks) => count(networks, "network"),
        None => "no network, as the configuration is wrong".to_owned(),
    };
    let blind = if findings.complete { "" } else { ", as far as it can be seen without root" };
    let guests = count(findings.guests, "guest");
    wrap(&format!("{found}. Looked at {looked}, {guests}, uplinks, firewall, kernel and hooks{blind}."), "")
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Breaks a line at blanks; what follows is indented. A word longer than the width stays whole.
fn wrap(line: &str, indent: &str) -> String {
    let start = line.len() - line.trim_start().len();
    let mut text = line.get(..start).unwrap_or_default().to_owned();
    let mut column = start;
    for (number, word) in line.split_whitespace().enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(indent);
            column = indent.len();
        } else if number > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_sentences_and_no_commands() {
        let command =
            "nft insert rule ip a-table-with-a-long-name a-chain-with-a-long-name iifname br0 accept";
        let findings = Findings {
            networks: Some(1),
            guests: 2,
            complete: true,
            findings: vec![
                Finding::problem("x", "word ".repeat(30).trim_end()).run([command, "second"]),
                Finding::note("y", "a\u{1b}[31mb").say("word ".repeat(30).trim_end()),
            ],
        };
        let text = render(&findings, false);
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.contains(command)), "{text}");
        assert!(text.contains(&format!("    fix: {command}\n         second\n")), "{text}");
        assert!(text.contains("note: a\\u{1b}[31mb\n"), "{text}");
        assert!(text.contains("1 problem, 1 note. Looked at 1 network, 2 guests,"), "{text}");
        assert!(render(&findings, true).contains("\u{1b}[1;31mproblem\u{1b}[0m: word"));
    }

    #[test]
    fn nothing_wrong_is_one_line() {
        let mut findings = Findings { networks: Some(2), guests: 1, complete: true, findings: Vec::new() };
        let line = "All right. Looked at 2 networks, 1 guest, uplinks, firewall, kernel and hooks.\n";
        assert_eq!(render(&findings, false), line);
        findings.complete = false;
        assert!(render(&findings, false).contains("without root"));
    }
}
