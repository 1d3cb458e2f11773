//! Tables for people: columns as wide as they need to be, numbers to the right.

use std::fmt::Write;

/// Rows of text under a head.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell.into())).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines of text, with the head in bold on a terminal that has colours. The last
    /// column is cut where lines become longer than `limit`, but not to less than [`LEAST`].
    pub(crate) fn render(&self, bold: bool, limit: usize) -> String {
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let columns = self.head.len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| cell(row, column).chars().count());
            cells.chain([self.head[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|column| {
                let mut cells = self
                    .rows
                    .iter()
                    .map(|row| cell(row, column))
                    .filter(|c| !c.is_empty())
                    .peekable();
                cells.peek().is_some() && cells.all(|text| text.parse::<f64>().is_ok())
            })
            .collect();
        let before: usize = widths.iter().take(columns.saturating_sub(1)).map(|w| w + 2).sum();
        let room = limit.saturating_sub(before).max(LEAST);
        let line = |row: &[String]| {
            let mut text = String::new();
            for column in 0..columns {
                let (mut content, mut width) = (cell(row, column), widths[column]);
                if column + 1 == columns {
                    content = shortened(content, room);
                    width = width.min(room);
                }
                // Writing to a String cannot fail.
                let _ = if numeric[column] {
                    write!(text, "{content:>width$}  ")
                } else {
                    write!(text, "{content:<width$}  ")
                };
            }
            text.trim_end().to_owned()
        };
        let mut text = line(&self.head);
        if bold {
            text = format!("\u{1b}[1m{text}\u{1b}[0m");
        }
        for row in &self.rows {
            text.push('\n');
            text.push_str(&line(row));
        }
        text.push('\n');
        text
    }
}

/// How much of the last column is shown at least.
const LEAST: usize = 40;

/// A text of so many characters at most.
fn shortened(text: String, room: usize) -> String {
    match text.char_indices().nth(room) {
        None => text,
        Some(_) => {
            let kept: String = text.chars().take(room.saturating_sub(2)).collect();
            format!("{} \u{2026}", kept.trim_end())
        }
    }
}

/// A name from elsewhere must not move the cursor or break a row.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(["circuit", "pulses"]);
        table.row(["a.bin", "2000"]);
        table.row(["longer.bin", "12"]);
        assert_eq!(
            table.render(false, 80),
            "circuit     pulses\na.bin         2000\nlonger.bin      12\n"
        );
    }

    #[test]
    fn only_the_last_column_is_cut() {
        let mut table = Table::new(["circuit", "remark"]);
        table.row(["ring.bin", &"loop ".repeat(20)]);
        let text = table.render(false, 61);
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row.chars().count(), 61);
        assert!(row.starts_with("ring.bin  loop") && row.ends_with("loop \u{2026}"), "{row}");
        // There is no use in a column of a few letters.
        let narrow = table.render(false, 10);
        assert!(narrow.lines().nth(1).unwrap().chars().count() > LEAST, "{narrow}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(["name"]);
        table.row(["a\u{1b}[2Jb\nc"]);
        assert_eq!(table.render(false, 80), "name\na [2Jb c\n");
    }
}
