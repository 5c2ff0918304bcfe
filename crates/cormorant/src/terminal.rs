//! What is printed: pages of text and tables that fit the terminal, and nothing of the data's own making.
//!
//! Captures, file names and labels are written by others. Every piece of text passes [`shown`] on its way out, so
//! that no control, escape or direction-changing character of theirs reaches the terminal. Colour is added after
//! that, only on a terminal, and never when `NO_COLOR` is set.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

/// Columns of a page that goes to a file or a pipe, or to a terminal that does not know its width.
const PAGE_COLUMNS: usize = 80;
const NARROWEST: usize = 40;
const WIDEST: usize = 120;

const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const ALIGNED: TableStyle = TableStyle::new();

/// What a piece of text means; how it looks follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Ordinary text.
    Plain,
    /// What the eye should find first.
    Strong,
    /// What may be skipped.
    Faint,
    /// As it should be.
    Good,
    /// Needs attention.
    Warn,
    /// Wrong, missed, malicious.
    Bad,
}

/// A piece of text with its meaning.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    tone: Tone,
    text: String,
}

/// `text` in `tone`.
pub(crate) fn span(tone: Tone, text: impl Into<String>) -> Span {
    Span { tone, text: text.into() }
}

impl<T: Into<String>> From<T> for Span {
    fn from(text: T) -> Self {
        span(Tone::Plain, text)
    }
}

/// How wide a page is and whether it may be coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Columns that fit.
    pub(crate) columns: usize,
    /// Whether it goes to a terminal that may be coloured.
    pub(crate) colour: bool,
    /// Whether it goes to a terminal at all.
    pub(crate) terminal: bool,
}

impl Look {
    /// The look of standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    /// The look of standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    fn new(terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let columns = if terminal { terminal_columns() } else { PAGE_COLUMNS };
        Self { columns, colour: terminal && !unwanted && !dumb, terminal }
    }

    fn paint(self, piece: &Span) -> String {
        let text = shown(&piece.text);
        match piece.tone.code() {
            Some(code) if self.colour => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.into_owned(),
        }
    }
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// Which side a column of a table leans to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction: a header, then rows of as many cells.
pub(crate) struct Grid {
    header: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Span>>,
}

impl Grid {
    /// A table of these columns. A header that starts with `>` leans right.
    pub(crate) fn new(header: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(rest) => (rest, Side::Right),
            None => (*name, Side::Left),
        };
        Self { header: header.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Span; N]) {
        debug_assert_eq!(N, self.header.len(), "a cell for each column");
        self.rows.push(cells.into());
    }
}

/// Text under construction. Printed in one piece, so that a verb that fails prints no half page.
pub(crate) struct Page {
    look: Look,
    text: String,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(look: Look) -> Self {
        Self { look, text: String::new() }
    }

    /// A line of its own above what it names, after a blank line unless it is the first.
    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        if !self.text.is_empty() {
            self.blank();
        }
        self.line([span(Tone::Strong, text)]);
    }

    /// One line; it is not wrapped.
    pub(crate) fn line(&mut self, pieces: impl IntoIterator<Item = Span>) {
        for piece in pieces {
            self.text += &self.look.paint(&piece);
        }
        self.text.push('\n');
    }

    /// Running text, wrapped to the page and indented.
    pub(crate) fn prose(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in wrapped(&shown(text), self.look.columns.saturating_sub(indent)) {
            self.line([" ".repeat(indent).into(), span(tone, line)]);
        }
    }

    /// Spans that stay in place, and running text beside them, wrapped under its own start.
    pub(crate) fn hanging<const N: usize>(&mut self, lead: [Span; N], text: &str) {
        let indent: usize = lead.iter().map(|piece| piece.text.chars().count()).sum();
        let mut lines = wrapped(&shown(text), self.look.columns.saturating_sub(indent)).into_iter();
        let first = Span::from(lines.next().unwrap_or_default());
        self.line(lead.into_iter().chain([first]));
        lines.for_each(|line| self.line([" ".repeat(indent).into(), line.into()]));
    }

    /// Names and values in two columns, the values wrapped.
    pub(crate) fn pairs(&mut self, pairs: &[(&str, String)]) {
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in pairs {
            self.hanging([span(Tone::Faint, format!("  {name:<width$}  "))], value);
        }
    }

    /// An empty line.
    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A table that fits the page: ruled on a terminal, aligned text elsewhere.
    pub(crate) fn grid(&mut self, grid: &Grid) {
        let mut table = Table::new();
        table.load_style(if self.look.terminal { RULED } else { ALIGNED });
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.look.columns as u16);
        if self.look.colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        table.set_header(grid.header.iter().map(|(name, side)| header_cell(name, *side)));
        for row in &grid.rows {
            let cells = row.iter().zip(&grid.header).map(|(piece, (_, side))| cell(piece, *side));
            table.add_row(cells);
        }
        for line in table.lines() {
            self.text += line.trim_end();
            self.text.push('\n');
        }
    }

    /// The page as text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// Writes to standard output. A reader that has gone away is no failure: it has seen enough.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Writes to standard error; there is nobody to tell when that fails.
