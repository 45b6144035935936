//! A small table, as aligned text and as Markdown.

use std::fmt;

use crate::{Result, check};

/// Rows of text under headings. The first column is set to the left, the others to the right.
///
/// ```
/// # fn main() -> musicot_eval::Result<()> {
/// let mut table = musicot_eval::Table::new(["Measure", "Value"]);
/// table.row(["chroma", "0.95"])?.row(["onset F1", "0.8"])?;
/// assert_eq!(table.to_string(), "Measure   Value\nchroma     0.95\nonset F1    0.8\n");
/// assert_eq!(table.to_markdown(), "| Measure | Value |\n|---|---:|\n| chroma | 0.95 |\n| onset F1 | 0.8 |\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        Self { headings: headings.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`crate::Error::LengthMismatch`] unless there is one cell per heading.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<&mut Self> {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        check::same_len("table row: cells", cells.len(), self.headings.len())?;
        self.rows.push(cells);
        Ok(self)
    }

    /// The table in GitHub's Markdown; pipes in cells are escaped and line breaks become spaces.
    pub fn to_markdown(&self) -> String {
        let rule =
            self.headings.iter().enumerate().map(|(column, _)| if column == 0 { "---|" } else { "---:|" });
        let mut lines = vec![markdown(&self.headings), format!("|{}", rule.collect::<String>())];
        lines.extend(self.rows.iter().map(|row| markdown(row)));
        lines.join("\n") + "\n"
    }
}

fn markdown(cells: &[String]) -> String {
    let cells: Vec<String> =
        cells.iter().map(|cell| cell.replace('|', "\\|").replace(['\n', '\r'], " ")).collect();
    format!("| {} |", cells.join(" | "))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = || std::iter::once(&self.headings).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        for row in rows() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_by_characters_and_escaped() {
        let mut table = Table::new(["a", "b", "c"]);
        table.row(["Fréchet", "1", "x|y"]).unwrap().row(["é", "100", "line\nbreak"]).unwrap();
        let text = table.to_string();
        assert!(text.starts_with("a          b           c\nFréchet    1"), "{text}");
        assert!(table.to_markdown().contains("| Fréchet | 1 | x\\|y |\n| é | 100 | line break |\n"));
        assert!(table.row(["too few"]).is_err());
        assert_eq!(Table::new(["only"]).to_string(), "only\n");
    }
}
