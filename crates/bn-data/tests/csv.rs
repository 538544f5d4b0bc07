//! CSV files: what is read, and how each kind of damage is reported.

use std::fs;
use std::io::{self, Read};

use bn_data::{CsvReader, Dataset, Error, Targets};
use ndarray::array;

fn labels(text: &str) -> Result<Dataset, Error> {
    CsvReader::with_labels("t").from_reader(text.as_bytes())
}

#[test]
fn the_label_column_is_found_by_name_or_index() {
    let expected = Dataset::from_arrays(array![[1.5, -2.0], [3e2, 4.0]], [1, 0]).unwrap();
    for text in [
        "a,t,b\n1.5,1,-2\n3e2,0,4\n",
        "a,t,b\r\n1.5,1,-2\r\n3e2,0,4", // Windows, and no end of the last line
        "\u{feff}a, t ,b\n 1.5, 1 ,-2\n\n+300,0,4\n", // a byte order mark, spaces, an empty line
        "\"a\",\"t\",\"b\"\n\"1.5\",\"1\",\"-2\"\n300,0,4.0\n",
        "t,a,b\n1,1.5,-2\n0,300,4\n",
    ] {
        assert_eq!(labels(text).unwrap(), expected, "{text}");
    }
    let reader = CsvReader::with_labels(2).header(false).delimiter(b'\t');
    assert_eq!(
        reader
            .from_reader("1.5\t-2\t1\n300\t4\t0".as_bytes())
            .unwrap(),
        expected
    );
    let reader = CsvReader::with_labels(1);
    assert_eq!(
        reader
            .from_reader("a,t,b\n1.5,1,-2\n300,0,4".as_bytes())
            .unwrap(),
        expected
    );
}

#[test]
fn several_columns_are_values() {
    let text = "y2,x,y1\n1,2,3\n4,5,6\n";
    let reader = CsvReader::with_values(["y1", "y2"]);
    let data: Dataset<f64> = reader.from_reader(text.as_bytes()).unwrap();
    assert_eq!(data.images(), array![[2.0], [5.0]]);
    let Targets::Dense(values) = data.targets() else {
        panic!("labels")
    };
    assert_eq!(values, array![[3.0, 1.0], [6.0, 4.0]]);
    // A number of double precision keeps its bits.
    let text = "0.1,1e-300\n";
    let reader = CsvReader::with_values([1]).header(false);
    let data: Dataset<f64> = reader.from_reader(text.as_bytes()).unwrap();
    assert_eq!(data.images(), array![[0.1]]);
}

#[test]
fn damage_is_reported_with_line_and_column() {
    for (text, at, part) in [
        ("a,t\n1,0\nx,1\n", (3, 1), "`x` is not a finite number"),
        ("a,t\n1,0\n,1\n\n", (3, 1), "`` is not a finite number"),
        ("a,t\n1,0\n2,-1\n", (3, 2), "`-1` is not a label"),
        ("a,t\n1,0.5\n", (2, 2), "`0.5` is not a label"),
        ("a,t\n1,99999999999999999999\n", (2, 2), "is not a label"),
        ("a,t\nnan,0\n", (2, 1), "`nan` is not a finite number"),
        ("a,t\n1e39,0\n", (2, 1), "`1e39` is not a finite number"), // above the largest f32
        (
            "a,t\n1,0\n1,0,5\n",
            (3, 3),
            "the line has 3 fields, the first line 2",
        ),
        (
            "a,t\n1,0\n1\n",
            (3, 2),
            "the line has 1 fields, the first line 2",
        ),
        ("a,t\n\"1\n2\",0\nx,0\n", (2, 1), "is not a finite number"),
    ] {
        let error = labels(text).unwrap_err();
        let message = error.to_string();
        match error {
            Error::Csv {
                line,
                column,
                problem,
            } => {
                assert_eq!((line, column), at, "{message}");
                assert!(problem.contains(part), "{message}");
            }
            other => panic!("{other}"),
        }
    }
    let bytes = b"a,t\n\xff\xfe,0\n";
    let error = CsvReader::with_labels("t")
        .from_reader::<f32>(&bytes[..])
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Csv {
                line: 2,
                column: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn columns_that_cannot_be_are_refused() {
    let text = "a,t\n1,0\n";
    let refused = |reader: CsvReader, part: &str| {
        let error = reader.from_reader::<f32>(text.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(CsvReader::with_labels("y"), "a name in the header: a, t");
    refused(CsvReader::with_labels("t").header(false), "an index");
    for index in [2, 1 << 31, (1 << 62) + 1, usize::MAX] {
        refused(CsvReader::with_labels(index), "below 2");
    }
    refused(CsvReader::with_values([1, 1]), "second time");
    refused(CsvReader::with_values([0, 1]), "at least 1 and below 2");
    refused(
        CsvReader::with_values::<usize>([]),
        "at least 1 and below 2",
    );
    assert!(matches!(labels(""), Err(Error::Empty { .. })));
    assert!(matches!(labels("\n\n"), Err(Error::Empty { .. })));
    assert!(labels("a,t\n").unwrap().is_empty());
}

#[test]
fn the_file_is_named_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let reader = CsvReader::with_labels("t");
    let open = || reader.open::<f32>(&path).unwrap_err().to_string();
    assert!(open().starts_with(path.to_str().unwrap()));
    fs::write(&path, "a,t\n1,x\n").unwrap();
    assert_eq!(
        open(),
        format!(
            "{}: line 2, column 2: `x` is not a label, which is a whole number, at least 0",
            path.display()
        )
    );
    fs::write(&path, "a,t\n1,3\n").unwrap();
    assert_eq!(reader.open::<f32>(&path).unwrap().classes(), 4);
}

#[test]
fn memory_has_a_limit() {
    let text = "a,t\n1,0\n2,0\n3,0\n"; // 3 rows of 2 numbers
    let reader = CsvReader::with_labels("t");
    assert!(
        reader
            .clone()
            .limit(24)
            .from_reader::<f32>(text.as_bytes())
            .is_ok()
    );
    let error = reader
        .clone()
        .limit(23)
        .from_reader::<f32>(text.as_bytes())
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::OverLimit {
                size: 24,
                limit: 23
            }
        ),
        "{error}"
    );
    // A stream without an end of line, and one whose quote is not closed.
    for (start, byte) in [("", b'1'), ("a,t\n\"", b'\n')] {
        let endless = start.as_bytes().chain(io::repeat(byte));
        let error = reader.from_reader::<f32>(endless).unwrap_err();
        assert!(error.to_string().contains("longer than 16 MiB"), "{error}");
    }
}
