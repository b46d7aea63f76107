//! Findings for people, in 80 columns.

use super::Findings;
use super::finding::{Finding, Fix};
use crate::terminal::{Look, Page, Word, plain};

/// All findings, and what was looked at.
pub fn render(findings: &Findings, color: bool) -> String {
    let mut page = Page::new(color);
    findings.iter().for_each(|finding| put(&mut page, finding));
    page.paragraph(0, Word::new("", Look::Plain), 0, plain(&summary(findings)));
    page.finish()
}

fn put(page: &mut Page, finding: &Finding) {
    let (word, look) =
        if finding.is_problem() { ("problem", Look::Problem) } else { ("note", Look::Warning) };
    let severity = Word::new(word, look).and(':');
    let problem = plain(&finding.problem);
    match &finding.place {
        Some(place) => {
            let place = Word::new(format!("{place}:"), Look::Plain);
            page.paragraph(0, place, 4, std::iter::once(severity).chain(problem));
        }
        None => page.paragraph(0, severity, 4, problem),
    }
    match &finding.fix {
        None => {}
        Some(Fix::Say(say)) => page.paragraph(4, Word::new("fix:", Look::Plain), 9, plain(say)),
        Some(Fix::Run(commands)) => page.commands(4, "fix:", commands),
    }
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
        None if findings.iter().any(is_hidden) => {
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
