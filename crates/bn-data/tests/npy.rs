//! NumPy's files: those of NumPy itself, and damaged ones.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use bn_data::{Dataset, Error, Npy, NpyReader, Npz, Targets};
use ndarray::{Array2, ArrayD, IxDyn, array};

/// A file that `golden/make_npy.py` wrote.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// i / 8 at row i / 4.
fn rows() -> Array2<f32> {
    Array2::from_shape_fn((3, 4), |(i, j)| (4 * i + j) as f32 / 8.0)
}

#[test]
fn every_array_is_read() {
    for file in ["plain.npz", "packed.npz"] {
        let read = |name| NpyReader::new().open_npz(golden(file), name).unwrap();
        let bytes: Vec<u8> = (0..12).collect();
        let bytes = ArrayD::from_shape_vec(IxDyn(&[3, 2, 2]), bytes).unwrap();
        assert_eq!(read("bytes"), Npy::U8(bytes));
        assert_eq!(read("labels"), Npy::I64(array![2, 0, 1].into_dyn()));
        assert_eq!(read("labels32"), Npy::I32(array![[2], [0], [1]].into_dyn()));
        assert_eq!(read("rows"), Npy::F32(rows().into_dyn()));
        assert_eq!(read("fortran"), Npy::F32(rows().into_dyn()));
        assert_eq!(
            read("big_endian"),
            Npy::F64(rows().mapv(f64::from).into_dyn())
        );
        assert_eq!(read("scalar"), Npy::F64(ndarray::arr0(0.1).into_dyn()));
        assert_eq!(read("empty"), Npy::F32(ArrayD::zeros(vec![0, 3])));
        assert_eq!(read("images").shape(), [3, 2, 2, 3]);
        assert_eq!(read("images").element_type(), "f64");
    }
    assert_eq!(
        Npy::open(golden("rows.npy")).unwrap(),
        Npy::F32(rows().into_dyn())
    );
    assert_eq!(
        Npy::open(golden("fortran.npy")).unwrap(),
        Npy::F32(rows().into_dyn())
    );
    let labels = Npy::open(golden("version2.npy")).unwrap();
    assert_eq!(labels, Npy::I64(array![2, 0, 1].into_dyn()));
    let error = ArrayD::<f32>::try_from(labels).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ElementType {
                expected: "f32",
                got: "i64"
            }
        ),
        "{error}"
    );
}

#[test]
fn arrays_become_a_data_set() {
    for file in ["plain.npz", "packed.npz"].map(golden) {
        let data: Dataset = Dataset::from_npz(&file, "rows", "labels").unwrap();
        assert_eq!(data, Dataset::from_arrays(rows(), [2, 0, 1]).unwrap());
        // In Fortran order; labels as Keras' CIFAR-10 has them, (N, 1).
        assert_eq!(
            data,
            Dataset::from_npz(&file, "fortran", "labels32").unwrap()
        );
        let data: Dataset<f64> = Dataset::from_npz(&file, "bytes", "rows").unwrap();
        assert_eq!(data.image_shape(), (2, 2, 1));
        assert_eq!(
            data.images(),
            Array2::from_shape_fn((3, 4), |(i, j)| (4 * i + j) as f64)
        );
        let Targets::Dense(values) = data.targets() else {
            panic!("labels")
        };
        assert_eq!(values, rows().mapv(f64::from));
        let data: Dataset = Dataset::from_npz(&file, "images", "labels").unwrap();
        assert_eq!((data.image_shape(), data.classes()), ((2, 2, 3), 3));
        assert_eq!(data.images_4d()[[2, 1, 0, 1]], 31.0);

        let refused = |x, y, part: &str| {
            let error = Dataset::<f32>::from_npz(&file, x, y)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part) && error.contains("npz"), "{error}");
        };
        refused("labels", "labels", "(N, D), (N, H, W) or (N, H, W, C) of x");
        refused("rows", "images", "(N) or (N, E) of y");
        refused("rows", "negative", "a label is -1");
        refused("rows", "scalar", "(N) or (N, E) of y");
        refused("empty", "labels", "3 labels for 0 images");
        refused("rows", "flags", "'|b1'");
        refused("row", "labels", "`row`");
    }
    let integers = NpyReader::new()
        .open_npz(golden("plain.npz"), "bytes")
        .unwrap();
    let rows = Npy::F32(rows().into_dyn());
    let error = Dataset::<f32>::from_npy(rows.clone(), integers).unwrap_err();
    assert!(matches!(error, Error::ShapeMismatch { .. }), "{error}");
    let wide = Npy::I32(array![[1, 0], [0, 1], [1, 0]].into_dyn());
    let error = Dataset::<f32>::from_npy(rows, wide).unwrap_err();
    assert!(error.to_string().contains("for labels"), "{error}");
}

