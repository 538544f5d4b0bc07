//! A table as text and as Markdown. The first column is aligned to the left, the others to the right.

use super::machine::header;
use std::{fs, io, path::Path};

pub(crate) struct Table {
    rows: Vec<Vec<String>>, // the heads first
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { rows: vec![heads] }
    }

    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(crate) fn text(&self) -> String {
        self.lines().map(|cells| cells.join("   ") + "\n").collect()
    }

    pub(crate) fn markdown(&self) -> String {
        let mut lines: Vec<String> = self
            .lines()
            .map(|cells| format!("| {} |\n", cells.join(" | ")))
            .collect();
        let rule = self.widths().map(|width| "-".repeat(width));
        // All columns except the first are aligned to the right.
        let rule = rule.collect::<Vec<_>>().join(":|-");
        lines.insert(1, format!("|-{rule}:|\n").replacen(":|", "-|", 1));
        lines.concat()
    }

    /// Writes the table to `path` with the extensions `md` and `txt`, after a line that says what the
    /// measurements depend on.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        for (ending, table) in [("md", self.markdown()), ("txt", self.text())] {
            fs::write(
                path.with_extension(ending),
                format!("{}\n\n{table}\n", header()),
            )?;
        }
        Ok(())
    }

    /// The rows, with each cell padded to the width of its column.
    fn lines(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(|row| {
            let cells = row.iter().zip(self.widths()).enumerate();
            cells
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect()
        })
    }

    fn widths(&self) -> impl Iterator<Item = usize> {
        (0..self.rows[0].len()).map(|column| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
    }
}
