//! The numbers of a CSV file, collected line by line.

use std::str::FromStr;

use bn_tensor::Scalar;
use csv::ByteRecord;
use ndarray::Array2;

use super::{Column, TargetColumns};
use crate::{
    dataset::Dataset,
    error::{Error, Result},
    limit::{check_limit, reserve},
};

/// What a column has.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Input,
    Label,
    Value(usize), // of this output
}

pub(super) struct Table<T> {
    roles: Vec<Role>,   // of each column
    outputs: usize,     // E; 0 for labels
    limit: u64,         // bytes
    inputs: Vec<T>,     // (N, D)
    values: Vec<T>,     // (N, E)
    labels: Vec<usize>, // (N), or none
    rows: usize,
}

impl<T: Scalar> Table<T> {
    /// An empty table with as many columns as the first record, which may be the header.
    pub(super) fn new(
        targets: &TargetColumns,
        has_header: bool,
        first: &ByteRecord,
        limit: u64,
    ) -> Result<Self> {
        let names = has_header.then_some(first);
        let mut roles = vec![Role::Input; first.len()];
        let mut assign = |column: &Column, role| {
            let index = find(column, names, first.len())?;
            if roles[index] != Role::Input {
                return Err(Error::Setting {
                    what: "a column of the targets",
                    value: format!("{column:?} for the second time"),
                    must_be: "another one; name each column once".to_owned(),
                });
            }
            roles[index] = role;
            Ok(())
        };
        let (targets, outputs) = match targets {
            TargetColumns::Label(column) => {
                assign(column, Role::Label)?;
                (1, 0)
            }
            TargetColumns::Values(columns) => {
                for (output, column) in columns.iter().enumerate() {
                    assign(column, Role::Value(output))?;
                }
                (columns.len(), columns.len())
            }
        };
        if targets == 0 || targets == roles.len() {
            return Err(Error::Setting {
                what: "the number of target columns",
                value: targets.to_string(),
                must_be: format!(
                    "at least 1 and below {}, the columns of the file",
                    roles.len()
                ),
            });
        }
        Ok(Table {
            roles,
            outputs,
            limit,
            inputs: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            rows: 0,
        })
    }

    /// Adds a line.
    pub(super) fn add(&mut self, record: &ByteRecord) -> Result<()> {
        let line = record.position().map_or(0, csv::Position::line);
        let columns = self.roles.len();
        if record.len() != columns {
            return Err(Error::Csv {
                line,
                column: record.len().min(columns) + 1,
                problem: format!(
                    "the line has {} fields, the first line {columns}",
                    record.len()
                ),
            });
        }
        self.rows += 1;
        check_limit((self.rows * columns * size_of::<T>()) as u64, self.limit)?;
        reserve(&mut self.inputs, columns)?;
        reserve(&mut self.values, self.outputs)?;
        let start = self.values.len();
        self.values.resize(start + self.outputs, T::zero());
        for (column, (field, role)) in record.iter().zip(&self.roles).enumerate() {
            let not = |expected: &str| Error::Csv {
                line,
                column: column + 1,
                problem: format!("`{}` is not {expected}", shortened(field)),
            };
            let number = || {
                let number = parse(field).map(T::from_f64).filter(|x| x.is_finite());
                number.ok_or_else(|| not("a finite number"))
            };
            match *role {
                Role::Input => self.inputs.push(number()?),
                Role::Value(output) => self.values[start + output] = number()?,
                Role::Label => self.labels.push(
                    parse(field)
                        .ok_or_else(|| not("a label, which is a whole number, at least 0"))?,
                ),
            }
        }
        Ok(())
    }

    pub(super) fn into_dataset(self) -> Result<Dataset<T>> {
        let bug = "each line has as many values";
        let d = self
            .roles
            .iter()
            .filter(|&&role| role == Role::Input)
            .count();
        let inputs = Array2::from_shape_vec((self.rows, d), self.inputs).expect(bug);
        if self.outputs == 0 {
            return Dataset::from_arrays(inputs, self.labels);
        }
        let values = Array2::from_shape_vec((self.rows, self.outputs), self.values).expect(bug);
        Dataset::with_values(inputs, values, (1, 1, d))
    }
}

/// The position of the column.
fn find(column: &Column, names: Option<&ByteRecord>, columns: usize) -> Result<usize> {
    let refused = |value: String, must_be: String| Error::Setting {
        what: "a column of the targets",
        value,
        must_be,
    };
    match (column, names) {
        (&Column::Index(index), _) if index < columns => Ok(index),
        (&Column::Index(index), _) => Err(refused(
            index.to_string(),
            format!("below {columns}, the columns of the file"),
        )),
        (Column::Name(name), None) => Err(refused(
            format!("`{name}`"),
            "an index, because the file has no header".to_owned(),
        )),
        (Column::Name(name), Some(names)) => {
            let found = names
                .iter()
                .position(|field| field.trim_ascii() == name.as_bytes());
            found.ok_or_else(|| {
                let listed: Vec<String> = names.iter().take(20).map(shortened).collect();
                refused(
                    format!("`{name}`"),
                    format!("a name in the header: {}", listed.join(", ")),
                )
            })
        }
    }
}

fn parse<N: FromStr>(field: &[u8]) -> Option<N> {
    str::from_utf8(field).ok()?.trim().parse().ok()
}

/// A field for messages.
fn shortened(field: &[u8]) -> String {
    String::from_utf8_lossy(field).chars().take(40).collect()
}
