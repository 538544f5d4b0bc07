//! Bytes as a CSV file, after one byte of options: the values of a data set, when written as text, are read as the same
//! data set.

#![no_main]

mod memory;
mod seeds;

use bn_data::{CsvReader, Dataset, Targets};
use bn_net::Scalar;
use libfuzzer_sys::fuzz_target;
use memory::Bound;
use std::fmt::Write;

/// As documented: a line of empty fields takes the most.
const BOUND: Bound = Bound {
    factor: 100,
    constant: 64 << 10,
};

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    let Some((&options, text)) = bytes.split_first() else {
        return;
    };
    let has_labels = options & 1 == 0;
    let targets = match (options >> 1 & 3, has_labels) {
        (0, true) => CsvReader::with_labels(0),
        (0, false) => CsvReader::with_values([0]),
        (1, true) => CsvReader::with_labels("y"),
        (1, false) => CsvReader::with_values(["y", "z"]),
        (_, true) => CsvReader::with_labels(1),
        (_, false) => CsvReader::with_values([2, 0]),
    };
    let delimiter = if options & 8 == 0 { b',' } else { b'\t' };
    let reader = targets.header(options & 16 == 0).delimiter(delimiter);
    if options & 32 == 0 {
        read::<f32>(&reader, text);
    } else {
        read::<f64>(&reader, text);
    }
});

fn read<T: Scalar>(reader: &CsvReader, text: &[u8]) {
    let Ok(data) = BOUND.check(text.len(), || reader.from_reader::<T>(text)) else {
        return;
    };
    assert!(data.images().iter().all(|x| x.is_finite()));
    if data.is_empty() {
        return; // there was only a header
    }
    let (plain, reader) = written(&data);
    let again: Dataset<T> = reader
        .from_reader(plain.as_bytes())
        .expect("what was written is read");
    assert_eq!(again, data);
}

/// The data set as text: the targets, then the inputs.
fn written<T: Scalar>(data: &Dataset<T>) -> (String, CsvReader) {
    let mut text = String::new();
    let outputs = match data.targets() {
        Targets::Dense(values) => values.ncols(),
        _ => 0,
    };
    for (i, row) in data.images().rows().into_iter().enumerate() {
        match data.targets() {
            Targets::Dense(values) => values
                .row(i)
                .iter()
                .for_each(|v| write!(text, "{v},").expect("a string")),
            _ => write!(text, "{},", data.labels()[i]).expect("a string"),
        }
        let inputs: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(text, "{}", inputs.join(",")).expect("a string");
    }
    let reader = match outputs {
        0 => CsvReader::with_labels(0),
        _ => CsvReader::with_values(0..outputs),
    };
    (text, reader.header(false))
}

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        (0, "label,a,b\n1,0.5,-2\n0,1e3,4\n"),
        (2, "a,y,b\r\n0.5,1,-2\r\n1e-3,0,4"),
        (3, "y,\"x\",z\n\"1\", 2 ,3\n\n4,5,6\n"),
        (4, "a,b\n1.5,3\n"),
        (5, "a,b,c\n1,2,3\n"),
        (8 + 16, "1\t2\n0\t-0.25\n"),
        (32 + 16 + 5, "1,2,3\n0.1,1e300,-1e-300\n"),
    ];
    texts
        .iter()
        .map(|&(options, text)| [&[options], text.as_bytes()].concat())
        .collect()
}
