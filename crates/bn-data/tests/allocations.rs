//! Tests of what is allocated, with a counting allocator.

use std::fs;
use std::io::Write;

use allocation_counter::measure;
use bn_data::{Augmentation, Augmented, BatchSource, Batches, Digits, Idx, LastBatch, Sampling};
use flate2::Compression;
use flate2::write::GzEncoder;

#[test]
fn an_epoch_allocates_nothing() {
    let (train, _test) = Digits::load().unwrap().into_parts();
    // Check that the counter works.
    assert!(measure(|| drop(train.one_hot().unwrap())).count_total > 0);

    for sampling in [
        Sampling::Permutation(LastBatch::Keep),
        Sampling::Permutation(LastBatch::Drop),
        Sampling::Permutation(LastBatch::Merge),
        Sampling::WithReplacement,
        Sampling::Balanced,
    ] {
        let mut batches = Batches::with_sampling(&train, 100, sampling, 42).unwrap();
        let mut sum = 0.0;
        let info = measure(|| {
            // Three epochs, including the shuffles between them.
            for _ in 0..3 {
                while let Some(batch) = batches.next_batch() {
                    sum += batch.images.sum() + batch.labels()[0] as f32;
                }
            }
        });
        assert!(sum > 0.0);
        assert_eq!(info.count_total, 0, "{sampling:?}");
    }
}

#[test]
fn augmentation_allocates_nothing() {
    let (train, _test) = Digits::load().unwrap().into_parts();
    let augmentation = Augmentation::default()
        .with_shift(1)
        .with_rotation(10.0)
        .with_flip(0.5)
        .with_noise(0.1)
        .with_erasing(0.5);
    let batches = Batches::new(&train, 100, 42).unwrap();
    let mut batches = Augmented::new(batches, augmentation).unwrap();
    let mut epoch = || {
        while let Some(batch) = batches.next_batch().unwrap() {
            assert!(batch.images.iter().all(|x| x.is_finite()));
        }
    };
    epoch(); // with threads, the first one starts them
    assert_eq!(measure(epoch).count_total, 0);
}

/// A header may claim terabytes. Memory is allocated only for the data that exist.
#[test]
fn a_false_header_allocates_little() {
    let mut false_file = vec![0, 0, 0x0e, 2, 0, 0x10, 0, 0, 0, 8, 0, 0]; // f64, 2^20 x 2^19: 4 TB
    false_file.extend([0; 1000]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&false_file).unwrap();
    let compressed = encoder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("false");

    // The header claims one megabyte, but the file has one byte more.
    let mut understated = vec![0, 0, 8, 1, 0, 0x10, 0, 0];
    understated.resize(8 + (1 << 20) + 1, 0);
    fs::write(&path, &understated).unwrap();
    let info = measure(|| assert!(Idx::open(&path).is_err()));
    assert!(info.bytes_max < 200_000, "{info:?}");

    for bytes in [false_file, compressed] {
        fs::write(&path, &bytes).unwrap();
        for read in [&|| Idx::from_bytes(&bytes), &|| Idx::open(&path)] as [&dyn Fn() -> _; 2] {
            let info = measure(|| assert!(read().is_err()));
            assert!(info.bytes_max < 200_000, "{info:?}");
        }
        let info = measure(|| assert!(Idx::from_reader(bytes.as_slice()).is_err()));
        assert!(info.bytes_max < 200_000, "{info:?}");
    }
}

/// Reading takes the memory of the array, without a second copy of its bytes.
#[test]
fn elements_are_read_without_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("array");
    let array = ndarray::ArrayD::from_shape_fn(vec![1 << 10, 1 << 10], |i| (i[0] * i[1]) as f64);
    let bytes = Idx::from(array).to_bytes().unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    let packed = encoder.finish().unwrap();
    let payload = 8 << 20;
    for bytes in [&bytes, &packed] {
        fs::write(&path, bytes).unwrap();
        for read in [&|| Idx::from_bytes(bytes), &|| Idx::open(&path)] as [&dyn Fn() -> _; 2] {
            let info = measure(|| drop(read().unwrap()));
            let others = info.bytes_max - payload;
            assert!(others < 200_000, "{others} bytes beside the array");
        }
    }
    // A stream of unknown length: its memory is doubled as the data arrive.
    let info = measure(|| drop(Idx::from_reader(bytes.as_slice()).unwrap()));
    assert!(info.bytes_max < payload * 3 / 2 + 200_000, "{info:?}");
}

