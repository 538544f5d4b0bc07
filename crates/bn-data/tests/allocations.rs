//! What is allocated and what is not: a counting allocator says so.

use std::fs;
use std::io::Write;

use allocation_counter::measure;
use bn_data::{Batches, Digits, Idx, LastBatch, Sampling};
use flate2::Compression;
use flate2::write::GzEncoder;

#[test]
fn an_epoch_allocates_nothing() {
    let (train, _test) = Digits::load().unwrap().into_parts();
    // The counter counts.
    assert!(measure(|| drop(train.one_hot().unwrap())).count_total > 0);

    for sampling in [
        Sampling::Permutation(LastBatch::Keep),
        Sampling::Permutation(LastBatch::Drop),
        Sampling::Permutation(LastBatch::Merge),
        Sampling::WithReplacement,
    ] {
        let mut batches = Batches::with_sampling(&train, 100, sampling, 42).unwrap();
        let mut sum = 0.0;
        let info = measure(|| {
            // Three epochs, the shuffles between them included.
            for _ in 0..3 {
                while let Some(batch) = batches.next_batch() {
                    sum += batch.images.sum() + batch.labels[0] as f32;
                }
            }
        });
        assert!(sum > 0.0);
        assert_eq!(info.count_total, 0, "{sampling:?}");
    }
}

/// A header may promise terabytes; memory is taken for what is there.
#[test]
fn a_lying_header_allocates_little() {
    let mut lie = vec![0, 0, 0x0e, 2, 0, 0x10, 0, 0, 0, 8, 0, 0]; // f64, 2^20 x 2^19: 4 TB
    lie.extend([0; 1000]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&lie).unwrap();
    let packed_lie = encoder.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie");

    // Promises one megabyte where there is more.
    let mut understated = vec![0, 0, 8, 1, 0, 0x10, 0, 0];
    understated.resize(8 + (1 << 20) + 1, 0);
    fs::write(&path, &understated).unwrap();
    let info = measure(|| assert!(Idx::open(&path).is_err()));
    assert!(info.bytes_max < 200_000, "{info:?}");

    for bytes in [lie, packed_lie] {
        fs::write(&path, &bytes).unwrap();
        for read in [&|| Idx::from_bytes(&bytes), &|| Idx::open(&path)] as [&dyn Fn() -> _; 2] {
            let info = measure(|| assert!(read().is_err()));
            assert!(info.bytes_max < 200_000, "{info:?}");
        }
        let info = measure(|| assert!(Idx::from_reader(bytes.as_slice()).is_err()));
        assert!(info.bytes_max < 200_000, "{info:?}");
    }
}
