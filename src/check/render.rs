//! Findings for people, in 80 columns.

use super::Findings;
use super::finding::{Finding, Fix};
use crate::terminal::{Span, Style, Text, words};

/// All findings, and what was looked at.
pub fn render(findings: &Findings, color: bool) -> String {
    let mut text = Text::new(color);
    findings.findings.iter().for_each(|finding| render_finding(&mut text, finding));
    text.paragraph(0, "", 0, words(summary(findings)));
    text.finish()
}

fn render_finding(text: &mut Text, finding: &Finding) {
    let (word, style) =
        if finding.is_problem() { ("problem", Style::PROBLEM) } else { ("note", Style::WARNING) };
    let severity = Span::new(word, style).and(':');
    let problem = words(&finding.problem);
    match &finding.place {
        Some(place) => {
            text.paragraph(0, format!("{place}:"), 4, std::iter::once(severity).chain(problem));
        }
        None => text.paragraph(0, severity, 4, problem),
    }
    match &finding.fix {
        None => {}
        Some(Fix::Say([say])) => text.paragraph(4, "fix:", 9, words(say)),
        Some(Fix::Run(commands)) => text.commands(4, "fix:", commands),
    }
}

fn summary(findings: &Findings) -> String {
    let problems = findings.findings.iter().filter(|finding| finding.is_problem()).count();
    let notes = findings.findings.len() - problems;
    let found = match (problems, notes) {
        (0, 0) => "All right".to_owned(),
        (0, notes) => format!("No problem, {}", count(notes, "note")),
        (problems, 0) => count(problems, "problem"),
        (problems, notes) => format!("{}, {}", count(problems, "problem"), count(notes, "note")),
    };
    let looked = match findings.networks {
        Some(networks) => count(networks, "network"),
        None if findings.findings.iter().any(is_hidden) => {
            "no network, as the configuration could not be read".to_owned()
        }
        None => "no network, as the configuration is wrong".to_owned(),
    };
    let blind = if findings.complete { "" } else { ", as far as it can be seen without root" };
    let guests = count(findings.guests, "guest");
    format!("{found}. Looked at {looked}, {guests}, uplinks, firewall, kernel and hooks{blind}.")
}

/// A configuration that is not wrong, but may not be read.
fn is_hidden(finding: &Finding) -> bool {
    finding.kind == "configuration" && !finding.is_problem()
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
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
        assert!(text.lines().all(|line| line.len() <= 80 || line.contains(command)), "{text}");
        assert!(text.contains(&format!("    fix: {command}\n         second\n")), "{text}");
        assert!(text.contains("note: a\\u{1b}[31mb\n"), "{text}");
        assert!(text.contains("1 problem, 1 note. Looked at 1 network, 2 guests,"), "{text}");
        assert!(render(&findings, true).contains("\u{1b}[1;31mproblem:\u{1b}[0m word"));
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