/// A pipe without a writer would wait for ever, and a device may have no end.
#[cfg(unix)]
#[test]
fn archives_are_regular_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.npz");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [&*pipe, "/dev/zero".as_ref(), folder.path()] {
        for error in [
            NpyReader::new().open_npz(path, "x").unwrap_err(),
            NpyReader::npz_names(path).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains("it is not a regular file"), "{error}");
        }
    }
}

#[test]
fn archives_in_memory_are_those_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("written.npz");
    for name in ["plain.npz", "packed.npz"].map(golden) {
        let mut file = Npz::open(&name).unwrap();
        let mut bytes = Npz::new(Cursor::new(fs::read(&name).unwrap())).unwrap();
        assert_eq!(file.path(), Some(&*name));
        assert_eq!(bytes.path(), None);
        assert_eq!(bytes.names(), file.names());
        assert_eq!(
            bytes.names().len(),
            NpyReader::npz_names(&name).unwrap().len()
        );
        for array in ["fortran", "labels", "rows", "fortran"] {
            let read = bytes.array(array).unwrap();
            assert_eq!(read, file.array(array).unwrap());
            assert_eq!(read, NpyReader::new().open_npz(&name, array).unwrap());
        }
        // An error names the file, if there is one, and the next array can be read.
        let of_file = file.array("row").unwrap_err();
        let of_bytes = bytes.array("row").unwrap_err();
        assert!(matches!(of_file, Error::InFile { .. }), "{of_file}");
        assert!(matches!(of_bytes, Error::Setting { .. }), "{of_bytes}");
        assert_eq!(bytes.array("rows").unwrap(), Npy::F32(rows().into_dyn()));
        let mut bytes = bytes.limit(47); // rows have 48 bytes
        let error = bytes.array("rows").unwrap_err();
        assert!(matches!(error, Error::OverLimit { .. }), "{error}");
        bytes.array("labels").unwrap();
    }
    let rows = Npy::F32(rows().into_dyn());
    let mut written = Cursor::new(Vec::new());
    Npy::write_npz(&mut written, [("rows", &rows)]).unwrap();
    Npy::save_npz(&path, [("rows", &rows)]).unwrap();
    assert_eq!(*written.get_ref(), fs::read(&path).unwrap());
    for end in 0..written.get_ref().len() {
        let cut = Npz::new(Cursor::new(&written.get_ref()[..end]));
        assert!(
            matches!(cut, Err(Error::NotNpy { .. } | Error::Io(_))),
            "{end}"
        );
    }
    let twice = Npy::write_npz(Cursor::new(Vec::new()), [("a", &rows), ("a", &rows)]);
    assert!(matches!(twice, Err(Error::Io(_))), "{twice:?}");
}

#[test]
fn unknown_names_are_listed() {
    let error = NpyReader::new()
        .open_npz(golden("plain.npz"), "x")
        .unwrap_err()
        .to_string();
    assert!(error.contains("big_endian, bytes, "), "{error}");
    assert!(error.contains("plain.npz"), "{error}");
}

