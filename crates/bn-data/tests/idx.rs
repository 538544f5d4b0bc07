//! IDX files: what was written is read again, and everything else is refused.

use std::fs;
use std::io::Write;

use bn_data::{Error, Idx, IdxReader};
use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;

/// An array of each element type, with values at the ends of its range.
fn arrays(shape: &[usize]) -> [Idx; 6] {
    fn filled<T: Clone>(shape: &[usize], values: &[T]) -> ArrayD<T> {
        let values: Vec<T> = (0..shape.iter().product())
            .map(|i| values[i % values.len()].clone())
            .collect();
        ArrayD::from_shape_vec(shape, values).unwrap()
    }
    [
        filled(shape, &[0u8, 1, 127, 128, 255]).into(),
        filled(shape, &[0i8, -1, 127, -128]).into(),
        filled(shape, &[0i16, 258, i16::MIN, i16::MAX, -2]).into(),
        filled(shape, &[0i32, 0x0102_0304, i32::MIN, i32::MAX, -2]).into(),
        filled(shape, &[0.5f32, -1.5e-30, f32::INFINITY, f32::MAX]).into(),
        filled(shape, &[0.5f64, -1.5e-300, f64::NEG_INFINITY, f64::MIN]).into(),
    ]
}

const SHAPES: [&[usize]; 8] = [
    &[],
    &[7],
    &[2, 3],
    &[3, 2, 2],
    &[2, 1, 3, 2],
    &[1, 2, 1, 2, 3],
    &[0],
    &[4, 0, 3],
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_type_and_rank_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    for shape in SHAPES {
        for idx in arrays(shape) {
            let bytes = idx.to_bytes().unwrap();
            assert_eq!(Idx::from_bytes(&bytes).unwrap(), idx);
            assert_eq!(Idx::from_bytes(&gzip(&bytes)).unwrap(), idx);
            assert_eq!(Idx::from_reader(bytes.as_slice()).unwrap(), idx);
            let mut written = Vec::new();
            idx.to_writer(&mut written).unwrap();
            assert_eq!(written, bytes);

            let plain = folder.path().join("array");
            idx.save(&plain).unwrap();
            assert_eq!(fs::read(&plain).unwrap(), bytes);
            assert_eq!(Idx::open(&plain).unwrap(), idx);

            let packed = folder.path().join("array.gz");
            idx.save(&packed).unwrap();
            assert_eq!(fs::read(&packed).unwrap()[..2], [0x1f, 0x8b]);
            assert_eq!(Idx::open(&packed).unwrap(), idx);
            // A gzip file is recognised by its content, not by its name.
            fs::rename(&packed, &plain).unwrap();
            assert_eq!(Idx::open(&plain).unwrap(), idx);
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let idx = Idx::from(ndarray::arr2(&[[1i32, -2, 258]]).into_dyn());
    let bytes = [
        0, 0, 0x0c, 2, // i32, two axes
        0, 0, 0, 1, 0, 0, 0, 3, // 1 x 3
        0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 2,
    ];
    assert_eq!(idx.to_bytes().unwrap(), bytes);
    let codes = arrays(&[]).map(|idx| idx.to_bytes().unwrap()[2]);
    assert_eq!(codes, [0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e]);
}

#[test]
fn the_order_is_that_of_the_indices_not_of_the_memory() {
    let mut array = ndarray::arr2(&[[1u8, 2, 3], [4, 5, 6]]).into_dyn();
    array.swap_axes(0, 1);
    array.invert_axis(Axis(0));
    let bytes = Idx::from(array.clone()).to_bytes().unwrap();
    assert_eq!(bytes[12..], [3, 6, 2, 5, 1, 4]);
    assert_eq!(Idx::from_bytes(&bytes).unwrap(), Idx::from(array));
}

/// Reads the data from memory and from a file. The error must name the file.
fn refused(bytes: &[u8], is_right: impl Fn(&Error) -> bool) {
    let error = Idx::from_bytes(bytes).unwrap_err();
    assert!(is_right(&error), "{error:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some-file");
    fs::write(&path, bytes).unwrap();
    let error = Idx::open(&path).unwrap_err();
    assert!(error.to_string().contains("some-file: "), "{error}");
    let Error::InFile { file, problem } = error else {
        panic!("{error:?}");
    };
    assert_eq!(file, path);
    assert!(is_right(&problem), "{problem:?}");
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    for idx in arrays(&[2, 3]) {
        let bytes = idx.to_bytes().unwrap();
        let whole = bytes.len() as u64;
        for cut in 0..bytes.len() {
            refused(&bytes[..cut], |error| match error {
                Error::Truncated { expected, got } => {
                    *got == cut as u64 && *expected > *got && (cut < 12 || *expected == whole)
                }
                _ => false,
            });
            let error = Idx::from_reader(&bytes[..cut]).unwrap_err();
            assert!(matches!(error, Error::Truncated { got, .. } if got == cut as u64));
        }
        let packed = gzip(&bytes);
        for cut in 1..packed.len() {
            refused(&packed[..cut], |error| matches!(error, Error::Gzip(_)));
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    for shape in SHAPES {
        for idx in arrays(shape) {
            let mut bytes = idx.to_bytes().unwrap();
            let whole = bytes.len() as u64;
            bytes.push(0);
            let trailing = |error: &Error| matches!(error, Error::TrailingBytes { expected } if *expected == whole);
            refused(&bytes, trailing);
            refused(&gzip(&bytes), trailing);
            assert!(trailing(&Idx::from_reader(bytes.as_slice()).unwrap_err()));

            for garbage in [&[0][..], &[0x1f], &[0x1f, 0x8b], &[1; 100]] {
                let mut packed = gzip(&idx.to_bytes().unwrap());
                packed.extend(garbage);
                refused(&packed, |error| matches!(error, Error::Gzip(_)));
            }
        }
    }
}

#[test]
fn a_gzip_stream_in_several_members_is_one_file() {
    let idx = arrays(&[2, 3]).into_iter().next_back().unwrap();
    let bytes = idx.to_bytes().unwrap();
    let (first, second) = bytes.split_at(20);
    let packed = [gzip(first), gzip(second)].concat();
    assert_eq!(Idx::from_bytes(&packed).unwrap(), idx);
}

#[test]
fn a_wrong_checksum_is_refused() {
    for idx in arrays(&[5, 3]) {
        let packed = gzip(&idx.to_bytes().unwrap());
        // The last eight bytes are the checksum and the length.
        for at in packed.len() - 8..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 1;
            refused(&packed, |error| matches!(error, Error::Gzip(_)));
        }
    }
}

#[test]
fn wrong_magic_numbers_are_refused() {
    for magic in [[1, 0, 8, 1], [0, 1, 8, 1], *b"PK\x03\x04", [0xff; 4]] {
        let bytes = [&magic[..], &[0, 0, 0, 1, 7]].concat();
        refused(
            &bytes,
            |error| matches!(error, Error::NotIdx { found } if *found == magic),
        );
    }
    for code in (0..=255).filter(|code| ![8, 9, 0xb, 0xc, 0xd, 0xe].contains(code)) {
        let bytes = [0, 0, code, 1, 0, 0, 0, 1, 7];
        refused(
            &bytes,
            |error| matches!(error, Error::UnknownElementType { code: found } if *found == code),
        );
    }
}

#[test]
fn lying_headers_are_refused() {
    let header = |rank: u8, dims: &[u32]| {
        let mut bytes = vec![0, 0, 0x0e, rank];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes
    };
    let mut four_terabytes = header(2, &[1 << 20, 1 << 19]);
    four_terabytes.extend([0; 1000]);
    let promised = 12 + (1u64 << 42);
    refused(
        &four_terabytes,
        |error| matches!(error, Error::Truncated { expected, got: 1012 } if *expected == promised),
    );
    // If the length is not known in advance, the limit applies.
    let over = |error: &Error| matches!(error, Error::OverLimit { size, .. } if *size == 1 << 42);
    refused(&gzip(&four_terabytes), over);
    assert!(over(
        &Idx::from_reader(four_terabytes.as_slice()).unwrap_err()
    ));
    let mut half_gigabyte = header(2, &[1 << 16, 1 << 10]);
    half_gigabyte.extend([0; 1000]);
    let truncated = |error: &Error| matches!(error, Error::Truncated { expected, got: 1012 } if *expected == 12 + (1 << 29));
    refused(&half_gigabyte, truncated);
    refused(&gzip(&half_gigabyte), truncated);
    assert!(truncated(
        &Idx::from_reader(half_gigabyte.as_slice()).unwrap_err()
    ));

    let too_large = |error: &Error| matches!(error, Error::TooLarge { .. });
    refused(&header(2, &[u32::MAX, u32::MAX]), too_large);
    refused(&header(3, &[u32::MAX, u32::MAX, u32::MAX]), too_large);
    refused(&gzip(&header(255, &[2; 255])), too_large);
    // 2^64 - 1 bytes, which fit u64 but not an array.
    let mut countable = header(3, &[u32::MAX, 641, 6_700_417]);
    countable[2] = 0x08;
    refused(&countable, too_large);
    // No elements, but a shape that no array can have.
    refused(&header(4, &[u32::MAX, u32::MAX, u32::MAX, 0]), too_large);
    refused(&header(4, &[0, u32::MAX, u32::MAX, u32::MAX]), too_large);
    // Fewer axes than the header announces.
    refused(&header(255, &[1; 254]), |error| {
        matches!(
            error,
            Error::Truncated {
                expected: 1024,
                got: 1020
            }
        )
    });
}

#[test]
fn elements_over_the_limit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some-file");
    for idx in arrays(&[10, 5]) {
        let bytes = idx.to_bytes().unwrap();
        let size = bytes.len() as u64 - 12;
        let over = |error: &Error| matches!(error, Error::OverLimit { size: of, limit } if *of == size && *limit == size - 1);
        let (exact, less) = (
            IdxReader::new().limit(size),
            IdxReader::new().limit(size - 1),
        );
        for bytes in [&bytes, &gzip(&bytes)] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(exact.from_bytes(bytes).unwrap(), idx);
            assert_eq!(exact.open(&path).unwrap(), idx);
            assert!(over(&less.from_bytes(bytes).unwrap_err()));
            let Error::InFile { problem, .. } = less.open(&path).unwrap_err() else {
                panic!("the file is not named");
            };
            assert!(over(&problem));
            assert!(problem.to_string().contains("the reader's method `limit`"));
        }
        assert_eq!(exact.from_reader(bytes.as_slice()).unwrap(), idx);
        assert!(over(&less.from_reader(bytes.as_slice()).unwrap_err()));
    }
}

/// A gzip file that would unpack to more, and a sparse file that is larger.
#[test]
fn the_default_limit_is_a_gibibyte() {
    let limit = 1 << 30;
    let header = [0, 0, 8, 1, 0x40, 0, 0, 1]; // one byte more
    let over = |error: &Error| matches!(error, Error::OverLimit { size, limit: of } if *size == limit + 1 && *of == limit);
    refused(&gzip(&header), over);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    fs::write(&path, header).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8 + limit + 1).unwrap();
    let Error::InFile { problem, .. } = Idx::open(&path).unwrap_err() else {
        panic!("the file is not named");
    };
    assert!(over(&problem));
}

