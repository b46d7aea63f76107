//! Text for a terminal: spans that flow within 80 columns, and colours where they are wanted.
//!
//! Nothing is cut: what is longer than a line goes on in the next one. Commands are not broken: they are there to be
//! copied.

use super::printable;

/// The width that every terminal has.
const WIDTH: usize = 80;

/// How a span stands out: an escape sequence (ECMA-48, SGR), or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style(&'static str);

impl Style {
    pub const PLAIN: Self = Self("");
    /// A name to find one's way by.
    pub const NAME: Self = Self("\x1b[1m");
    pub const GOOD: Self = Self("\x1b[32m");
    pub const WARNING: Self = Self("\x1b[33m");
    pub const PROBLEM: Self = Self("\x1b[1;31m");
}

/// A piece of text that stays on one line if it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    text: String,
    style: Style,
}

impl Span {
    /// Escapes what a terminal would act on.
    pub fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: printable(text.as_ref()), style }
    }

    /// With a comma or a colon after it.
    pub fn and(mut self, mark: char) -> Self {
        self.text.push(mark);
        self
    }
}

impl<T: AsRef<str>> From<T> for Span {
    fn from(text: T) -> Self {
        Self::new(text, Style::PLAIN)
    }
}

/// The words of a text.
pub fn words(text: impl AsRef<str>) -> Vec<Span> {
    text.as_ref().split_whitespace().map(Span::from).collect()
}

/// Items with commas between them.
pub fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Span> {
    let mut spans: Vec<Span> = items.into_iter().map(Span::from).collect();
    let last = spans.len().saturating_sub(1);
    spans.iter_mut().take(last).for_each(|span| span.text.push(','));
    spans
}

/// The text so far.
#[derive(Debug, Default)]
pub struct Text {
    text: String,
    color: bool,
    /// How much of its last line is written.
    column: usize,
}

impl Text {
    pub fn new(color: bool) -> Self {
        Self { color, ..Self::default() }
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
        self.column = 0;
    }

    /// A paragraph after `label`, which is at `indent`; the spans begin at column `hang`, in each line.
    pub fn paragraph(
        &mut self,
        indent: usize,
        label: impl Into<Span>,
        hang: usize,
        spans: impl IntoIterator<Item = Span>,
    ) {
        self.blanks(indent);
        self.put(&label.into());
        let mut blanks = hang.saturating_sub(self.column).max(usize::from(self.column > 0));
        for span in spans {
            let length = span.text.chars().count();
            if self.column + blanks + length > WIDTH && self.column > hang {
                self.next_line(hang);
            } else {
                self.blanks(blanks);
            }
            self.put_long(&span, hang);
            blanks = 1;
        }
        self.gap();
    }

    /// Commands after `label`, which is at `indent`, each on one line.
    pub fn commands(&mut self, indent: usize, label: &str, commands: &[String]) {
        let blank = " ".repeat(label.len());
        let labels = std::iter::once(label).chain(std::iter::repeat(blank.as_str()));
        for (label, command) in labels.zip(commands) {
            self.blanks(indent);
            self.text.push_str(&format!("{label} {}", printable(command)));
            self.gap();
        }
    }

    pub fn finish(self) -> String {
        self.text
    }

    /// Puts a word that may be longer than a line.
    fn put_long(&mut self, span: &Span, hang: usize) {
        let letters: Vec<char> = span.text.chars().collect();
        let room = WIDTH.saturating_sub(self.column).max(1);
        let (first, rest) = letters.split_at(room.min(letters.len()));
        let piece = |letters: &[char]| Span { text: letters.iter().collect(), style: span.style };
        self.put(&piece(first));
        for line in rest.chunks(WIDTH.saturating_sub(hang).max(1)) {
            self.next_line(hang);
            self.put(&piece(line));
        }
    }

    fn next_line(&mut self, hang: usize) {
        self.gap();
        self.blanks(hang);
    }

    fn blanks(&mut self, count: usize) {
        self.text.extend(std::iter::repeat_n(' ', count));
        self.column += count;
    }

    fn put(&mut self, Span { text, style: Style(code) }: &Span) {
        match self.color && !code.is_empty() {
            true => self.text.extend([*code, text.as_str(), "\x1b[0m"]),
            false => self.text.push_str(text),
        }
        self.column += text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(color: bool, spans: impl IntoIterator<Item = Span>) -> String {
        let mut text = Text::new(color);
        text.paragraph(2, Span::new("taps", Style::NAME), 10, spans);
        text.finish()
    }

    #[test]
    fn words_flow_and_nothing_is_lost() {
        let names: Vec<String> = (0..40).map(|number| format!("vif{number}.0")).collect();
        let text = text(false, list(&names));
        assert!(text.starts_with("  taps    vif0.0, vif1.0,"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("          vif")), "{text}");
        assert_eq!(text.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), names.join(", "));
    }

    #[test]
    fn a_word_longer_than_a_line_goes_on_in_the_next() {
        let long = "x".repeat(200);
        let text = text(false, [Span::new(&long, Style::PLAIN)]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches('x').count(), 200);
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let spans = || [Span::new("up", Style::GOOD).and(',')];
        assert_eq!(text(false, spans()), "  taps    up,\n");
        assert_eq!(text(true, spans()), "  \x1b[1mtaps\x1b[0m    \x1b[32mup,\x1b[0m\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let text = text(true, [Span::new("a\x1b[2J\u{9b}1m\u{202e}\nb", Style::PLAIN)]);
        assert_eq!(text, "  \x1b[1mtaps\x1b[0m    a\\u{1b}[2J\\u{9b}1m\\u{202e}\\nb\n");
    }

    #[test]
    fn commands_are_not_broken() {
        let mut text = Text::new(true);
        let long = "x ".repeat(100);
        text.commands(4, "fix:", &[long.clone(), "a\x1bb".to_owned()]);
        assert_eq!(text.finish(), format!("    fix: {long}\n         a\\u{{1b}}b\n"));
    }
    #[test]
    fn a_paragraph_after_commands_begins_at_the_margin() {
        let mut text = Text::new(false);
        text.commands(4, "fix:", &["ip link".to_owned()]);
        text.paragraph(0, "", 0, words("All right."));
        assert_eq!(text.finish(), "    fix: ip link\nAll right.\n");
    }
}
