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
