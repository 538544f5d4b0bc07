//! What a subcommand prints.

use crate::error::Error;
use serde_json::Value;
use std::{
    fmt::Display,
    io::{self, Write},
    path::Path,
};

/// Where a report goes: text, or one JSON document, on standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// Prints a report, whose text is made only if it is wanted.
    pub(crate) fn report<D: Display>(
        self,
        json: &Value,
        text: impl FnOnce() -> D,
    ) -> Result<(), Error> {
        match self.json {
            true => print(&json),
            false => print(&text()),
        }
    }

    /// Prints a line that is not part of the result, unless it is not wanted.
    pub(crate) fn note(self, line: impl Display) -> Result<(), Error> {
        match self.json || self.quiet {
            true => Ok(()),
            false => print(&line),
        }
    }

    /// Whether progress is shown on standard error.
    pub(crate) fn progress(self) -> bool {
        !self.quiet
    }
}

fn print(what: &impl Display) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

/// Checks that a file can be written, before the work whose result it will hold.
pub(crate) fn check_writable(path: &Path) -> Result<(), Error> {
    let refuse = |source| Error::Output {
        path: path.to_owned(),
        source,
    };
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => {
            let reason = "it is not a regular file";
            return Err(refuse(io::Error::new(io::ErrorKind::InvalidInput, reason)));
        }
        Ok(metadata) if metadata.permissions().readonly() => {
            return Err(refuse(io::ErrorKind::PermissionDenied.into()));
        }
        _ => {}
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    tempfile::tempfile_in(folder).map_err(refuse)?;
    Ok(())
}

/// Writes a file, whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    bn_data::write_whole(path, |file| file.write_all(bytes)).map_err(|source| Error::Output {
        path: path.to_owned(),
        source,
    })
}

/// As in `1 epoch` and `20 epochs`.
pub(crate) fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

/// As in `97.50 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Lines of cells, each column as wide as its widest cell; the first is aligned to the left.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate();
        let line: String = cells
            .map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            })
            .collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