/// Any damage is an error: of the file's end, of each bit of the header, of the archive.
#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.npy");
    let whole = fs::read(golden("rows.npy")).unwrap();
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let of_file = Npy::open(&path);
        let of_stream = NpyReader::new().from_reader(bytes);
        assert_eq!(of_file.is_ok(), of_stream.is_ok());
        of_file.map_err(|error| match error {
            Error::InFile { problem, .. } => *problem,
            other => panic!("{other}"),
        })
    };
    for length in 0..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { .. }),
            "{length}: {error}"
        );
    }
    let error = read(&[&whole[..], &[0]].concat()).unwrap_err();
    assert!(matches!(error, Error::TrailingBytes { .. }), "{error}");
    for at in 0..128 {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            let _ = read(&flipped); // an error, or an array of the same size
        }
    }
    let mut other = whole.clone();
    other[0] = b'N';
    assert!(matches!(read(&other), Err(Error::NotNpy { .. })));
    let error = Npy::open(golden("objects.npy")).unwrap_err();
    assert!(error.to_string().contains("'|O'"), "{error}");
    assert!(Npy::open(folder.path()).is_err());

    let packed = fs::read(golden("packed.npz")).unwrap();
    let path = folder.path().join("damaged.npz");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        NpyReader::new().open_npz(&path, "rows")
    };
    assert!(open(&packed).is_ok());
    for length in (0..packed.len()).step_by(7) {
        let error = open(&packed[..length]).unwrap_err();
        assert!(matches!(error, Error::InFile { .. }), "{length}: {error}");
    }
    let mut errors = 0;
    for at in 0..packed.len() {
        let mut flipped = packed.clone();
        flipped[at] ^= 0x10;
        errors += usize::from(open(&flipped).is_err());
    }
    assert!(errors > 50, "{errors}"); // of this array, or of the directory
}

/// A header with so many numbers, and no data.
fn promising(dims: &str) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {dims}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

#[test]
fn sizes_in_headers_are_not_trusted() {
    let read = |dims: &str| NpyReader::new().from_reader(&promising(dims)[..]);
    for dims in [
        "(4294967296, 4294967296)",
        "(9223372036854775807,)",
        "(4611686018427387905, 2)",
    ] {
        assert!(matches!(read(dims), Err(Error::TooLarge { .. })), "{dims}");
    }
    assert!(matches!(
        read("(1099511627776,)"),
        Err(Error::OverLimit { .. })
    ));
    assert!(matches!(read("(268435456,)"), Err(Error::Truncated { .. })));
    assert!(matches!(
        read("(0, 9223372036854775807, 9)"),
        Err(Error::TooLarge { .. })
    ));
    for dims in [
        "(18446744073709551616,)",
        "(-1,)",
        "(1.5,)",
        "(3,",
        "3",
        "(a,)",
        "",
    ] {
        assert!(matches!(read(dims), Err(Error::NotNpy { .. })), "{dims}");
    }
    assert_eq!(read("(0, 3)").unwrap().shape(), [0, 3]);

    let path = golden("rows.npy");
    assert!(NpyReader::new().limit(48).open(&path).is_ok());
    let error = NpyReader::new().limit(47).open(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("48 bytes, more than the limit of 47"),
        "{error}"
    );
    let error = NpyReader::new()
        .limit(47)
        .open_npz(golden("packed.npz"), "rows")
        .unwrap_err();
    assert!(
        error.to_string().contains("more than the limit of 47"),
        "{error}"
    );
}

#[test]
fn arrays_are_written_as_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.npz", "b.npz"].map(|name| folder.path().join(name));
    // Of all types; one is empty, one a scalar, one in another order, one big-endian.
    let names = "bytes labels labels32 rows fortran big_endian scalar empty images";
    let names: Vec<&str> = names.split(' ').collect();
    let read = |path: &Path| -> Vec<Npy> {
        let each = names
            .iter()
            .map(|name| NpyReader::new().open_npz(path, name));
        each.collect::<Result<_, _>>().unwrap()
    };
    let arrays = read(&golden("plain.npz"));
    let named = || names.iter().copied().zip(&arrays);
    Npy::save_npz(&first, named()).unwrap();
    assert_eq!(read(&first), arrays);
    assert_eq!(NpyReader::npz_names(&first).unwrap(), names);
    Npy::save_npz(&second, named()).unwrap();
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());

    // Two arrays of one name: the file is as before.
    let twice = [("a", &arrays[0]), ("a", &arrays[1])];
    let error = Npy::save_npz(&second, twice).unwrap_err();
    assert!(matches!(error, Error::InFile { .. }), "{error}");
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    // More axes than a header can tell.
    let many = Npy::U8(ArrayD::zeros(vec![1; 30_000]));
    assert!(Npy::save_npz(&second, [("a", &many)]).is_err());
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
}