/// The factors are those that the readers document.
#[cfg(feature = "csv")]
#[test]
fn a_csv_file_takes_a_bounded_factor_of_memory() {
    use bn_data::CsvReader;
    let rows = |columns: usize| ("0,".repeat(columns - 1) + "0\n").repeat((1 << 20) / columns);
    for (name, text) in [
        ("two columns", rows(2)),
        ("many columns", rows(1000)),
        ("one line of numbers", "0,".repeat(2 << 20)),
        ("one line of nothing", ",".repeat((4 << 20) + 9)), // a vector has just grown
        ("an open quote", "\"".to_owned() + &"a".repeat(9 << 20)),
        ("empty lines", "a,b\n".to_owned() + &"\n".repeat(5 << 20)),
    ] {
        for reader in [
            CsvReader::with_labels(0),
            CsvReader::with_values(0..1),
            CsvReader::with_labels(0).header(false),
            CsvReader::with_labels("a"),
        ] {
            let info = measure(|| drop(reader.from_reader::<f64>(text.as_bytes())));
            println!("{name} {}", info.bytes_max as f64 / text.len() as f64);
            let most = 100 * text.len() as u64 + (64 << 10);
            assert!(info.bytes_max <= most, "{name}: {info:?}");
        }
    }
}

#[cfg(feature = "npz")]
#[test]
fn a_npz_file_takes_a_bounded_factor_of_memory() {
    use bn_data::{Dataset, NpyReader};
    use std::io::Cursor;
    use zip::{ZipWriter, write::SimpleFileOptions};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.npz");
    let bytes = |shape: &str, elements: usize| {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{text:<117}\n").bytes());
        bytes.resize(128 + elements, 0);
        bytes
    };
    let archive = |arrays: &[(String, Vec<u8>)]| {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_level(Some(9));
        for (name, bytes) in arrays {
            archive.start_file(format!("{name}.npy"), options).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    let n = 4 << 20;
    let zeros = [
        ("x".to_owned(), bytes(&format!("({n}, 1)"), n)),
        ("y".to_owned(), bytes(&format!("({n},)"), n)),
    ];
    let packed = archive(&zeros);
    fs::write(&path, &packed).unwrap();
    let len = packed.len() as u64;
    let info = measure(|| drop(NpyReader::new().open_npz(&path, "x").unwrap()));
    println!("array {}", info.bytes_max as f64 / len as f64);
    assert!(
        info.bytes_max <= 1032 * len + (256 << 10),
        "{info:?} for {len}"
    );
    let info = measure(|| drop(Dataset::<f64>::from_npz(&path, "x", "y").unwrap()));
    println!("data set {}", info.bytes_max as f64 / len as f64);
    assert!(
        info.bytes_max <= 16 * 1032 * len + (256 << 10),
        "{info:?} for {len}"
    );

    // The names of many arrays.
    let many: Vec<_> = (0..20_000)
        .map(|i| (format!("{i:x}"), Vec::new()))
        .collect();
    let listed = archive(&many);
    fs::write(&path, &listed).unwrap();
    let info = measure(|| assert_eq!(NpyReader::npz_names(&path).unwrap().len(), 20_000));
    println!("names {}", info.bytes_max as f64 / listed.len() as f64);
    assert!(info.bytes_max <= 32 * listed.len() as u64, "{info:?}");

    let plain = bytes(&format!("({n},)"), n);
    let info = measure(|| drop(NpyReader::new().from_reader(&plain[..]).unwrap()));
    println!("stream {}", info.bytes_max as f64 / plain.len() as f64);
    assert!(
        info.bytes_max <= 4 * plain.len() as u64 + (128 << 10),
        "{info:?}"
    );
}
