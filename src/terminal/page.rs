//! A page of text for a terminal: words that flow within 80 columns, and colours where they are wanted.
//!
//! Nothing is cut: what is longer than a line goes on in the next one. Commands are not broken: they are there to be
//! copied.

use super::printable;

/// The width that every terminal has.
pub const WIDTH: usize = 80;

/// How a word stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Not at all.
    Plain,
    /// A name to find one's way by.
    Name,
    /// As it should be.
    Good,
    /// Worth a second look.
    Warning,
    /// Wrong.
    Problem,
}

impl Look {
    /// The escape sequence (ECMA-48, SGR).
    fn code(self) -> &'static str {
        match self {
            Look::Plain => "",
            Look::Name => "\x1b[1m",
            Look::Good => "\x1b[32m",
            Look::Warning => "\x1b[33m",
            Look::Problem => "\x1b[1;31m",
        }
    }
}

/// A piece of text that stays on one line if it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    text: String,
    look: Look,
}

impl Word {
    /// A word; what a terminal would obey is written out.
    pub fn new(text: impl AsRef<str>, look: Look) -> Self {
        Self { text: printable(text.as_ref()), look }
    }

    /// The same with a comma or a colon behind it.
    pub fn and(mut self, mark: char) -> Self {
        self.text.push(mark);
        self
    }
}

/// Words that are not coloured.
pub fn plain(text: &str) -> impl Iterator<Item = Word> + '_ {
    text.split_whitespace().map(|word| Word::new(word, Look::Plain))
}

/// Things one behind the other, with commas between.
pub fn list(items: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Word> {
    let mut words: Vec<Word> = items.into_iter().map(|item| Word::new(item, Look::Plain)).collect();
    let last = words.len().saturating_sub(1);
    words.iter_mut().take(last).for_each(|word| word.text.push(','));
    words
}

/// The text so far.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    color: bool,
}

impl Page {
    /// An empty page.
    pub fn new(color: bool) -> Self {
        Self { text: String::new(), color }
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A paragraph behind `label`, which stands at `indent`; the words begin at column `hang`, in each line.
    pub fn paragraph(
        &mut self,
        indent: usize,
        label: Word,
        hang: usize,
        words: impl IntoIterator<Item = Word>,
    ) {
        let mut column = indent + label.text.chars().count();
        self.text.push_str(&" ".repeat(indent));
        self.put(&label);
        let mut is_first = true;
        for word in words {
            let blanks = if is_first { hang.saturating_sub(column).max(usize::from(column > 0)) } else { 1 };
            let length = word.text.chars().count();
            if column + blanks + length > WIDTH && column > hang {
                self.text.push('\n');
                self.text.push_str(&" ".repeat(hang));
                column = hang;
            } else {
                self.text.push_str(&" ".repeat(blanks));
                column += blanks;
            }
            column = self.put_long(&word, column, hang);
            is_first = false;
        }
        self.text.push('\n');
    }

    /// Commands behind `label`, which stands at `indent`, each on one line.
    pub fn commands(&mut self, indent: usize, label: &str, commands: &[String]) {
        let blank = " ".repeat(label.len());
        for (number, command) in commands.iter().enumerate() {
            let label = if number == 0 { label } else { &blank };
            self.text.push_str(&format!("{}{label} {}\n", " ".repeat(indent), printable(command)));
        }
    }

    /// The finished text.
    pub fn finish(self) -> String {
        self.text
    }

    /// Puts a word that may be longer than a line; returns the column behind it.
    fn put_long(&mut self, word: &Word, mut column: usize, hang: usize) -> usize {
        let letters: Vec<char> = word.text.chars().collect();
        let mut rest = letters.as_slice();
        loop {
            let room = WIDTH.saturating_sub(column).max(1);
            let (line, more) = rest.split_at(room.min(rest.len()));
            self.put(&Word { text: line.iter().collect(), look: word.look });
            if more.is_empty() {
                return column + line.len();
            }
            self.text.push('\n');
            self.text.push_str(&" ".repeat(hang));
            column = hang;
            rest = more;
        }
    }

    fn put(&mut self, word: &Word) {
        let code = if self.color { word.look.code() } else { "" };
        self.text.push_str(code);
        self.text.push_str(&word.text);
        if !code.is_empty() {
            self.text.push_str("\x1b[0m");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(color: bool, words: impl IntoIterator<Item = Word>) -> String {
        let mut page = Page::new(color);
        page.paragraph(2, Word::new("taps", Look::Name), 10, words);
        page.finish()
    }

    #[test]
    fn words_flow_and_nothing_is_lost() {
        let names: Vec<String> = (0..40).map(|number| format!("vif{number}.0")).collect();
        let text = page(false, list(&names));
        assert!(text.starts_with("  taps    vif0.0, vif1.0,"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("          vif")), "{text}");
        assert_eq!(text.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), names.join(", "));
    }

    #[test]
    fn a_word_longer_than_a_line_goes_on_in_the_next() {
        let long = "x".repeat(200);
        let text = page(false, [Word::new(&long, Look::Plain)]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches('x').count(), 200);
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let words = || [Word::new("up", Look::Good).and(',')];
        assert_eq!(page(false, words()), "  taps    up,\n");
        assert_eq!(page(true, words()), "  \x1b[1mtaps\x1b[0m    \x1b[32mup,\x1b[0m\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let text = page(true, [Word::new("a\x1b[2J\u{9b}1m\u{202e}\nb", Look::Plain)]);
        assert_eq!(text, "  \x1b[1mtaps\x1b[0m    a\\u{1b}[2J\\u{9b}1m\\u{202e}\\nb\n");
    }

    #[test]
    fn commands_are_not_broken() {
        let mut page = Page::new(true);
        let long = "x ".repeat(100);
        page.commands(4, "fix:", &[long.clone(), "a\x1bb".to_owned()]);
        assert_eq!(page.finish(), format!("    fix: {long}\n         a\\u{{1b}}b\n"));
    }
}
