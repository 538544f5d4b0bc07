//! Tables of numbers in text files.

mod record_limit;
mod table;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bn_tensor::Scalar;
use csv::{ByteRecord, ReaderBuilder};

use crate::{
    dataset::Dataset,
    error::{Error, Result},
    limit::DEFAULT_LIMIT,
};
use record_limit::RecordLimit;
use table::Table;

/// A column of a CSV file: its name in the header, or its position, counted from 0.
///
/// ```
/// use bn_data::Column;
/// assert_eq!(Column::from("species"), Column::Name("species".to_owned()));
/// assert_eq!(Column::from(4), Column::Index(4));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// The column of this name in the header.
    Name(String),
    /// The column at this position, counted from 0.
    Index(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Column::Name(name.to_owned())
    }
}

impl From<usize> for Column {
    fn from(index: usize) -> Self {
        Column::Index(index)
    }
}

/// Reads a table of numbers from a CSV file: a row for each line, targets in some columns and the values
/// of the input in all others.
///
/// By default the first line is a header and fields are separated by commas. Fields may be quoted, and
/// spaces around a number are ignored. Empty lines are skipped; an error in the line after them names the
/// first of them. Labels are whole numbers, at least 0; all other fields are finite
/// numbers, such as `-1.5e3`. The values may take 1 GiB of memory; [`CsvReader::limit`] sets another limit. Whatever the
/// file says, reading takes at most 100 bytes for each of its bytes, and 64 KiB.
///
/// ```
/// use bn_data::{CsvReader, Dataset, Error};
///
/// # fn main() -> Result<(), Error> {
/// let text = "length,width,species\n5.1,3.5,0\n6.2,2.9,1\n";
/// let data: Dataset = CsvReader::with_labels("species").from_reader(text.as_bytes())?;
/// assert_eq!(data.images(), ndarray::array![[5.1, 3.5], [6.2, 2.9]]);
/// assert_eq!(data.labels(), [0, 1]);
///
/// let text = "1;10;0.5\n2;20;x\n";
/// let reader = CsvReader::with_values([2]).header(false).delimiter(b';');
/// let error = reader.from_reader::<f64>(text.as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 3: `x` is not a finite number");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CsvReader {
    targets: TargetColumns,
    header: bool,
    delimiter: u8,
    limit: u64,
}

/// Which columns are the targets.
#[derive(Clone, Debug)]
enum TargetColumns {
    Label(Column),
    Values(Vec<Column>),
}

impl CsvReader {
    /// Creates a reader of files whose labels are in this column.
    #[must_use]
    pub fn with_labels(column: impl Into<Column>) -> Self {
        Self::new(TargetColumns::Label(column.into()))
    }

    /// Creates a reader of files whose targets are the values in these columns, in this order.
    #[must_use]
    pub fn with_values<C: Into<Column>>(columns: impl IntoIterator<Item = C>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self::new(TargetColumns::Values(columns))
    }

    fn new(targets: TargetColumns) -> Self {
        CsvReader {
            targets,
            header: true,
            delimiter: b',',
            limit: DEFAULT_LIMIT,
        }
    }

    /// Sets whether the first line is a header.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// Sets the byte between two fields, such as `b';'` or `b'\t'`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Sets how many bytes the values may take.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Reads the file at `path`.
    ///
    /// The shape of a row is `(1, 1, D)`, and the number of classes is the largest label plus 1.
    ///
    /// # Errors
    ///
    /// [`Error::InFile`] around [`Error::Csv`], with line and column, for a field that is not a number or a
    /// line with more or fewer fields than the first; [`Error::Setting`] for a column that does not exist
    /// or is named twice, or if no column is left for the input; [`Error::Empty`] for an empty file;
    /// [`Error::OverLimit`]; [`Error::Io`], also for a line of more than 16 MiB.
    pub fn open<T: Scalar>(&self, path: impl AsRef<Path>) -> Result<Dataset<T>> {
        let path = path.as_ref();
        let read = || self.from_reader(File::open(path)?);
        read().map_err(|problem| problem.in_file(path))
    }

    /// Reads a stream up to its end.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without a file's name.
    pub fn from_reader<T: Scalar>(&self, reader: impl Read) -> Result<Dataset<T>> {
        let mut lines = ReaderBuilder::new()
            .has_headers(false) // a header is read like any other line
            .flexible(true) // the table checks the number of fields
            .delimiter(self.delimiter)
            .from_reader(RecordLimit::new(reader));
        let mut record = ByteRecord::new();
        if !read_record(&mut lines, &mut record)? {
            return Err(Error::Empty { op: "CsvReader" });
        }
        let mut table = Table::new(&self.targets, self.header, &record, self.limit)?;
        if !self.header {
            table.add(&record)?;
        }
        while read_record(&mut lines, &mut record)? {
            table.add(&record)?;
        }
        table.into_dataset()
    }
}

/// Reads the next record; `false` at the end of the file.
fn read_record<R: Read>(
    lines: &mut csv::Reader<RecordLimit<R>>,
    record: &mut ByteRecord,
) -> Result<bool> {
    lines.get_mut().restart();
    let read = lines.read_byte_record(record);
    Ok(read.map_err(io::Error::from)?)
}