pub(crate) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `text` with every character that could move the cursor, hide or reorder text replaced by its escape.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(deceives) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if deceives(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Like [`shown`], but lines stay lines: for messages of our own that hold names given by others.
pub(crate) fn shown_lines(text: &str) -> String {
    text.split('\n').map(shown).collect::<Vec<_>>().join("\n")
}

/// A JSON document with the same characters as `\u` escapes. They can only stand inside its strings.
pub(crate) fn shown_json(json: &str) -> String {
    let mut units = [0; 2];
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        if deceives(c) && c != '\n' {
            c.encode_utf16(&mut units).iter().for_each(|unit| text += &format!("\\u{unit:04x}"));
        } else {
            text.push(c);
        }
        text
    })
}

/// Control characters (C0, DEL, C1), line and paragraph separators, direction marks and overrides (Unicode TR 9),
/// invisible characters, and tags.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("one line at least");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn cell(piece: &Span, side: Side) -> Cell {
    let cell = Cell::new(shown(&piece.text)).set_alignment(alignment(side));
    match piece.tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Warn => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
    }
}

fn header_cell(name: &str, side: Side) -> Cell {
    Cell::new(name).set_alignment(alignment(side)).add_attribute(Attribute::Dim)
}

fn alignment(side: Side) -> CellAlignment {
    match side {
        Side::Left => CellAlignment::Left,
        Side::Right => CellAlignment::Right,
    }
}

/// The terminal's width within bounds; a terminal that does not know has 80.
fn terminal_columns() -> usize {
    let columns = Table::new().width().filter(|columns| *columns > 0).map_or(PAGE_COLUMNS, usize::from);
    columns.clamp(NARROWEST, WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { columns: 40, colour: false, terminal: false };

    #[test]
    fn nothing_of_the_data_reaches_the_terminal_raw() {
        let hostile = "a\x1b[31mred\u{202e}evil\u{200b}\u{9b}\r\n\t\u{7f}\u{e0041}";
        let mut page = Page::new(PLAIN);
        page.heading(hostile);
        page.line([hostile.into()]);
        page.prose(2, Tone::Plain, hostile);
        page.pairs(&[("name", hostile.to_owned())]);
        let mut grid = Grid::new(&["name", ">count"]);
        grid.row([hostile.into(), "1".into()]);
        page.grid(&grid);
        let text = page.into_text();
        assert!(!text.chars().any(|c| c != '\n' && deceives(c)), "{text:?}");
        assert!(text.contains(r"\u{1b}[31mred\u{202e}evil"), "{text}");
    }

    #[test]
    fn json_keeps_its_meaning_when_escaped() {
        let value = serde_json::json!({ "name": "x\u{202e}\u{9b}\u{e0041}\u{7f}é" });
        let escaped = shown_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!escaped.chars().any(|c| c != '\n' && deceives(c)), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn colour_wraps_text_that_is_already_safe() {
        let look = Look { colour: true, ..PLAIN };
        assert_eq!(look.paint(&span(Tone::Bad, "x\x1b[0m")), "\x1b[31mx\\u{1b}[0m\x1b[0m");
        assert_eq!(look.paint(&"x".into()), "x");
    }

    #[test]
    fn tables_and_prose_fit_the_page() {
        let mut page = Page::new(PLAIN);
        let mut grid = Grid::new(&["who", ">packets", "why"]);
        grid.row([
            "2001:db8::1".into(),
            "12".into(),
            "a reason that is much longer than the page is wide".into(),
        ]);
        page.grid(&grid);
        page.prose(4, Tone::Plain, &"word ".repeat(40));
        let text = page.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
    }
}