#[test]
fn an_absent_file_is_named() {
    let error = Idx::open("no/such/file").unwrap_err();
    assert!(error.to_string().starts_with("no/such/file: "), "{error}");
    let Error::InFile { problem, .. } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*problem, Error::Io(_)));
}

#[test]
fn a_wrong_element_type_is_named() {
    let [bytes, ..] = arrays(&[2]);
    let error = ArrayD::<f32>::try_from(bytes).unwrap_err();
    assert_eq!(error.to_string(), "the elements are u8, not f32");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array.gz");
    fs::write(&path, "old").unwrap();

    let too_many_axes = Idx::from(ArrayD::<u8>::zeros(IxDyn(&[1; 256])));
    let error = too_many_axes.save(&path).unwrap_err();
    assert!(error.to_string().contains("array.gz: "), "{error}");
    assert!(matches!(
        too_many_axes.to_bytes(),
        Err(Error::NotWritable { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let [idx, ..] = arrays(&[3]);
    assert!(
        idx.save(folder.path().join("no-folder").join("array"))
            .is_err()
    );
    // A folder cannot be replaced by a file.
    fs::create_dir(folder.path().join("taken")).unwrap();
    assert!(idx.save(folder.path().join("taken")).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

    idx.save(&path).unwrap();
    assert_eq!(Idx::open(&path).unwrap(), idx);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_written_file_has_the_rights_of_any_other() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
    let [idx, ..] = arrays(&[3]);
    idx.save(&ours).unwrap();
    fs::write(&other, "").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&other));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Idx::from_bytes(&bytes);
        let _ = Idx::from_reader(bytes.as_slice());
    }

    #[test]
    fn random_bytes_behind_a_right_magic_number_never_panic(
        code in prop::sample::select(vec![8u8, 9, 0xb, 0xc, 0xd, 0xe]),
        dims in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 0..6),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = vec![0, 0, code, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(payload);
        for bytes in [bytes.clone(), gzip(&bytes)] {
            if let Ok(idx) = Idx::from_bytes(&bytes) {
                let dims: Vec<usize> = dims.iter().map(|&dim| dim as usize).collect();
                prop_assert_eq!(idx.shape(), dims);
            }
        }
    }

    #[test]
    fn a_damaged_gzip_file_never_panics(at in 0usize..1000, bit in 0u8..8) {
        let mut packed = gzip(&arrays(&[9, 5])[3].to_bytes().unwrap());
        let at = at % packed.len();
        packed[at] ^= 1 << bit;
        let _ = Idx::from_bytes(&packed);
    }
}
