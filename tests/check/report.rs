//! What `kvmnet check` says, as data.

use serde_json::Value;

use crate::lab::{Cli, Lab, Said};

/// The answer to `kvmnet check --json`.
#[derive(Debug)]
pub struct Report {
    pub status: i32,
    pub json: Value,
}

/// `kvmnet check`, by root.
pub fn check(lab: &Lab) -> Report {
    Report::of(Cli::new(&lab.host, &["check", "--json"]).run())
}

/// Fails the test unless nothing at all is found.
#[track_caller]
pub fn all_right(lab: &Lab, what: &str) {
    let said = Cli::new(&lab.host, &["check"]).run().ok();
    assert!(said.starts_with("All right. Looked at ") && said.lines().count() == 1, "{what}: {said}");
}

impl Report {
    pub fn of(said: Said) -> Self {
        assert_eq!(said.err, "", "a check that can look has nothing else to say");
        let json = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("JSON: {}", said.out));
        let report = Self { status: said.status, json };
        report.findings().iter().for_each(is_documented);
        report
    }

    pub fn findings(&self) -> &[Value] {
        self.json["findings"].as_array().unwrap()
    }

    /// The only finding of a kind. It must have this severity, and in its text all these words.
    #[track_caller]
    pub fn only(&self, severity: &str, kind: &str, words: &[&str]) -> &Value {
        let found: Vec<&Value> = self.findings().iter().filter(|finding| finding["kind"] == kind).collect();
        let [finding] = found[..] else { panic!("one finding of kind {kind}: {:#}", self.json) };
        assert_eq!(finding["severity"], severity, "{finding:#}");
        for word in words {
            assert!(finding.to_string().contains(word), "it must speak of {word}: {finding:#}");
        }
        finding
    }

    /// The same, where nothing else is found.
    #[track_caller]
    pub fn alone(&self, severity: &str, kind: &str, words: &[&str]) -> &Value {
        assert_eq!(self.findings().len(), 1, "{:#}", self.json);
        assert_eq!(self.status, i32::from(severity == "problem"), "{:#}", self.json);
        self.only(severity, kind, words)
    }
}

/// A finding has the form of docs/check.md, and its kind has a chapter there.
#[track_caller]
fn is_documented(finding: &Value) {
    let pages = include_str!("../../docs/check.md");
    let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["fix", "kind", "place", "problem", "severity"]);
    let heading = format!("### {}\n", finding["kind"].as_str().unwrap());
    assert!(pages.contains(&heading), "docs/check.md has no chapter {heading}");
    assert!(matches!(finding["severity"].as_str(), Some("problem" | "note")), "{finding:#}");
    assert!(finding["problem"].is_string(), "{finding:#}");
    let place = finding["place"].as_object();
    let known = ["file", "line", "column", "variable", "interface", "family", "table", "chain", "sysctl"];
    assert!(place.is_none_or(|place| place.keys().all(|key| known.contains(&key.as_str()))), "{finding:#}");
}

/// Does what a finding says, in a shell.
#[track_caller]
pub fn put_right(lab: &Lab, finding: &Value) {
    let commands = finding["fix"].as_array().unwrap_or_else(|| panic!("commands: {finding:#}"));
    for command in commands {
        let command = command.as_str().unwrap().trim_start_matches("sudo ");
        // Whoever types it sees the difference, and says yes.
        match command {
            "kvmnet apply" => drop(Cli::new(&lab.host, &["apply", "--yes"]).run().ok()),
            _ => drop(lab.host.run(command)),
        }
    }
}

/// Where a finding is, in a file.
pub fn line(finding: &Value) -> (Option<u64>, Option<u64>) {
    (finding["place"]["line"].as_u64(), finding["place"]["column"].as_u64())
}
